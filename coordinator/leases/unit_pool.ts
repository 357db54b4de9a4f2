/**
 * The examples of one epoch that nobody was given yet: the data set in units of about 256, each within one shard, in a random
 * order. What is taken comes as ranges; consecutive free units make one range, so that a long lease stays short on the wire.
 */

import { MOST_RANGES } from "../../shared/lease.ts";
import type { Random } from "../../shared/random.ts";
import type { ExampleRange } from "../../shared/sampler.ts";

const UNIT_EXAMPLES = 256;

export interface Unit extends ExampleRange {
  readonly shard: number;
}

/** Of shards of so many examples each, which lie one after the other. */
export function unitsOf(shards: readonly number[]): readonly Unit[] {
  let first = 0;
  return shards.flatMap((examples, shard) => {
    const begin = first;
    first += examples;
    const pieces = Math.ceil(examples / UNIT_EXAMPLES);
    const place = (piece: number): number => begin + Math.floor((piece * examples) / pieces);
    return Array.from({ length: pieces }, (_, piece) => ({
      shard,
      first: place(piece),
      count: place(piece + 1) - place(piece),
    }));
  });
}

export class UnitPool {
  readonly #units: readonly Unit[];
  /** Of every unit, whether it is still here. */
  readonly #isFree: Uint8Array;
  readonly #order: Uint32Array;
  /** All before this place of the order are taken. */
  #next = 0;
  #free: number;

  constructor(units: readonly Unit[], random: Random) {
    this.#units = units;
    this.#isFree = new Uint8Array(units.length).fill(1);
    this.#order = Uint32Array.from(units.keys());
    this.#free = units.length;
    random.shuffle(this.#order);
  }

  get isEmpty(): boolean {
    return this.#free === 0;
  }

  /** Examples of these shards that are still here. */
  freeIn(shards: ReadonlySet<number>): number {
    let examples = 0;
    for (const [index, { shard, count }] of this.#units.entries()) {
      if (this.#isFree[index] === 1 && shards.has(shard)) examples += count;
    }
    return examples;
  }

  /** The shard with the most free units, but for these; of several the one whose turn in the order is first. */
  fullestBut(known: ReadonlySet<number>): number | undefined {
    const free = new Map<number, number>();
    for (const index of this.#order) {
      const unit = this.#units[index];
      if (!unit || this.#isFree[index] === 0 || known.has(unit.shard)) continue;
      free.set(unit.shard, (free.get(unit.shard) ?? 0) + 1);
    }
    let fullest: number | undefined;
    for (const [shard, units] of free) {
      if (fullest === undefined || units > (free.get(fullest) ?? 0)) fullest = shard;
    }
    return fullest;
  }

  /** About so many examples of these shards; none where they have no free units. */
  take(examples: number, shards: ReadonlySet<number>): ExampleRange[] {
    const longest = Math.max(1, Math.ceil(examples / MOST_RANGES));
    const ranges: ExampleRange[] = [];
    let taken = 0;
    while (this.#next < this.#order.length && this.#isFree[this.#order[this.#next]!] === 0) this.#next++;
    for (let at = this.#next; at < this.#order.length && ranges.length < MOST_RANGES && taken < examples; at++) {
      const index = this.#order[at]!;
      const unit = this.#units[index]!;
      if (this.#isFree[index] === 0 || !shards.has(unit.shard)) continue;
      const range = this.#rangeFrom(index, longest);
      ranges.push(range);
      taken += range.count;
    }
    return ranges;
  }

  /** Takes exactly this range. False where it is not made of free units. */
  takeRange({ first, count }: ExampleRange): boolean {
    const begin = this.#units.findIndex((unit) => unit.first === first);
    if (begin < 0) return false;
    const indices: number[] = [];
    let covered = 0;
    for (let index = begin; covered < count && index < this.#units.length; index++) {
      if (this.#isFree[index] === 0) return false;
      indices.push(index);
      covered += this.#units[index]!.count;
    }
    if (covered !== count) return false;
    for (const index of indices) this.#mark(index);
    return true;
  }

  #rangeFrom(begin: number, longest: number): ExampleRange {
    const { first, shard } = this.#units[begin]!;
    let count = 0;
    for (let index = begin; ; index++) {
      const unit = this.#units[index];
      const isNext = unit !== undefined && unit.shard === shard && this.#isFree[index] === 1;
      if (!isNext || (count > 0 && count + unit.count > longest)) return { first, count };
      this.#mark(index);
      count += unit.count;
    }
  }

  #mark(index: number): void {
    this.#isFree[index] = 0;
    this.#free--;
  }
}
