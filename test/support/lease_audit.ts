/**
 * Proves from a run's event log and ledger alone that every example of every epoch was leased, and used, exactly once (SPEC K).
 * Knows nothing of the book that gave the leases: it follows every single example through the two files.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lease } from "../../shared/lease.ts";
import { orderOf } from "../../shared/lease_order.ts";
import type { LoggedEvent } from "../../shared/run_log.ts";

/** A line of the ledger, of which these fields are read. */
export interface AuditedExchange {
  readonly replica: string;
  readonly exchange: number;
  readonly verdict: string;
  readonly samples: number;
  readonly leased?: readonly { readonly lease: number; readonly upTo: number }[];
}

export interface LeaseAudit {
  /** Complete ones, as the log says. */
  readonly epochs: number;
  readonly leases: number;
  readonly returned: number;
  /** Examples of returned leases that were used before, by those who left. */
  readonly usedByLeavers: number;
  /** Examples that were used, of all epochs. */
  readonly used: number;
  /** Samples of all applied exchanges: those that count for no epoch included. */
  readonly samples: number;
  readonly exchanges: number;
  /** Examples that were used, or leased, twice in one epoch. */
  readonly duplicates: number;
  /** Examples that a complete epoch had not used. */
  readonly missing: number;
  /** What else contradicts the rules, in words; the first few. */
  readonly problems: readonly string[];
}

const MOST_PROBLEMS = 20;
const FREE = 0;
const HELD = 1;
const USED = 2;

interface Followed {
  readonly lease: Lease;
  readonly replica: string;
  readonly order: Uint32Array;
  /** Up to which the ledger says that it was used. */
  readonly usedTo: number;
}

export function auditLeases(
  examples: number,
  events: Iterable<LoggedEvent>,
  ledger: Iterable<AuditedExchange>,
): LeaseAudit {
  const audit = new Audit(examples, ledger);
  for (const event of events) audit.follow(event);
  return audit.end();
}

/** Throws where a run that is over used or leased an example twice, or lost one; returns what it leased otherwise. */
export function provenLeases(
  examples: number,
  events: Iterable<LoggedEvent>,
  ledger: Iterable<AuditedExchange>,
): LeaseAudit {
  const audit = auditLeases(examples, events, ledger);
  if (audit.duplicates === 0 && audit.missing === 0 && audit.problems.length === 0) return audit;
  throw new Error(`examples were not used exactly once: ${JSON.stringify(audit)}`);
}

/** Of the run in this folder. */
export async function auditRun(folder: string): Promise<LeaseAudit> {
  const events = (await lines(join(folder, "events.jsonl"))) as LoggedEvent[];
  const ledger = (await lines(join(folder, "ledger.jsonl"))) as AuditedExchange[];
  const began = events.find((event) => event.kind === "began");
  if (!began) throw new Error(`${folder} has no beginning in its events.jsonl`);
  return auditLeases(began.settings.data.trainExamples, events, ledger);
}

async function lines(path: string): Promise<unknown[]> {
  const text = await readFile(path, "utf8");
  // A line that a killed process cut off was told to nobody.
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}

class Audit {
  readonly #examples: number;
  readonly #usedTo = new Map<number, { upTo: number; replica: string }>();
  readonly #open = new Map<number, Followed>();
  readonly #ids = new Set<number>();
  /** Of every example, by epoch. */
  readonly #epochs = new Map<number, Uint8Array>();
  readonly #problems: string[] = [];
  readonly #completeEpochs = new Set<number>();
  #returned = 0;
  #usedByLeavers = 0;
  #used = 0;
  #samples = 0;
  #exchanges = 0;
  #duplicates = 0;
  #missing = 0;

  constructor(examples: number, ledger: Iterable<AuditedExchange>) {
    this.#examples = examples;
    const settled = new Set<string>();
    for (const entry of ledger) {
      if (entry.verdict !== "applied") {
        if (entry.leased?.length) this.#problem(`a refused exchange of ${entry.replica} uses a lease`);
        continue;
      }
      const name = `${entry.replica} ${entry.exchange}`;
      if (settled.has(name)) this.#problem(`exchange ${name} is in the ledger twice`);
      settled.add(name);
      this.#exchanges++;
      this.#samples += entry.samples;
      for (const { lease, upTo } of entry.leased ?? []) {
        const before = this.#usedTo.get(lease);
        if (before && before.upTo >= upTo) this.#problem(`lease ${lease} goes back from ${before.upTo} to ${upTo}`);
        if (before && before.replica !== entry.replica) this.#problem(`lease ${lease} is used by two replicas`);
        this.#usedTo.set(lease, { upTo, replica: entry.replica });
      }
    }
  }

  follow(event: LoggedEvent): void {
    switch (event.kind) {
      case "leased":
        return this.#leased(event.replica, event.lease);
      case "returned":
        return this.#ended(event.lease, event.from);
      case "used":
        return this.#ended(event.lease, undefined);
      case "epoch":
        return this.#completed(event.epoch);
      default:
    }
  }

  end(): LeaseAudit {
    for (const lease of this.#open.keys()) this.#close(lease);
    for (const lease of this.#usedTo.keys()) {
      if (!this.#ids.has(lease)) this.#problem(`the ledger names lease ${lease}, which nobody was given`);
    }
    return {
      epochs: this.#completeEpochs.size,
      leases: this.#ids.size,
      returned: this.#returned,
      usedByLeavers: this.#usedByLeavers,
      used: this.#used,
      samples: this.#samples,
      exchanges: this.#exchanges,
      duplicates: this.#duplicates,
      missing: this.#missing,
      problems: this.#problems,
    };
  }

  #leased(replica: string, lease: Lease): void {
    if (this.#ids.has(lease.id)) this.#problem(`lease ${lease.id} is given twice`);
    this.#ids.add(lease.id);
    const order = orderOf(lease);
    const said = this.#usedTo.get(lease.id);
    if (said && said.replica !== replica) this.#problem(`lease ${lease.id} of ${replica} is used by ${said.replica}`);
    const usedTo = said?.upTo ?? lease.from;
    if (usedTo > order.length || lease.from >= order.length) this.#problem(`lease ${lease.id} ends before its place`);
    this.#open.set(lease.id, { lease, replica, order, usedTo });
    this.#mark(lease, order.subarray(lease.from), FREE, HELD);
  }

  /** `from`: where the log says that it came back; undefined: used up. */
  #ended(id: number, from: number | undefined): void {
    const followed = this.#open.get(id);
    if (!followed) return this.#problem(`lease ${id} ends, which nobody holds`);
    const place = from ?? followed.order.length;
    if (place !== followed.usedTo)
      this.#problem(`the log says that lease ${id} was used up to ${place}, the ledger up to ${followed.usedTo}`);
    if (from !== undefined) {
      this.#returned++;
      this.#usedByLeavers += followed.usedTo - followed.lease.from;
    }
    this.#close(id);
  }

  #close(id: number): void {
    const followed = this.#open.get(id);
    if (!followed) return;
    const { lease, order, usedTo } = followed;
    this.#open.delete(id);
    this.#mark(lease, order.subarray(lease.from, usedTo), HELD, USED);
    this.#mark(lease, order.subarray(usedTo), HELD, FREE);
    this.#used += usedTo - lease.from;
  }

  #completed(epoch: number): void {
    if (this.#completeEpochs.has(epoch)) this.#problem(`epoch ${epoch} ends twice`);
    this.#completeEpochs.add(epoch);
    const states = this.#statesOf(epoch);
    // The lease that ended it is closed by its own event, which is before this one.
    const missing = states.reduce((sum, state) => sum + (state === USED ? 0 : 1), 0);
    this.#missing += missing;
    if (missing > 0) this.#problem(`epoch ${epoch} ends without ${missing} of its examples`);
  }

  #mark({ id, epoch }: Lease, examples: Uint32Array, before: number, after: number): void {
    const states = this.#statesOf(epoch);
    for (const example of examples) {
      if (example >= this.#examples) this.#problem(`lease ${id} names example ${example}`);
      else if (states[example] !== before) this.#duplicates++;
      states[example] = after;
    }
  }

  #statesOf(epoch: number): Uint8Array {
    const known = this.#epochs.get(epoch);
    if (known) return known;
    const states = new Uint8Array(this.#examples).fill(FREE);
    this.#epochs.set(epoch, states);
    return states;
  }

  #problem(sentence: string): void {
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push(sentence);
  }
}
