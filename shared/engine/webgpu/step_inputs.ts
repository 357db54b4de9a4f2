/**
 * What steps need from the host: which examples, which draw of random numbers, which settings. Several steps wait side by
 * side in one buffer, each in its slot; before a step's launches its own are copied to where the launches read them, on the
 * device.
 */

import { alignUp } from "../../model/layout.ts";
import { UPDATE_WORDS } from "../optimizer.ts";
import type { Share } from "../shares.ts";
import type { PlanMemory } from "./memory.ts";

const WORD_BYTES = 4;

/** The most steps that one submit holds. */
export const STEP_SLOTS = 16;

/** Words of a step's settings in its slot: those of an update, rounded up. */
export const SETTINGS_WORDS = alignUp(UPDATE_WORDS, 4);

/** Where the examples begin behind the clock: where a binding may begin. */
export const EXAMPLES_WORD = 64;

interface Shape {
  readonly microBatch: number;
  readonly microBatches: number;
}

/** Words that one part of a batch needs: the draw, how many examples all parts have, then its own examples. */
export function partWords({ microBatch }: Pick<Shape, "microBatch">): number {
  return EXAMPLES_WORD + microBatch;
}

/** Words of a slot. */
export function slotWords(shape: Shape): number {
  return SETTINGS_WORDS + shape.microBatches * partWords(shape);
}

export class StepInputs {
  readonly #memory: PlanMemory;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  /** In how many parts the step of a slot is done. */
  readonly #parts = new Uint32Array(STEP_SLOTS);

  constructor(memory: PlanMemory) {
    this.#memory = memory;
    this.#words = new Uint32Array(STEP_SLOTS * slotWords(memory.plan));
    this.#floats = new Float32Array(this.#words.buffer);
  }

  /**
   * Fills a slot with any number of parts, of a step of so many examples in all; part p draws `draw + p`. `settings` are the
   * words of the update (`updateWords`).
   */
  fill(slot: number, examples: Uint32Array, { stepExamples, draw }: Share, settings: readonly number[] = []): void {
    const { microBatch } = this.#memory.plan;
    const parts = examples.length / microBatch;
    const begin = slot * slotWords(this.#memory.plan);
    this.#parts[slot] = parts;
    this.#floats.set(settings, begin);
    for (let part = 0; part < parts; part++) {
      const at = this.#partAt(slot, part);
      this.#words[at] = draw + part;
      this.#words[at + 1] = stepExamples;
      this.#words.set(examples.subarray(part * microBatch, (part + 1) * microBatch), at + EXAMPLES_WORD);
    }
  }

  partsOf(slot: number): number {
    return this.#parts[slot]!;
  }

  /** Puts the first `slots` slots onto the device. */
  upload(queue: GPUQueue, slots: number): void {
    queue.writeBuffer(this.#memory.stepInputs, 0, this.#words, 0, slots * slotWords(this.#memory.plan));
  }

  useSettings(encoder: GPUCommandEncoder, slot: number): void {
    const from = slot * slotWords(this.#memory.plan) * WORD_BYTES;
    const { stepInputs, settings } = this.#memory;
    encoder.copyBufferToBuffer(stepInputs, from, settings, 0, SETTINGS_WORDS * WORD_BYTES);
  }

  usePart(encoder: GPUCommandEncoder, slot: number, part: number): void {
    const { stepInputs, batchInputs, plan } = this.#memory;
    const from = this.#partAt(slot, part) * WORD_BYTES;
    encoder.copyBufferToBuffer(stepInputs, from, batchInputs, 0, partWords(plan) * WORD_BYTES);
  }

  #partAt(slot: number, part: number): number {
    const { plan } = this.#memory;
    return slot * slotWords(plan) + SETTINGS_WORDS + part * partWords(plan);
  }
}
