/**
 * MNIST as a sparse problem: a feature is a pattern of 3 x 3 lit pixels (above one half) at a place, one of 676 * 512, of which an
 * image has about 200. Two updates touch few of the same weights. Kept as compressed rows in shared memory, for all threads of
 * a race.
 */

import type { Examples } from "../../data/dataset.ts";

export interface SparseExamples {
  readonly count: number;
  /** Of example i, the features are `features[offsets[i]]` up to `features[offsets[i + 1]]`. */
  readonly offsets: Uint32Array<SharedArrayBuffer>;
  readonly features: Uint32Array<SharedArrayBuffer>;
  readonly labels: Uint8Array<SharedArrayBuffer>;
}

const SIDE = 28;
const PATCH = 3;
const PLACES = (SIDE - PATCH + 1) ** 2;
const PATTERNS = 2 ** (PATCH * PATCH);
const FEATURES = PLACES * PATTERNS;
export const CLASSES = 10;
/** [feature, class] */
export const WEIGHTS = FEATURES * CLASSES;
const LIT = 127;

export function sparsified({ images, labels, count }: Examples): SparseExamples {
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (count + 1)));
  const found = new Uint32Array(count * PLACES);
  let end = 0;
  for (let example = 0; example < count; example++) {
    const image = images.subarray(example * SIDE * SIDE, (example + 1) * SIDE * SIDE);
    for (let place = 0; place < PLACES; place++) {
      const pattern = patternAt(image, place);
      // A place where nothing is drawn says little, and would make the problem dense.
      if (pattern !== 0) found[end++] = place * PATTERNS + pattern;
    }
    offsets[example + 1] = end;
  }
  const features = new Uint32Array(new SharedArrayBuffer(4 * end));
  features.set(found.subarray(0, end));
  const shared = new Uint8Array(new SharedArrayBuffer(count));
  shared.set(labels);
  return { count, offsets, features, labels: shared };
}

/** Nine bits. */
function patternAt(image: Uint8Array, place: number): number {
  const across = SIDE - PATCH + 1;
  const first = Math.floor(place / across) * SIDE + (place % across);
  let pattern = 0;
  for (let row = 0; row < PATCH; row++) {
    for (let column = 0; column < PATCH; column++) {
      pattern = 2 * pattern + (image[first + row * SIDE + column]! > LIT ? 1 : 0);
    }
  }
  return pattern;
}

/** Into `scores`, one for each class. */
export function scoresOf(examples: SparseExamples, example: number, weights: Float32Array, scores: Float64Array): void {
  const { offsets, features } = examples;
  scores.fill(0);
  for (let at = offsets[example]!; at < offsets[example + 1]!; at++) {
    const row = features[at]! * CLASSES;
    for (let label = 0; label < CLASSES; label++) scores[label]! += weights[row + label]!;
  }
}

export function accuracyOf(examples: SparseExamples, weights: Float32Array): number {
  const scores = new Float64Array(CLASSES);
  let right = 0;
  for (let example = 0; example < examples.count; example++) {
    scoresOf(examples, example, weights, scores);
    if (scores.indexOf(Math.max(...scores)) === examples.labels[example]) right++;
  }
  return right / examples.count;
}
