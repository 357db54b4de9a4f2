/**
 * What the center's callers must keep to: its own program's duties, so a breach is an invariant violation and no refusal. What
 * replicas may get wrong is checked by the applier threads.
 */

import type { CenterMove } from "../../shared/solver/center_rule.ts";
import type { CenterOptions, CenterState } from "./center.ts";
import type { PushJob } from "./jobs.ts";

/** Beyond this the difference of two allowed values could overflow to infinity. */
const GREATEST_MAX_MAGNITUDE = 1e38;

export function broken(what: string): Error {
  return new Error(`invariant violation: ${what}`);
}

export function checkOptions(options: CenterOptions): void {
  const { layout, initial, velocity, threads, maxMagnitude, stream } = options;
  const { elements, trainableElements } = layout;
  if (!Number.isInteger(elements) || elements < 1) throw broken(`a center of ${elements} elements`);
  const isWhole = trainableElements === elements || (trainableElements % 16 === 0 && trainableElements < elements);
  if (!isWhole || trainableElements < 0) throw broken(`${trainableElements} trained elements of ${elements}`);
  checkState({ parameters: initial, ...(velocity ? { velocity } : {}) }, elements);
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) throw broken(`a center with ${threads} threads`);
  if (!(maxMagnitude > 0 && maxMagnitude <= GREATEST_MAX_MAGNITUDE))
    throw broken(`a greatest magnitude of ${maxMagnitude}`);
  if (stream && !(Number.isInteger(stream.keep) && stream.keep >= 1))
    throw broken(`a stream of ${stream.keep} versions`);
  if (!initial.every((value) => Math.abs(value) <= maxMagnitude)) throw broken("an initial value out of bounds");
}

export function checkState({ parameters, velocity }: CenterState, elements: number): void {
  if (parameters.length !== elements) throw broken(`${parameters.length} values for ${elements} elements`);
  if (velocity && velocity.length !== elements) throw broken(`${velocity.length} velocities for ${elements} elements`);
}

export function checkWeight(weight: number): void {
  if (!(weight > 0 && Number.isFinite(weight))) throw broken(`a weight of ${weight}`);
}

export function checkMove({ move, content }: Pick<PushJob, "move" | "content">): void {
  const isElastic = move.kind === "elastic" || move.kind === "elastic-mean" || move.kind === "elastic-sum";
  if (isElastic !== (content === "parameters")) throw broken(`a move of kind ${move.kind} by ${content}`);
  const wrong = numbersOf(move).find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw broken(`a move of kind ${move.kind} with ${wrong}`);
  // Beyond [0, 1] an elastic move would carry the center out of the bounds that x and the center are in.
  if (isElastic && !(move.movingRate >= 0 && move.movingRate <= 1)) {
    throw broken(`a moving rate of ${move.movingRate}`);
  }
  if (move.kind === "delayed-nesterov" && !(Number.isInteger(move.delay) && move.delay >= 1)) {
    throw broken(`a delay of ${move.delay} pseudo-gradients`);
  }
}

function numbersOf(move: CenterMove): readonly number[] {
  return Object.values(move).filter((value) => typeof value === "number");
}
