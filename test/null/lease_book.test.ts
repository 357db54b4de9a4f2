/** Who is given which examples: coordinator/leases/lease_book.ts and lease_journal.ts, under random churn. */

import { expect, test } from "vitest";
import { LeaseBook, type LeaseEvent } from "../../coordinator/leases/lease_book.ts";
import { restoredLeases } from "../../coordinator/leases/lease_journal.ts";
import { unitsOf } from "../../coordinator/leases/unit_pool.ts";
import { leaseLength, MOST_LEASES, MOST_RANGES, type Lease, type LeaseClaim } from "../../shared/lease.ts";
import { orderOf } from "../../shared/lease_order.ts";
import { Random } from "../../shared/random.ts";
import type { RunEvent } from "../../shared/run_log.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import { TYPE } from "../../shared/wire/messages.ts";
import { auditLeases, type AuditedExchange } from "../support/lease_audit.ts";

const SHARDS = [1000, 1000, 700];
const EXAMPLES = 2700;

/** A lease as its replica has it. */
interface InHand {
  readonly lease: Lease;
  drawn: number;
  settled: number;
}

interface Volunteer {
  readonly id: string;
  readonly period: number;
  readonly leases: Map<number, InHand>;
  exchange: number;
}

/** Volunteers that come, train, get refusals and vanish, and a coordinator that is killed, in an order that a seed gives. */
class Churn {
  readonly random: Random;
  readonly log: LeaseEvent[] = [];
  readonly ledger: AuditedExchange[] = [];
  readonly volunteers: Volunteer[] = [];
  book: LeaseBook;
  #joined = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.book = new LeaseBook({ shards: SHARDS, seed });
  }

  async happen(): Promise<void> {
    const { random } = this;
    const dice = random.uniform();
    const volunteer = this.volunteers[random.below(Math.max(1, this.volunteers.length))];
    if (!volunteer || (dice < 0.08 && this.volunteers.length < 6)) return this.#join();
    if (dice < 0.14) return this.#vanish(volunteer);
    if (dice < 0.15) return this.#restart();
    await this.#push(volunteer, dice < 0.25);
  }

  #join(): void {
    const volunteer = {
      id: `r${++this.#joined}`,
      period: 1 + this.random.below(400),
      leases: new Map<number, InHand>(),
      exchange: 0,
    };
    this.volunteers.push(volunteer);
    this.book.has(volunteer.id, [this.random.below(SHARDS.length)]);
    this.#topUp(volunteer);
  }

  #vanish(volunteer: Volunteer): void {
    this.volunteers.splice(this.volunteers.indexOf(volunteer), 1);
    this.log.push(...this.book.giveBack(volunteer.id));
  }

  /** kill -9: the book is what log and ledger say; volunteers return without leases. */
  async #restart(): Promise<void> {
    const seed = this.random.below(100);
    const { book, owed } = await restoredLeases({ shards: SHARDS, seed }, logged(this.log), this.ledger);
    this.book = book;
    this.log.push(...owed);
    for (const volunteer of this.volunteers) {
      volunteer.leases.clear();
      this.#topUp(volunteer);
    }
  }

  async #push(volunteer: Volunteer, isRefused: boolean): Promise<void> {
    this.#train(volunteer);
    const leased = [...volunteer.leases.values()]
      .filter(({ drawn, settled }) => drawn > settled)
      .map(({ lease, drawn }) => ({ lease: lease.id, upTo: drawn }));
    const samples = volunteer.period;
    const exchange = ++volunteer.exchange;
    if (isRefused) {
      for (const held of volunteer.leases.values()) held.drawn = held.settled;
      this.ledger.push({ replica: volunteer.id, exchange, verdict: "TOO_STALE", samples });
      return;
    }
    const lies = this.#lies().filter(({ lease }) => !volunteer.leases.has(lease));
    const { accepted, events } = this.book.claim(volunteer.id, [...leased, ...lies], samples);
    expect(accepted).toEqual(leased);
    this.ledger.push({ replica: volunteer.id, exchange, verdict: "applied", samples, leased: accepted });
    // Killed when the ledger had its line, and before anybody heard of it.
    if (this.random.uniform() < 0.02) return this.#restart();
    this.log.push(...events);
    this.#settle(volunteer, leased);
    this.#topUp(volunteer);
  }

  /** Claims of leases that others hold, or that nobody holds any more. */
  #lies(): LeaseClaim[] {
    const others = this.volunteers.flatMap(({ leases }) => [...leases.keys()]);
    return [others[this.random.below(others.length)] ?? 1, 1 + this.random.below(20)].map((lease) => ({
      lease,
      upTo: 9,
    }));
  }

  #train({ leases, period }: Volunteer): void {
    let left = period;
    for (const held of leases.values()) {
      const used = Math.min(left, leaseLength(held.lease) - held.drawn);
      held.drawn += used;
      left -= used;
    }
  }

  #settle({ leases }: Volunteer, claims: readonly LeaseClaim[]): void {
    for (const { lease, upTo } of claims) {
      const held = leases.get(lease)!;
      held.settled = upTo;
      if (upTo === leaseLength(held.lease)) leases.delete(lease);
    }
  }

  #topUp({ id, period, leases }: Volunteer): void {
    for (const lease of this.book.topUp(id, period)) {
      this.log.push({ kind: "leased", replica: id, lease });
      leases.set(lease.id, { lease, drawn: lease.from, settled: lease.from });
    }
    expect(leases.size).toBeLessThanOrEqual(MOST_LEASES);
  }
}

async function* logged(events: readonly LeaseEvent[]): AsyncGenerator<RunEvent> {
  for (const event of events) yield { at: "", seconds: 0, ...event };
}

test("[K1] [K5] [K6] Whoever comes, leaves, is refused or killed: every example of every complete epoch is used exactly once", async () => {
  let epochs = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const churn = new Churn(seed);
    for (let event = 0; event < 300; event++) await churn.happen();
    const audit = auditLeases(EXAMPLES, churn.log, churn.ledger);
    expect(audit, `seed ${seed}`).toMatchObject({ duplicates: 0, missing: 0, problems: [] });
    epochs += audit.epochs;
  }
  expect(epochs).toBeGreaterThan(120);
});

test("The audit sees an example that is used twice, one that is lost, and a claim that nobody may make", () => {
  const lease = { id: 1, epoch: 1, ranges: [{ first: 0, count: 10 }], seed: 3, from: 0 };
  const leased = { kind: "leased", replica: "r1", lease } as const;
  const line = { replica: "r1", exchange: 1, verdict: "applied", samples: 10, leased: [{ lease: 1, upTo: 10 }] };
  const ends = [{ kind: "used", lease: 1 } as const, { kind: "epoch", epoch: 1, examples: 10 } as const];
  expect(auditLeases(10, [leased, ...ends], [line])).toMatchObject({
    epochs: 1,
    duplicates: 0,
    missing: 0,
    problems: [],
  });
  const again = { kind: "leased", replica: "r2", lease: { ...lease, id: 2, from: 4 } } as const;
  expect(auditLeases(10, [leased, again, ...ends], [line]).duplicates).toBeGreaterThanOrEqual(6);
  expect(auditLeases(10, [leased, again], [line]).duplicates).toBeGreaterThan(0);
  expect(auditLeases(12, [leased, ...ends], [line]).missing).toBe(2);
  expect(auditLeases(10, [leased, ...ends], [{ ...line, replica: "r2" }]).problems).toHaveLength(1);
  const returned = { kind: "returned", lease: 1, from: 4 } as const;
  expect(auditLeases(10, [leased, returned], [line]).problems).toHaveLength(1);
});

test("[K2] A replica is given examples of shards that it has while the epoch has some, then of one more shard", () => {
  const book = new LeaseBook({ shards: [1000, 1000, 1000], seed: 1 });
  book.has("r1", [1]);
  let exchange = 0;
  let inShard = 0;
  const others: Lease[] = [];
  for (let period = 0; period < 6; period++) {
    for (const lease of book.topUp("r1", 200)) {
      const isKnown = lease.ranges.every(({ first }) => first >= 1000 && first < 2000);
      if (isKnown) inShard += leaseLength(lease);
      else others.push(lease);
      expect(book.claim("r1", [{ lease: lease.id, upTo: leaseLength(lease) }], 9999).accepted).toHaveLength(1);
      exchange++;
    }
  }
  expect(exchange).toBeGreaterThan(2);
  expect(inShard).toBe(1000);
  const [first] = others;
  expect(new Set(first?.ranges.map((range) => Math.floor(range.first / 1000))).size).toBe(1);
});

test("A replica has about three periods ahead, one with long periods too", () => {
  for (const period of [1, 64, 640, 5000, 32_000]) {
    const book = new LeaseBook({ shards: Array.from({ length: 100 }, () => 5000), seed: 2 });
    book.has("r1", [...Array(100).keys()]);
    const ahead = book.topUp("r1", period).reduce((sum, lease) => sum + leaseLength(lease), 0);
    expect(ahead).toBeGreaterThanOrEqual(2 * period + Math.min(period, 2048));
    expect(ahead).toBeLessThanOrEqual(8 * Math.max(period, 512));
    expect(book.topUp("r1", period)).toEqual([]);
  }
});

test("[K5] What a leaver had not used is given again before anything of a newer epoch, under another number", () => {
  const book = new LeaseBook({ shards: [600], seed: 1 });
  const [lease, second] = book.topUp("r1", 100);
  expect(second).toBeUndefined();
  expect(leaseLength(lease!)).toBe(600);
  book.claim("r1", [{ lease: lease!.id, upTo: 50 }], 50);
  expect(book.topUp("r2", 100)[0]).toMatchObject({ epoch: 2 });
  expect(book.giveBack("r1")).toEqual([{ kind: "returned", lease: lease!.id, from: 50 }]);
  const [rest] = book.topUp("r3", 100);
  expect(rest).toEqual({ ...lease, id: 3, from: 50 });
  // A claim on what was given back is nobody's.
  expect(book.claim("r1", [{ lease: lease!.id, upTo: 80 }], 100).accepted).toEqual([]);
  expect(book.view()).toEqual({ epoch: 1, examples: 600, leased: 550, used: 50 });
});

test("[K4] A claim goes forward, to the end of a lease at most, and is of no more examples than the push has samples", () => {
  const book = new LeaseBook({ shards: [600], seed: 1 });
  const [{ id } = { id: 0 }] = book.topUp("r1", 100);
  const claimed = (lease: number, upTo: number, samples: number): readonly LeaseClaim[] =>
    book.claim("r1", [{ lease, upTo }], samples).accepted;
  expect(claimed(id, 601, 1000)).toEqual([]);
  expect(claimed(id + 1, 5, 1000)).toEqual([]);
  expect(claimed(id, 100, 64)).toEqual([{ lease: id, upTo: 64 }]);
  expect(claimed(id, 64, 64)).toEqual([]);
  expect(claimed(id, 3, 64)).toEqual([]);
  expect(book.claim("r2", [{ lease: id, upTo: 300 }], 1000).accepted).toEqual([]);
  expect(claimed(id, 600, 0)).toEqual([]);
  expect(book.claim("r1", [{ lease: id, upTo: 600 }], 536).events).toEqual([
    { kind: "used", lease: id },
    { kind: "epoch", epoch: 1, examples: 600 },
  ]);
});

test("[K6] A restarted coordinator says what the one before could not: leases that were out, and one that was used up", async () => {
  const options = { shards: [600, 600], seed: 1 };
  const book = new LeaseBook(options);
  const log: LeaseEvent[] = [];
  for (const replica of ["r1", "r2"]) {
    book.has(replica, [replica === "r1" ? 0 : 1]);
    for (const lease of book.topUp(replica, 100)) log.push({ kind: "leased", replica, lease });
  }
  const [first, second] = log.map((event) => (event.kind === "leased" ? event.lease : undefined));
  const ledger = [
    { verdict: "applied", leased: [{ lease: first!.id, upTo: leaseLength(first!) }] },
    { verdict: "applied", leased: [{ lease: second!.id, upTo: 30 }] },
    // Of a log that lost its end.
    { verdict: "applied", leased: [{ lease: 70, upTo: 30 }] },
  ] as const;
  const restored = await restoredLeases(options, logged(log), ledger);
  expect(restored.owed).toEqual([
    { kind: "used", lease: first!.id },
    { kind: "returned", lease: second!.id, from: 30 },
  ]);
  expect(restored.book.view()).toMatchObject({ epoch: 1, leased: 0, used: leaseLength(first!) + 30 });
  expect(restored.book.topUp("r3", 100)[0]).toEqual({ ...second, id: 71, from: 30 });
  const again = await restoredLeases(options, logged([...log, ...restored.owed]), ledger);
  expect(again.owed).toEqual([]);
});

test("A log of another data set is refused with a sentence", async () => {
  const lease = { id: 1, epoch: 1, ranges: [{ first: 7, count: 100 }], seed: 3, from: 0 };
  const options = { shards: [600], seed: 1 };
  await expect(restoredLeases(options, logged([{ kind: "leased", replica: "r1", lease }]), [])).rejects.toThrow(
    /lease 1 is of examples that this data set does not have/,
  );
});

test("The longest leases fit into a header", () => {
  const far = 2 ** 40;
  const ranges = Array.from({ length: MOST_RANGES }, (_, index) => ({ first: far + index, count: 70_000 }));
  const lease = { id: far, epoch: far, ranges, seed: 2 ** 32 - 1, from: 70_000 };
  const leases = Array.from({ length: MOST_LEASES }, () => lease);
  const lost = Array.from({ length: 400 }, (_, index) => 600 + index);
  const head = encodeHead(TYPE.answer, { leases, lost, exchange: far, version: far, staleness: far }, 0);
  expect(head.byteLength).toBeLessThan(LIMITS.headerBytes - 300);
});

test("Units cover the data set without a gap, none across two shards", () => {
  const units = unitsOf(SHARDS);
  let next = 0;
  for (const { first, count, shard } of units) {
    expect(first).toBe(next);
    expect(count).toBeLessThanOrEqual(256);
    next += count;
    expect(next).toBeLessThanOrEqual(SHARDS.slice(0, shard + 1).reduce((sum, examples) => sum + examples, 0));
  }
  expect(next).toBe(EXAMPLES);
});

test("The order of a lease has each of its examples once, and is not that of the file", () => {
  const order = orderOf({
    ranges: [
      { first: 5, count: 20 },
      { first: 100, count: 3 },
    ],
    seed: 9,
  });
  const sorted = [...order].toSorted((a, b) => a - b);
  expect(sorted).toEqual([...Array.from({ length: 20 }, (_, index) => 5 + index), 100, 101, 102]);
  expect([...order]).not.toEqual(sorted);
});
