/**
 * What the entrance exam is taken on. Everything follows from the run's seed, so that coordinator and replica have the same
 * without sending it: images, labels, parameters, and the pattern that fills the tensors before an operation.
 */

import { elementsOf } from "../../model/model.ts";
import { initialParameters } from "../../model/layout.ts";
import { Random } from "../../random.ts";
import type { Plan } from "../plan.ts";

/** A prime, so that rows and images of a tensor get different values. 1 MB. */
const PATTERN_ELEMENTS = 262_139;
/** Of a constant's initial value (bias, scale, running statistics): a kernel that leaves it out is seen. */
const CONSTANT_SPREAD = 0.25;

export interface ExamExamples {
  readonly images: Uint8Array<ArrayBuffer>;
  readonly labels: Uint8Array<ArrayBuffer>;
  /** A whole batch of indices; some come twice where the data set is smaller than a batch. */
  readonly batch: Uint32Array<ArrayBuffer>;
}

export function examExamples({ batch, datasetExamples, model }: Plan, seed: number): ExamExamples {
  const random = new Random(seed ^ 0x0e8a_0001);
  const count = Math.min(batch, datasetExamples);
  return {
    images: new Uint8Array(count * elementsOf(model.input)).map(() => random.below(256)),
    labels: new Uint8Array(count).map(() => random.below(model.classes)),
    batch: Uint32Array.from({ length: batch }, (_, index) => index % count),
  };
}

export function examParameters({ layout }: Plan, seed: number): Float32Array<ArrayBuffer> {
  const parameters = initialParameters(layout, seed);
  const random = new Random(seed ^ 0x0e8a_0002);
  for (const { offset, elements, initial } of layout.tensors) {
    if (initial.bound > 0) continue;
    for (let at = offset; at < offset + elements; at++) parameters[at]! += CONSTANT_SPREAD * (2 * random.uniform() - 1);
  }
  return parameters;
}

/**
 * Multiples of 1/256 from -2 to 2: exact in f16 too, so that storing them shorter moves no maximum and no sign. That is why
 * a correct device makes the choices of a max-pool and the masks of a relu exactly as the coordinator's does.
 */
export function examPattern(seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed ^ 0x0e8a_0003);
  return new Float32Array(PATTERN_ELEMENTS).map(() => (random.below(1024) - 512) / 256);
}
