/**
 * What an operator has ordered a run's replicas to do, and what of it still stands: who waits, who is to leave, who is out (SPEC O2,
 * O3). Decides nothing about the center. Nobody loses an exchange by an order: what is in flight is answered, or, of a
 * kicked replica, counts. Waiting and draining end with the coordinator, which its operator starts again on purpose; whoever was
 * kicked stays out.
 */

import type { LoggedEvent } from "../../shared/run_log.ts";
import type { RefusalCode } from "../../shared/wire/codes.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { Replica, Roster } from "../roster.ts";
import type { RunClock } from "../run_clock.ts";

export interface StandingOrdersOptions {
  readonly roster: Roster;
  /** Stands still while everybody waits: no group passes a member over meanwhile, and no limit in time is reached. */
  readonly clock: RunClock;
  /** By an earlier coordinator of this run. */
  readonly kicked: readonly string[];
  readonly log: (event: LoggedEvent) => void;
  /** Its place at the center is freed, now or once what is in flight is settled. */
  readonly free: (replica: Replica) => void;
}

export class StandingOrders {
  readonly #options: StandingOrdersOptions;
  readonly #kicked: Set<string>;
  #isDraining = false;

  constructor(options: StandingOrdersOptions) {
    this.#options = options;
    this.#kicked = new Set(options.kicked);
  }

  get isPaused(): boolean {
    return this.#options.clock.isPaused;
  }

  /** Everybody was asked to leave: nobody joins any longer. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  get kicked(): readonly string[] {
    return [...this.#kicked];
  }

  isKicked({ id }: Replica): boolean {
    return this.#kicked.has(id);
  }

  /** False where everybody waits already. */
  pause(): boolean {
    const { clock, log, roster } = this.#options;
    if (clock.isPaused) return false;
    log({ kind: "paused" });
    clock.pause();
    for (const replica of roster.connected()) tell(replica, "pause");
    return true;
  }

  /** Who waits goes on, and a run that drained takes replicas again; those who were asked to leave do. False where there is nothing to undo. */
  resume(): boolean {
    const { clock, log, roster } = this.#options;
    if (!clock.isPaused && !this.#isDraining) return false;
    log({ kind: "resumed" });
    this.#isDraining = false;
    const wasPaused = clock.isPaused;
    clock.resume();
    if (wasPaused) for (const replica of roster.connected()) tell(replica, "resume");
    return true;
  }

  /** One replica, or with null everybody. False where there is no such replica here. */
  drain(id: string | null): boolean {
    const { log, roster } = this.#options;
    const asked = roster.connected().filter((replica) => id === null || replica.id === id);
    if (id !== null && asked.length === 0) return false;
    log({ kind: "draining", replica: id });
    if (id === null) this.#isDraining = true;
    for (const replica of asked) {
      replica.isDraining = true;
      tell(replica, "drain");
    }
    return true;
  }

  /** Also one that is not connected. False where this run knows no such replica. */
  kick(id: string): boolean {
    const { log, roster, free } = this.#options;
    const replica = roster.get(id);
    if (!replica) return false;
    log({ kind: "kicked", replica: id });
    this.#kicked.add(id);
    // Whatever it was called is shown no longer.
    replica.name = null;
    replica.connection?.refuse("KICKED");
    free(replica);
    return true;
  }

  /** Why this replica, or one that nobody knows yet, may not join; undefined where it may. */
  refusalOf(known: Replica | undefined): RefusalCode | undefined {
    if (known && this.isKicked(known)) return "KICKED";
    // Whoever lost its connection comes back to complete its exchange.
    return this.#isDraining && known?.isDraining !== true ? "RUN_OVER" : undefined;
  }

  /** What a replica that joins is told right after its welcome. */
  greet(replica: Replica): void {
    if (replica.isDraining) tell(replica, "drain");
    else if (this.isPaused) tell(replica, "pause");
  }
}

function tell({ connection }: Replica, order: Header<"control">["order"]): void {
  // The order says it all: volunteers are told what it means in their own program's words.
  connection?.tell("control", { order, reason: "" });
}
