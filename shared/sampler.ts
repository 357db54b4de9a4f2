/**
 * Which examples a step of a replica trains on, real or simulated: random orders of all loaded examples, one after the other,
 * so that each example comes once per epoch. Shards that arrive later are shuffled into what is left of the running epoch.
 */

import { Random } from "./random.ts";

/** Examples `first` to `first + count - 1` of the data set on the device. */
export interface ExampleRange {
  readonly first: number;
  readonly count: number;
}

export class Sampler {
  readonly #random: Random;
  /** Every loaded example; the first `#drawn` of them were drawn in this epoch. */
  #order = new Uint32Array(0);
  #drawn = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get examples(): number {
    return this.#order.length;
  }

  add({ first, count }: ExampleRange): void {
    const grown = new Uint32Array(this.#order.length + count);
    grown.set(this.#order);
    for (let index = 0; index < count; index++) grown[this.#order.length + index] = first + index;
    this.#order = grown;
    this.#random.shuffle(this.#order.subarray(this.#drawn));
  }

  /** The next `batch` examples, in memory of their own. A batch may end one epoch and begin the next. */
  draw(batch: number): Uint32Array {
    if (this.#order.length === 0)
      throw new Error("invariant violation: a batch was asked for before any example was loaded");
    const drawn = new Uint32Array(batch);
    let filled = 0;
    while (filled < batch) {
      if (this.#drawn === this.#order.length) this.#beginEpoch();
      const piece = this.#order.subarray(this.#drawn, this.#drawn + batch - filled);
      drawn.set(piece, filled);
      filled += piece.length;
      this.#drawn += piece.length;
    }
    return drawn;
  }

  #beginEpoch(): void {
    this.#random.shuffle(this.#order);
    this.#drawn = 0;
  }
}

/** A generator that differs from replica to replica of one run, and is the same when a run is repeated. */
export function randomFor(seed: number, replicaId: string): Random {
  // FNV-1a, 32 bits: ids that differ in one character get unrelated seeds.
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < replicaId.length; index++) {
    hash = Math.imul(hash ^ replicaId.charCodeAt(index), 0x01000193);
  }
  return new Random(hash >>> 0);
}
