/**
 * Big products are measured over fewer images: what decides between two kernels is the geometry of a window, not how often it
 * is repeated. Times are scaled back to the whole batch, and the result says how many images were measured.
 */

import type { Candidate, Product } from "../choice/candidate.ts";
import { withBatch } from "../choice/shape.ts";

/** As many images of `batch` as take about `limitMs`, at least one, where all of them take `wholeMs`. */
export function imagesWithin(limitMs: number, wholeMs: number, batch: number): number {
  if (!(wholeMs > limitMs)) return batch;
  return Math.max(1, Math.floor((batch * limitMs) / wholeMs));
}

export function reducedProduct({ pass, window }: Product, images: number): Product {
  return { pass, window: withBatch(window, images) };
}

/** The same kernel over fewer images: no more are lowered at once than there are, and splits stay as long as they were. */
export function reducedCandidate(candidate: Candidate, batch: number, images: number): Candidate {
  return {
    ...candidate,
    images: Math.min(candidate.images, images),
    splits: Math.max(1, Math.round((candidate.splits * images) / batch)),
  };
}
