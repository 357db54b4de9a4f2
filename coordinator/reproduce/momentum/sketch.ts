/**
 * Random projections of long vectors: each element is added with a random sign to one of a few buckets (Charikar, Chen and
 * Farach-Colton 2002). Inner products are kept in the mean, and what is linear in the vectors holds for their sketches
 * exactly, so that one regression over the buckets stands for all the coordinates.
 */

import { Random } from "../../../shared/random.ts";

export class Sketch {
  readonly buckets: number;
  readonly #bucketOf: Uint32Array;
  readonly #signs: Int8Array;

  constructor(elements: number, buckets: number, seed: number) {
    const random = new Random(seed);
    this.buckets = buckets;
    this.#bucketOf = Uint32Array.from({ length: elements }, () => random.below(buckets));
    this.#signs = Int8Array.from({ length: elements }, () => (random.below(2) === 0 ? -1 : 1));
  }

  /** Writes the sketch of `vector` into `target` from `offset` on. */
  write(vector: Float32Array, target: Float32Array, offset: number): void {
    const sums = new Float64Array(this.buckets);
    for (let index = 0; index < vector.length; index++) {
      const bucket = this.#bucketOf[index] ?? 0;
      sums[bucket] = (sums[bucket] ?? 0) + (this.#signs[index] ?? 0) * (vector[index] ?? 0);
    }
    target.set(sums, offset);
  }
}
