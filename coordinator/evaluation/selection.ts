/**
 * Which held-out images an evaluation looks at: a rotating subset in between, all of them when it counts. The subsets are
 * strided, because test sets are often sorted (MNIST's second half is harder than its first), and together they are all.
 */

export interface EvaluationRequest {
  readonly scope: "subset" | "all";
  /** Which subset; consecutive turns look at different images. */
  readonly turn: number;
  /** With `all`: end as soon as this accuracy can no longer be reached. Null: never. */
  readonly stopWhenBelow: number | null;
}

/** About this many, whatever the size of the test set. */
const SUBSET_IMAGES = 1000;

/** How many subsets make up the whole test set. */
export function subsetCount(testExamples: number): number {
  return Math.max(1, Math.round(testExamples / SUBSET_IMAGES));
}

/** Indices into the test set; every one occurs once. */
export function selectImages(testExamples: number, { scope, turn }: EvaluationRequest): Uint32Array<ArrayBuffer> {
  const subsets = subsetCount(testExamples);
  const first = turn % subsets;
  const turns = scope === "subset" ? [first] : Array.from({ length: subsets }, (_, index) => index);
  const images: number[] = [];
  for (const offset of turns) for (let image = offset; image < testExamples; image += subsets) images.push(image);
  return Uint32Array.from(images);
}

/** True when even a right answer to all remaining images would not lead to `accuracy`. */
export function isOutOfReach(accuracy: number, correct: number, remaining: number, images: number): boolean {
  // The margin keeps 0.98 * 10,000 from being 9,800.000000000001.
  return correct + remaining < accuracy * images - 1e-6;
}
