/** What surrounds the layers, as plain loops: gathering a batch, the heavy-ball update and the elastic pull. */

import { augmentationOf, type Augmentation } from "../../shared/engine/dice.ts";
import type { StepSettings } from "../../shared/engine/backend.ts";
import { channelValue, type Normalisation } from "../../shared/engine/plan.ts";
import type { ImageShape } from "../../shared/model/model.ts";
import type { Numbers } from "./convolution.ts";

/** How the images of a batch are turned into the input. */
export interface Gathering {
  readonly shape: ImageShape;
  readonly normalisation: Normalisation;
  /** Undefined: as they are. */
  readonly augmentation: Augmentation | undefined;
  readonly seed: number;
  readonly draw: number;
  /** Bytes are taken as numbers. */
  readonly tokens: boolean;
}

/** output [examples, height, width, channels] = (byte / 255 - mean) / deviation of the examples chosen. */
export function gatherImages(images: Uint8Array, examples: Numbers, how: Gathering): Float64Array<ArrayBuffer> {
  const { height, width, channels } = how.shape;
  const output = new Float64Array(examples.length * height * width * channels);
  for (let index = 0; index < examples.length; index++) {
    const { dy, dx, flipped } = how.augmentation
      ? augmentationOf(how.augmentation, how.seed, how.draw, index)
      : { dy: 0, dx: 0, flipped: false };
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const fromY = y + dy;
        const fromX = (flipped ? width - 1 - x : x) + dx;
        if (fromY < 0 || fromY >= height || fromX < 0 || fromX >= width) continue;
        for (let channel = 0; channel < channels; channel++) {
          const byte = images[((examples[index]! * height + fromY) * width + fromX) * channels + channel]!;
          const at = ((index * height + y) * width + x) * channels + channel;
          output[at] = how.tokens ? byte : normalised(byte, channel, how.normalisation);
        }
      }
    }
  }
  return output;
}

function normalised(byte: number, channel: number, { mean, deviation }: Normalisation): number {
  return (byte / 255 - channelValue(mean, channel)) / channelValue(deviation, channel);
}

export function gatherLabels(labels: Uint8Array, examples: Numbers): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: examples.length }, (_, index) => labels[examples[index]!]!);
}

/** In place: v <- momentum*v - learningRate*(g + weightDecay*x) ; x <- x + v, over the first `elements`. */
export function heavyBall(
  parameters: Float64Array,
  velocity: Float64Array,
  gradient: Numbers,
  { learningRate, momentum, weightDecay }: StepSettings,
  elements: number,
): void {
  for (let index = 0; index < elements; index++) {
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
