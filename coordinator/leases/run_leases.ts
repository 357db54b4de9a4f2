/**
 * The leases of a run that goes on: stands between its lease book and its replicas, and writes what happens into the event log. The
 * run asks it at every welcome and answer, and tells it of applied pushes and of replicas that are gone.
 */

import type { Lease, LeaseClaim } from "../../shared/lease.ts";
import type { LoggedEvent } from "../../shared/run_log.ts";
import type { EpochView } from "../../shared/run_view.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { Replica } from "../roster.ts";
import type { LeaseEvent } from "./lease_book.ts";
import type { RestoredLeases } from "./lease_journal.ts";

export interface RunLeasesOptions extends RestoredLeases {
  readonly log: (event: LoggedEvent) => void;
}

/** What an applied push used of its leases. */
export interface UsedLeases {
  /** For the ledger's line. */
  readonly leased: readonly LeaseClaim[];
  /** The line is on disk. */
  readonly written: () => void;
}

/** A replica that pushes nothing for so long, and for so many of its periods, trains on nothing: its volunteer paused it, say. */
const IDLE_MS = 120_000;
const IDLE_PERIODS = 8;

export class RunLeases {
  readonly #options: RunLeasesOptions;

  constructor(options: RunLeasesOptions) {
    this.#options = options;
    this.#log(options.owed);
  }

  /** The caller has seen that nothing of the replica's is in flight. Who is not `resumed` has forgotten its leases. */
  welcomed(replica: Replica, shards: readonly number[], resumed: boolean): readonly Lease[] {
    if (!resumed) this.ended(replica);
    this.#options.book.has(replica.id, shards);
    return this.topUp(replica, 0);
  }

  /** With an answer; `samples`: of the push. */
  topUp(replica: Replica, samples: number): readonly Lease[] {
    if (replica.isLeaving || replica.isDraining) return [];
    const { communicationPeriod = 1, samples: batch = 1 } = replica.assignment ?? {};
    const leases = this.#options.book.topUp(replica.id, Math.max(communicationPeriod * batch, samples));
    this.#log(leases.map((lease) => ({ kind: "leased", replica: replica.id, lease })));
    return leases;
  }

  /** Of a push that was applied. */
  use(replica: Replica, { leased: claims = [], samples }: Header<"push">): UsedLeases {
    const { accepted, events } = this.#options.book.claim(replica.id, claims, samples);
    return { leased: accepted, written: () => this.#log(events) };
  }

  /** The replica will not get these any more. */
  withdraw(replica: Replica, leases: readonly Lease[]): void {
    const ids = leases.map(({ id }) => id);
    this.#log(this.#options.book.giveBack(replica.id, ids));
  }

  /** Its place is free: others go on with its leases. Not while a push of it is in flight, which may still use them. */
  ended(replica: Replica): void {
    this.#log(this.#options.book.giveBack(replica.id));
  }

  /** Takes the leases from who holds them without training. `nowMs`: without the time that the run was paused. */
  takeFromIdle(replica: Replica, nowMs: number): void {
    if (replica.inFlight || !this.#options.book.holds(replica.id)) return;
    const { communicationPeriod = 1, samples = 1 } = replica.assignment ?? {};
    const periodMs = replica.speed > 0 ? (1000 * communicationPeriod * samples) / replica.speed : 0;
    if (nowMs - replica.lastPushMs > Math.max(IDLE_MS, IDLE_PERIODS * periodMs)) this.ended(replica);
  }

  view(): EpochView {
    return this.#options.book.view();
  }

  #log(events: readonly LeaseEvent[]): void {
    for (const event of events) this.#options.log(event);
  }
}
