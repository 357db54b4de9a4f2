/** Evaluations of a simulation's center: the same test images each time, on the thread that simulates. */

import type { VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import type { Judgement } from "./arithmetic.ts";

/** Images that are looked at together. */
export const JUDGED_TOGETHER = 100;

export class Judge {
  readonly #program: VirtualProgram;
  readonly #images: Uint32Array;
  readonly #parameters: Float32Array<ArrayBuffer>;

  /** `program` holds all test examples; it looks at whole batches, so that a rest of fewer images is left out. */
  constructor(program: VirtualProgram, testImages: number) {
    const { batch, datasetExamples, layout } = program.plan;
    this.#program = program;
    this.#images = stridden(datasetExamples, Math.min(testImages, datasetExamples), batch);
    this.#parameters = new Float32Array(layout.elements);
  }

  get memoryBytes(): number {
    return this.#program.memoryBytes;
  }

  judge(center: Float32Array): Judgement {
    const { batch, layout } = this.#program.plan;
    this.#parameters.set(center);
    liftVariances(this.#parameters, layout);
    let correct = 0;
    let loss = 0;
    const batches = this.#images.length / batch;
    for (let at = 0; at < batches; at++) {
      const judged = this.#program.evaluateAt(this.#parameters, this.#images.subarray(at * batch, (at + 1) * batch));
      correct += judged.correct;
      loss += judged.meanLoss / batches;
    }
    return { accuracy: correct / this.#images.length, loss };
  }
}

/** About `count` of `examples` images, evenly, because test sets are often sorted; a multiple of `batch`. */
function stridden(examples: number, count: number, batch: number): Uint32Array {
  const whole = Math.max(batch, Math.floor(count / batch) * batch);
  return Uint32Array.from({ length: whole }, (_, index) => Math.floor((index * examples) / whole));
}

/** SPEC E9: a variance that pulls have brought below zero counts as zero. In place. */
function liftVariances(parameters: Float32Array, { tensors }: ParameterLayout): void {
  for (const { name, offset, elements } of tensors) {
    if (!name.endsWith(".variance")) continue;
    for (let at = offset; at < offset + elements; at++) parameters[at] = Math.max(0, parameters[at]!);
  }
}
