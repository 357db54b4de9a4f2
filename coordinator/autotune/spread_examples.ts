/** A part of a training set, evenly spread over it: what the optimizer compares losses on. */

import type { Examples } from "../data/dataset.ts";

export function evenlySpread(all: Examples, atMost: number): Examples {
  const count = Math.min(atMost, all.count);
  const imageBytes = all.images.length / all.count;
  const images = new Uint8Array(count * imageBytes);
  const labels = new Uint8Array(count);
  for (let index = 0; index < count; index++) {
    const example = Math.floor((index * all.count) / count);
    images.set(all.images.subarray(example * imageBytes, (example + 1) * imageBytes), index * imageBytes);
    labels[index] = all.labels[example] ?? 0;
  }
  return { ...all, images, labels, count };
}
