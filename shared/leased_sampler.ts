/**
 * Which examples a step of a real replica trains on (SPEC K3): those of its leases, each in its order, as far as they are loaded; where
 * there are none, whatever is loaded, which counts for no epoch. Knows how far each lease was used, and for what of it the
 * coordinator has answered.
 */

import { leaseLength, MOST_LEASES, type Lease, type LeaseClaim } from "./lease.ts";
import { orderOf } from "./lease_order.ts";
import type { Random } from "./random.ts";
import { Sampler, type ExampleRange } from "./sampler.ts";

interface InHand {
  readonly lease: Lease;
  readonly length: number;
  /** Made when it is needed. */
  order: Uint32Array | undefined;
  isLoaded: boolean;
  /** Up to which its examples were drawn, and up to which they were in an applied exchange. */
  drawn: number;
  settled: number;
}

/** A coordinator gives fewer, and of more the oldest were taken back without a word. */
const MOST_IN_HAND = 4 * MOST_LEASES;

export class LeasedSampler {
  readonly #examples: number;
  /** Of all that is loaded. */
  readonly #others: Sampler;
  readonly #loaded: ExampleRange[] = [];
  readonly #leases = new Map<number, InHand>();

  /** Of a data set of so many examples. */
  constructor(random: Random, examples: number) {
    this.#others = new Sampler(random);
    this.#examples = examples;
  }

  /** These are loaded now. */
  add(range: ExampleRange): void {
    this.#others.add(range);
    this.#loaded.push(range);
    for (const held of this.#leases.values()) held.isLoaded ||= this.#isLoaded(held.lease);
  }

  /** Newly given ones. What no such data set has is passed over. */
  give(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const length = leaseLength(lease);
      const isSound =
        length <= this.#examples &&
        lease.from < length &&
        lease.ranges.every(({ first, count }) => first + count <= this.#examples);
      if (!isSound || this.#leases.has(lease.id)) continue;
      for (const old of this.#leases.keys()) if (this.#leases.size >= MOST_IN_HAND) this.#leases.delete(old);
      const { from } = lease;
      const isLoaded = this.#isLoaded(lease);
      this.#leases.set(lease.id, { lease, length, order: undefined, isLoaded, drawn: from, settled: from });
    }
  }

  /** All that the coordinator knows of: it takes others for given back. */
  keep(leases: readonly Lease[]): void {
    const kept = new Set(leases.map(({ id }) => id));
    for (const id of this.#leases.keys()) if (!kept.has(id)) this.#leases.delete(id);
    this.give(leases);
  }

  /** Of leases, in the order in which they are needed; not loaded yet. */
  get missing(): ExampleRange[] {
    return [...this.#leases.values()].flatMap(({ isLoaded, lease }) =>
      isLoaded ? [] : lease.ranges.filter((range) => !this.#has(range)),
    );
  }

  /** The next `batch` examples, in memory of their own. */
  draw(batch: number): Uint32Array {
    const drawn = new Uint32Array(batch);
    let filled = 0;
    for (const held of this.#leases.values()) {
      if (filled === batch) break;
      if (!held.isLoaded || held.drawn === held.length) continue;
      held.order ??= orderOf(held.lease);
      const piece = held.order.subarray(held.drawn, held.drawn + batch - filled);
      drawn.set(piece, filled);
      filled += piece.length;
      held.drawn += piece.length;
    }
    if (filled < batch) drawn.set(this.#others.draw(batch - filled), filled);
    return drawn;
  }

  /** How far leases were used since the last settled exchange: what the next push says. */
  get claims(): readonly LeaseClaim[] {
    return [...this.#leases.values()]
      .filter(({ drawn, settled }) => drawn > settled)
      .slice(0, MOST_LEASES)
      .map(({ lease, drawn }) => ({ lease: lease.id, upTo: drawn }));
  }

  /** The push that said so was applied. */
  settle(claims: readonly LeaseClaim[]): void {
    for (const { lease, upTo } of claims) {
      const held = this.#leases.get(lease);
      if (!held) continue;
      held.settled = Math.max(held.settled, upTo);
      if (held.settled === held.length) this.#leases.delete(lease);
    }
  }

  /** What was trained since the last settled exchange is given up: its examples are used again. */
  rollBack(): void {
    for (const held of this.#leases.values()) held.drawn = held.settled;
  }

  #isLoaded({ ranges }: Lease): boolean {
    return ranges.every((range) => this.#has(range));
  }

  #has({ first, count }: ExampleRange): boolean {
    return this.#loaded.some((range) => range.first <= first && first + count <= range.first + range.count);
  }
}
