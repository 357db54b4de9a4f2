/**
 * A few held-out images that the volunteer's page offers to those who want to try the model: one of each class where there are
 * few classes. Nobody trains on them.
 */

import type { Dataset } from "./dataset.ts";
import { Shard } from "./shards.ts";

const MOST_SAMPLES = 12;

/** A piece like those of the training set, named by its content too. */
export function cutSamples({ name, test, classes }: Dataset): Shard {
  const indices = classes <= MOST_SAMPLES ? oneOfEach(test.labels, classes) : [...test.labels.keys()];
  const taken = indices.slice(0, MOST_SAMPLES);
  const imageBytes = test.images.length / test.count;
  const images = taken.map((index) => test.images.subarray(index * imageBytes, (index + 1) * imageBytes));
  return new Shard(name, Buffer.concat(images), Buffer.from(taken.map((index) => test.labels[index]!)));
}

/** The first of each class, in the order of the classes; a class that no held-out image has is left out. */
function oneOfEach(labels: Uint8Array, classes: number): number[] {
  return Array.from({ length: classes }, (_, label) => labels.indexOf(label)).filter((index) => index >= 0);
}
