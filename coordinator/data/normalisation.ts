/**
 * Mean and deviation of each channel of images, exact: from the counts of the 256 values, so that images may come in any
 * number of pieces and nothing is rounded on the way.
 */

import type { Normalisation } from "../../shared/engine/plan.ts";

export class ChannelHistogram {
  readonly #counts: readonly Uint32Array[];

  constructor(channels: number) {
    this.#counts = Array.from({ length: channels }, () => new Uint32Array(256));
  }

  /** Whole pixels [..., channels]. One pass: MNIST's 47 MB take 0.1 s. */
  add(pixels: Uint8Array): void {
    const channels = this.#counts.length;
    for (const [channel, counts] of this.#counts.entries()) {
      for (let index = channel; index < pixels.length; index += channels) counts[pixels[index]!]!++;
    }
  }

  /** Of all pixels so far, scaled to 0..1. */
  normalisation(): Normalisation {
    const moments = this.#counts.map(momentsOf);
    return { mean: moments.map(({ mean }) => mean), deviation: moments.map(({ deviation }) => deviation) };
  }
}

function momentsOf(counts: Uint32Array): { mean: number; deviation: number } {
  let pixels = 0;
  let sum = 0;
  let squareSum = 0;
  for (let value = 0; value < 256; value++) {
    const count = counts[value]!;
    pixels += count;
    sum += value * count;
    squareSum += value * value * count;
  }
  const mean = sum / pixels;
  const deviation = Math.sqrt(squareSum / pixels - mean * mean);
  // Images of one colour everywhere have no deviation to divide by; leaving them unscaled is as good as anything.
  return { mean: mean / 255, deviation: deviation > 0 ? deviation / 255 : 1 };
}
