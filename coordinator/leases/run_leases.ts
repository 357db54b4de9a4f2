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
  /** Of the run: pauses do not count. */
  readonly nowMs: () => number;
}

/** What an applied push used of its leases. */
export interface UsedLeases {
  /** For the ledger's line. */
  readonly leased: readonly LeaseClaim[];
  /** The line is on disk. */
  readonly written: () => void;
}

/**
 * A lease that is not used for so long, and for so many periods of its replica, comes back: the volunteer paused, or the shard does not
 * come. A replica has up to eight periods ahead.
 */
const IDLE_MS = 300_000;
const IDLE_PERIODS = 32;
const LOOK_MS = 1000;

export class RunLeases {
  readonly #options: RunLeasesOptions;
  /** When leases were given or used last, by replica. */
  readonly #usedMs = new Map<Replica, Map<number, number>>();
  #lookMs = 0;

  constructor(options: RunLeasesOptions) {
    this.#options = options;
    this.#log(options.owed);
  }

  /**
   * All leases of the replica, for its welcome. The caller has seen that nothing of it is in flight. Who is not `resumed` begins
   * with new ones.
   */
  welcomed(replica: Replica, shards: readonly number[], resumed: boolean): readonly Lease[] {
    if (!resumed) this.ended(replica);
    this.#options.book.has(replica.id, shards);
    this.topUp(replica, 0);
    return this.#options.book.heldBy(replica.id);
  }

  /** With an answer; `samples`: of the push. */
  topUp(replica: Replica, samples: number): readonly Lease[] {
    if (replica.isLeaving || replica.isDraining) return [];
    const { communicationPeriod = 1, samples: batch = 1 } = replica.assignment ?? {};
    const leases = this.#options.book.topUp(replica.id, Math.max(communicationPeriod * batch, samples));
    this.#log(leases.map((lease) => ({ kind: "leased", replica: replica.id, lease })));
    for (const { id } of leases) this.#usedNow(replica, id);
    return leases;
  }

  /** Of a push that was applied. */
  use(replica: Replica, { leased: claims = [], samples }: Header<"push">): UsedLeases {
    const { accepted, events } = this.#options.book.claim(replica.id, claims, samples);
    for (const { lease } of accepted) this.#usedNow(replica, lease);
    for (const event of events) if (event.kind === "used") this.#usedMs.get(replica)?.delete(event.lease);
    return { leased: accepted, written: () => this.#log(events) };
  }

  /** The replica will not get these any more. */
  withdraw(replica: Replica, leases: readonly Lease[]): void {
    this.#takeBack(
      replica,
      leases.map(({ id }) => id),
    );
  }

  /** Its place is free: others go on with its leases. Not while a push of it is in flight, which may still use them. */
  ended(replica: Replica): void {
    this.#usedMs.delete(replica);
    this.#log(this.#options.book.giveBack(replica.id));
  }

  /** Takes back what nobody trains on. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#lookMs < LOOK_MS) return;
    this.#lookMs = nowMs;
    for (const [replica, leases] of this.#usedMs) {
      // What is in flight may use them.
      if (replica.inFlight) continue;
      const idle = [...leases].filter(([, usedMs]) => nowMs - usedMs > patienceMs(replica));
      this.#takeBack(
        replica,
        idle.map(([id]) => id),
      );
    }
  }

  view(): EpochView {
    return this.#options.book.view();
  }

  #takeBack(replica: Replica, ids: readonly number[]): void {
    for (const id of ids) this.#usedMs.get(replica)?.delete(id);
    if (ids.length > 0) this.#log(this.#options.book.giveBack(replica.id, ids));
  }

  #usedNow(replica: Replica, lease: number): void {
    const leases = this.#usedMs.get(replica) ?? new Map<number, number>();
    this.#usedMs.set(replica, leases.set(lease, this.#options.nowMs()));
  }

  #log(events: readonly LeaseEvent[]): void {
    for (const event of events) this.#options.log(event);
  }
}

function patienceMs({ assignment, speed }: Replica): number {
  const { communicationPeriod = 1, samples = 1 } = assignment ?? {};
  const periodMs = speed > 0 ? (1000 * communicationPeriod * samples) / speed : 0;
  return Math.max(IDLE_MS, IDLE_PERIODS * periodMs);
}
