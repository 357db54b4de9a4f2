/** What surrounds the layers, as plain loops: gathering a batch, the heavy-ball update and the elastic pull. */

import type { StepSettings } from "../../shared/engine/backend.ts";
import type { Normalisation } from "../../shared/engine/plan.ts";
import type { Numbers } from "./convolution.ts";

/** output [examples, imageElements] = (byte / 255 - mean) / deviation of the examples chosen. */
export function gatherImages(
  images: Uint8Array,
  imageElements: number,
  examples: Numbers,
  { mean, deviation }: Normalisation,
): Float64Array<ArrayBuffer> {
  const output = new Float64Array(examples.length * imageElements);
  for (let index = 0; index < output.length; index++) {
    const example = examples[Math.floor(index / imageElements)]!;
    output[index] = (images[example * imageElements + (index % imageElements)]! / 255 - mean) / deviation;
  }
  return output;
}

export function gatherLabels(labels: Uint8Array, examples: Numbers): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: examples.length }, (_, index) => labels[examples[index]!]!);
}

/** In place: v <- momentum*v - learningRate*(g + weightDecay*x) ; x <- x + v. */
export function heavyBall(
  parameters: Float64Array,
  velocity: Float64Array,
  gradient: Numbers,
  { learningRate, momentum, weightDecay }: StepSettings,
): void {
  for (let index = 0; index < parameters.length; index++) {
    const slope = gradient[index]! + weightDecay * parameters[index]!;
    velocity[index] = momentum * velocity[index]! - learningRate * slope;
    parameters[index]! += velocity[index]!;
  }
}

/** The elastic pull: parameters - movingRate * (sent - center). */
export function settled(
  parameters: Numbers,
  sent: Numbers,
  center: Numbers,
  movingRate: number,
): Float64Array<ArrayBuffer> {
  return Float64Array.from(
    { length: parameters.length },
    (_, index) => parameters[index]! - movingRate * (sent[index]! - center[index]!),
  );
}
