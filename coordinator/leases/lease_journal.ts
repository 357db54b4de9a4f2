/**
 * The lease book of a run that goes on (SPEC K6): the event log says which leases were given and came back, the ledger how far each was
 * used. What was held when the coordinator ended comes back: its replicas get other leases with their next welcome.
 */

import type { Lease, LeaseClaim } from "../../shared/lease.ts";
import type { RunEvent } from "../../shared/run_log.ts";
import { StoreError } from "../store/durable_file.ts";
import { LeaseBook, type LeaseBookOptions, type LeaseEvent } from "./lease_book.ts";

export interface RestoredLeases {
  readonly book: LeaseBook;
  /** What follows from the ledger and is not in the log yet. */
  readonly owed: readonly LeaseEvent[];
}

/** What is read of the ledger. */
interface LeasedExchange {
  readonly verdict: string;
  readonly leased?: readonly LeaseClaim[];
}

/** Of a new run: nothing was given yet. */
export function newLeases(options: LeaseBookOptions): RestoredLeases {
  return { book: new LeaseBook(options), owed: [] };
}

/** Rejects with a `StoreError` where the log is not of this data set. */
export async function restoredLeases(
  options: LeaseBookOptions,
  events: AsyncIterable<RunEvent>,
  ledger: Iterable<LeasedExchange>,
): Promise<RestoredLeases> {
  const book = new LeaseBook(options);
  const used = usedOf(ledger);
  // A log that lost its end in a power cut may not know of leases that the ledger names.
  for (const id of used.keys()) book.reserve(id);
  for await (const event of events) recall(book, event, used);
  return { book, owed: book.recalled() };
}

/** By lease. */
function usedOf(ledger: Iterable<LeasedExchange>): Map<number, number> {
  const used = new Map<number, number>();
  for (const { verdict, leased = [] } of ledger) {
    if (verdict !== "applied") continue;
    for (const { lease, upTo } of leased) used.set(lease, Math.max(upTo, used.get(lease) ?? 0));
  }
  return used;
}

function recall(book: LeaseBook, event: RunEvent, used: ReadonlyMap<number, number>): void {
  switch (event.kind) {
    case "leased":
      return recallLease(book, event.replica, event.lease, used.get(event.lease.id) ?? 0);
    case "returned":
    case "used":
      return book.recallEnd(event.lease);
    case "epoch":
      return book.recallEpoch(event.epoch);
    default:
  }
}

function recallLease(book: LeaseBook, replica: string, lease: Lease, upTo: number): void {
  const problem = book.recall(replica, lease, upTo);
  if (problem === undefined) return;
  throw new StoreError(
    `The run's events.jsonl is not of this data set (${problem}); give the run the data set that it began with, or move the file away to begin its epochs anew.`,
  );
}
