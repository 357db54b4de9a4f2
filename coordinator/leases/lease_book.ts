/**
 * Who holds which examples of which epoch, how far they were used, and what is to be given next (SPEC K). Pure: no clock, no
 * socket, no file; what happened comes back as events for the run's log, from which, together with the ledger,
 * `lease_journal.ts` makes the same book again.
 */

import { leaseLength, MOST_LEASES, type Lease, type LeaseClaim } from "../../shared/lease.ts";
import { Random } from "../../shared/random.ts";
import type { LoggedEvent } from "../../shared/run_log.ts";
import type { EpochView } from "../../shared/run_view.ts";
import { UnitPool, unitsOf, type Unit } from "./unit_pool.ts";

export interface LeaseBookOptions {
  /** Examples of each shard, in the order in which they make the data set. */
  readonly shards: readonly number[];
  readonly seed: number;
}

export type LeaseEvent = Extract<LoggedEvent, { kind: "leased" | "returned" | "used" | "epoch" }>;

/** What is left of a lease whose holder left; it is given again under another number. */
type Remnant = Omit<Lease, "id">;

interface Held {
  readonly lease: Lease;
  readonly length: number;
  /** The first of its examples that no applied exchange has used. */
  at: number;
}

interface Holder {
  readonly leases: Map<number, Held>;
  /** Shards that it has, or was given examples of. */
  readonly shards: Set<number>;
  /** The last one that it did not have when it was given examples of it, until it has used some. */
  coming: number | undefined;
  /** Examples that it has used since it was given that one. */
  usedSince: number;
}

interface Epoch {
  used: number;
  /** Of several replicas, in the order in which they left. */
  remnants: Remnant[];
}

/** A lease of a few periods: shorter ones would cost a line in the log for little work. */
const FEWEST_EXAMPLES = 512;
const PERIODS_IN_LEASE = 4;
const MOST_EXAMPLES = 4096;
/** Where one period is longer than that, as many as one replica may hold have to be enough. */
const LEASES_AHEAD = 4;
/** A replica that says that its period is longer than this trains on other examples too. */
const LONGEST_PERIOD = 65_536;

export class LeaseBook {
  readonly examples: number;
  readonly #units: readonly Unit[];
  readonly #seed: number;
  readonly #holders = new Map<string, Holder>();
  /** Those that are not complete. */
  readonly #epochs = new Map<number, Epoch>();
  /** Of the newest epoch, what nobody was given yet. */
  #pool: UnitPool | undefined;
  #newest = 0;
  #lastId = 0;

  constructor({ shards, seed }: LeaseBookOptions) {
    this.#units = unitsOf(shards);
    this.#seed = seed;
    this.examples = shards.reduce((sum, examples) => sum + examples, 0);
  }

  /** The replica has these shards of the data set; unknown ones mean nothing. */
  has(replica: string, shards: readonly number[]): void {
    const holder = this.#holderOf(replica);
    for (const shard of shards) holder.shards.add(shard);
  }

  /** What the replica holds, each from where it was used up to. */
  heldBy(replica: string): Lease[] {
    const held = this.#holders.get(replica)?.leases.values() ?? [];
    return Array.from(held, ({ lease, at }) => ({ ...lease, from: at }));
  }

  /** What the replica is given now, so that it has examples for the next periods of `periodExamples` each. */
  topUp(replica: string, periodExamples: number): Lease[] {
    const holder = this.#holderOf(replica);
    const period = Math.min(Math.max(1, periodExamples), LONGEST_PERIOD);
    // While one period is answered the next one is under way, and on a slow line the one after it has begun.
    const wanted = 2 * period + Math.min(period, FEWEST_EXAMPLES * PERIODS_IN_LEASE);
    const size = Math.max(
      FEWEST_EXAMPLES,
      Math.min(PERIODS_IN_LEASE * period, MOST_EXAMPLES),
      Math.ceil(wanted / LEASES_AHEAD),
    );
    const given: Lease[] = [];
    while (this.examples > 0 && holder.leases.size < MOST_LEASES && aheadOf(holder) < wanted) {
      given.push(this.#hold(holder, { id: ++this.#lastId, ...this.#next(holder, size) }).lease);
    }
    const shard = this.#nextShard(holder, wanted);
    if (shard !== undefined) {
      const id = ++this.#lastId;
      given.push(this.#hold(holder, { id, ...this.#ofShard(shard, size) }).lease);
    }
    return given;
  }

  /**
   * What an applied push of `samples` says of its leases, as far as it can be: of leases that the replica holds, forward, to the
   * lease's end at most, and no more examples than samples.
   */
  claim(
    replica: string,
    claims: readonly LeaseClaim[],
    samples: number,
  ): { readonly accepted: readonly LeaseClaim[]; readonly events: readonly LeaseEvent[] } {
    const holder = this.#holders.get(replica);
    const accepted: LeaseClaim[] = [];
    const events: LeaseEvent[] = [];
    let left = samples;
    for (const { lease, upTo } of claims) {
      const held = holder?.leases.get(lease);
      if (!holder || !held || upTo > held.length) continue;
      const used = Math.min(upTo - held.at, left);
      if (used <= 0) continue;
      left -= used;
      accepted.push({ lease, upTo: held.at + used });
      events.push(...this.#use(holder, held, used));
    }
    return { accepted, events };
  }

  /** The replica's place is free, or it did not get these leases: what its applied exchanges had not used is for others. */
  giveBack(replica: string, ids?: readonly number[]): LeaseEvent[] {
    const holder = this.#holders.get(replica);
    if (!holder) return [];
    const given = ids ? ids.flatMap((id) => holder.leases.get(id) ?? []) : [...holder.leases.values()];
    if (!ids) this.#holders.delete(replica);
    return given.map((held) => this.#putBack(holder, held));
  }

  view(): EpochView {
    const [oldest = this.#newest + 1] = this.#epochs.keys();
    let leased = 0;
    for (const { leases } of this.#holders.values()) {
      for (const { lease, length, at } of leases.values()) if (lease.epoch === oldest) leased += length - at;
    }
    return { epoch: oldest, examples: this.examples, leased, used: this.#epochs.get(oldest)?.used ?? 0 };
  }

  /**
   * Brings back, from the log of an earlier coordinator, a lease that was given; `upTo`: what the ledger says of it. A sentence where
   * it cannot have been given.
   */
  recall(replica: string, lease: Lease, upTo: number): string | undefined {
    while (this.#newest < lease.epoch) this.#beginEpoch();
    this.reserve(lease.id);
    const problem = this.#recallExamples(lease);
    if (problem !== undefined) return problem;
    const held = this.#hold(this.#holderOf(replica), lease);
    const used = Math.min(upTo, held.length) - held.at;
    if (used > 0) {
      held.at += used;
      this.#epochOf(lease).used += used;
    }
    return undefined;
  }

  /** The log says that it came back, or that it was used up. */
  recallEnd(id: number): void {
    for (const holder of this.#holders.values()) {
      const held = holder.leases.get(id);
      if (!held) continue;
      if (held.at < held.length) this.#putBack(holder, held);
      else holder.leases.delete(id);
    }
  }

  /** This number is not given again. */
  reserve(id: number): void {
    this.#lastId = Math.max(this.#lastId, id);
  }

  /** The log says that the epoch is complete. */
  recallEpoch(epoch: number): void {
    if (this.#epochs.get(epoch)?.used === this.examples) this.#epochs.delete(epoch);
  }

  /** Nobody is connected to the new coordinator: all that is held comes back. Returns what the log does not say yet. */
  recalled(): LeaseEvent[] {
    const events: LeaseEvent[] = [];
    for (const holder of this.#holders.values()) {
      for (const held of holder.leases.values()) {
        if (held.at < held.length) events.push(this.#putBack(holder, held));
        else events.push({ kind: "used", lease: held.lease.id });
      }
    }
    this.#holders.clear();
    for (const epoch of this.#epochs.keys()) events.push(...this.#completed(epoch));
    return events;
  }

  /** Older epochs first; of one epoch what is of shards that the replica has. */
  #next(holder: Holder, size: number): Remnant {
    for (const [number, epoch] of this.#epochs) {
      const known = epoch.remnants.findIndex((remnant) => this.#isOf(remnant, holder.shards));
      const isOlder = number < this.#newest;
      const remnant = this.#takeRemnant(epoch, known < 0 && isOlder ? 0 : known);
      if (remnant) return remnant;
    }
    const hasMore = this.#pool?.isEmpty === false || (this.#epochs.get(this.#newest)?.remnants.length ?? 0) > 0;
    if (!hasMore) this.#beginEpoch();
    return this.#fromNewest(holder, size);
  }

  #fromNewest(holder: Holder, size: number): Remnant {
    const epoch = this.#newestEpoch;
    const pool = this.#pool;
    const known = pool?.take(size, holder.shards) ?? [];
    if (known.length > 0) return this.#newLease(known);
    const remnant = this.#takeRemnant(epoch, 0);
    if (remnant) return remnant;
    const shard = pool?.fullestBut(holder.shards);
    if (shard === undefined) throw new Error("invariant violation: an epoch that began has nothing to give");
    return this.#ofShard(shard, size);
  }

  /**
   * A shard that the replica is given examples of although it does not have it, one at a time: early enough to load it before those
   * of the others are used up, and whenever it has gone once more through those that it has, so that nobody trains on a few
   * shards for ever.
   */
  #nextShard(holder: Holder, wanted: number): number | undefined {
    const { coming, shards, leases, usedSince } = holder;
    if (coming !== undefined || leases.size >= MOST_LEASES || !this.#pool || this.#pool.isEmpty) return undefined;
    const isShort = this.#pool.freeIn(shards) + aheadOf(holder) < 2 * wanted;
    return isShort || usedSince >= this.#examplesIn(shards) ? this.#pool.fullestBut(shards) : undefined;
  }

  #ofShard(shard: number, size: number): Remnant {
    return this.#newLease(this.#pool?.take(size, new Set([shard])) ?? []);
  }

  #examplesIn(shards: ReadonlySet<number>): number {
    return this.#units.reduce((sum, { shard, count }) => sum + (shards.has(shard) ? count : 0), 0);
  }

  #newLease(ranges: Lease["ranges"]): Remnant {
    // Of the lease's own number, so that no two leases of a run have one order.
    const seed = new Random((this.#seed + Math.imul(this.#lastId, 0x9e3779b1)) >>> 0).bits();
    return { epoch: this.#newest, ranges, seed, from: 0 };
  }

  #takeRemnant(epoch: Epoch, index: number): Remnant | undefined {
    return index < 0 ? undefined : epoch.remnants.splice(index, 1)[0];
  }

  #isOf({ ranges }: Remnant, shards: ReadonlySet<number>): boolean {
    return ranges.every(({ first }) => shards.has(this.#shardOf(first)));
  }

  #hold(holder: Holder, lease: Lease): Held {
    const held = { lease, length: leaseLength(lease), at: lease.from };
    holder.leases.set(lease.id, held);
    for (const { first } of lease.ranges) this.#expect(holder, this.#shardOf(first));
    return held;
  }

  #expect(holder: Holder, shard: number): void {
    if (holder.shards.has(shard)) return;
    holder.shards.add(shard);
    holder.coming = shard;
    holder.usedSince = 0;
  }

  #use(holder: Holder, held: Held, used: number): LeaseEvent[] {
    const { lease, length } = held;
    held.at += used;
    holder.usedSince += used;
    if (lease.ranges.some(({ first }) => this.#shardOf(first) === holder.coming)) holder.coming = undefined;
    this.#epochOf(lease).used += used;
    if (held.at < length) return [];
    holder.leases.delete(lease.id);
    return [{ kind: "used", lease: lease.id }, ...this.#completed(lease.epoch)];
  }

  #completed(epoch: number): LeaseEvent[] {
    if (this.#epochs.get(epoch)?.used !== this.examples) return [];
    this.#epochs.delete(epoch);
    return [{ kind: "epoch", epoch, examples: this.examples }];
  }

  #putBack(holder: Holder, { lease: { id, ...lease }, at }: Held): LeaseEvent {
    holder.leases.delete(id);
    this.#epochOf(lease).remnants.push({ ...lease, from: at });
    return { kind: "returned", lease: id, from: at };
  }

  #recallExamples(lease: Lease): string | undefined {
    const epoch = this.#epochs.get(lease.epoch);
    const [first] = lease.ranges;
    // In one epoch no two leases begin with the same example.
    const known = epoch?.remnants.findIndex(({ ranges }) => ranges[0]?.first === first?.first) ?? -1;
    if (epoch && this.#takeRemnant(epoch, known)) return undefined;
    const isFree = lease.epoch === this.#newest && lease.ranges.every((range) => this.#pool?.takeRange(range));
    return isFree ? undefined : `lease ${lease.id} is of examples that this data set does not have, or of others' ones`;
  }

  #beginEpoch(): void {
    const random = new Random((this.#seed ^ Math.imul(++this.#newest, 0x85ebca6b)) >>> 0);
    this.#pool = new UnitPool(this.#units, random);
    this.#epochs.set(this.#newest, { used: 0, remnants: [] });
  }

  get #newestEpoch(): Epoch {
    return this.#epochOf({ epoch: this.#newest });
  }

  #epochOf({ epoch }: { readonly epoch: number }): Epoch {
    const found = this.#epochs.get(epoch);
    if (!found) throw new Error(`invariant violation: epoch ${epoch} has leases and is complete`);
    return found;
  }

  #holderOf(replica: string): Holder {
    const known = this.#holders.get(replica);
    if (known) return known;
    const holder: Holder = { leases: new Map(), shards: new Set(), coming: undefined, usedSince: 0 };
    this.#holders.set(replica, holder);
    return holder;
  }

  #shardOf(example: number): number {
    let low = 0;
    let high = this.#units.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#units[middle]!.first <= example) low = middle;
      else high = middle - 1;
    }
    return this.#units[low]?.shard ?? 0;
  }
}

function aheadOf({ leases }: Holder): number {
  let ahead = 0;
  for (const { length, at } of leases.values()) ahead += length - at;
  return ahead;
}
