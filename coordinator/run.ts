/**
 * A training run: what to answer. The only place where solver, center, gate, ledger and roster meet; it sees connections
 * only as sessions, and time and files only through what it is handed.
 */

import type { ParameterLayout } from "../shared/model/layout.ts";
import type { RunSettings } from "../shared/run_settings.ts";
import type { AutotuneDecision, RunState, RunView } from "../shared/run_view.ts";
import type { Assignment } from "../shared/solver/assignment.ts";
import { replicaRuleOf, type ReplicaRule } from "../shared/solver/replica_rule.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import { LIMITS, type RefusalCode } from "../shared/wire/codes.ts";
import type { Link } from "../shared/wire/link.ts";
import type { Header } from "../shared/wire/messages.ts";
import { assign } from "./assigner.ts";
import type { Center, CenterState, Snapshot } from "./center/center.ts";
import { gate } from "./gate.ts";
import { orderKindOf, orderOf, type ExchangeOrder, type OrderResult } from "./order/order.ts";
import { Places } from "./places.ts";
import { placeOf, Roster, type Connection, type Replica, type Settled } from "./roster.ts";
import type { RestoredRun, RunRecord } from "./run_record.ts";
import type { LedgerEntry } from "./store/ledger.ts";
import { Tally, type EvaluationRecord } from "./tally.ts";
import { Session, type Joined, type RunPort } from "./session.ts";

/** The ledger as the run needs it: a line is on disk when the promise resolves (SPEC X14). */
interface LedgerPort {
  append(entry: LedgerEntry): Promise<void>;
}

/** What may change while the run goes on. */
export type Retuning = Partial<
  Pick<SolverSettings, "groups" | "momentum" | "learningRate" | "communicationPeriod" | "movingRate" | "staleness">
>;

export interface RunOptions {
  readonly settings: RunSettings;
  readonly layout: ParameterLayout;
  /** How replicas and center move, as the run begins. */
  readonly solver: SolverSettings;
  readonly center: Center;
  readonly ledger: LedgerPort;
  readonly incarnation: number;
  /** Proves replicas to later incarnations: kept with the run. */
  readonly secret: Uint8Array;
  readonly restored?: RestoredRun;
  /** Milliseconds, never going back. */
  readonly nowMs: () => number;
  /** The time of day, for the ledger. */
  readonly nowIso: () => string;
  /** Told of our own bugs and our environment's failures. */
  readonly onFailure: (error: unknown) => void;
}

export class Run implements RunPort {
  readonly settings: RunSettings;
  readonly elements: number;
  /** Of a whole center as f32: nothing on this run's wire is longer. */
  readonly payloadBytes: number;
  readonly incarnation: number;
  readonly #options: RunOptions;
  readonly #center: Center;
  readonly #roster: Roster;
  readonly #places: Places;
  readonly #sessions = new Set<Session>();
  readonly #rule: ReplicaRule;
  readonly #tally: Tally;
  #solver: SolverSettings;
  #order: ExchangeOrder;
  /** Others took their place; what was pushed to them may not have been applied yet. */
  readonly #formerOrders: ExchangeOrder[] = [];
  /** The center goes back to an earlier one. */
  #restoring: Promise<unknown> = Promise.resolve();
  #state: RunState = "waiting";

  constructor(options: RunOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.incarnation = options.incarnation;
    this.elements = options.layout.elements;
    this.payloadBytes = 4 * this.elements;
    this.#center = options.center;
    this.#places = new Places(options.center);
    this.#roster = new Roster(options.secret, options.incarnation);
    this.#tally = new Tally(this.#roster, options.nowMs, options.restored);
    this.#solver = options.solver;
    this.#rule = replicaRuleOf(options.solver.solver, options.solver.exchange);
    this.#order = this.#newOrder();
  }

  nowMs(): number {
    return this.#options.nowMs();
  }

  get version(): number {
    return this.#center.version;
  }

  /** That are connected now. */
  get replicas(): number {
    return this.#roster.connected().length;
  }

  get state(): RunState {
    return this.#state;
  }

  /** A new connection. Its owner hands every message to the session, and tells it when the connection is gone. */
  connect(link: Link): Session {
    const session = new Session(this, link);
    this.#sessions.add(session);
    return session;
  }

  /** Many times a second: whoever is overdue (SPEC G4, G6), hello timeouts and leases (SPEC H1, H7, L4). */
  tick(): void {
    this.#order.tick();
    for (const session of this.#sessions) {
      session.tick();
      if (session.isClosed) this.#sessions.delete(session);
    }
    for (const replica of this.#roster) {
      if (this.nowMs() - replica.lastHeardMs <= LIMITS.leaseMs || replica.inFlight) continue;
      replica.connection?.refuse("LEASE_EXPIRED");
      this.#places.free(replica);
    }
  }

  async join(hello: Header<"hello">, connection: Connection): Promise<Joined | RefusalCode> {
    if (this.#isOver) return "RUN_OVER";
    if (hello.layoutHash !== this.#options.layout.hash) return "WRONG_LAYOUT";
    const known = this.#roster.proven(hello.resume, this.nowMs());
    if (!known && this.#roster.connected().length >= LIMITS.replicas) return "RUN_FULL";
    const replica = known ?? this.#roster.add(this.nowMs());
    replica.connection?.refuse("REPLACED");
    replica.connection = connection;
    replica.backend = hello.backend;
    replica.device = hello.device;
    if (hello.samplesPerSecond > 0) replica.speed = hello.samplesPerSecond;
    this.heard(replica);
    // An older connection's push may still be applied: its place must not change under it, and may be freed after it.
    while (replica.inFlight) await replica.inFlight.settled;
    const resumed = replica.place !== undefined && hello.resume?.incarnation === this.incarnation;
    if (!resumed) await this.#places.rebase(replica);
    this.#order.join(replica);
    replica.freeSinceMs = this.nowMs();
    replica.lastPushMs = replica.freeSinceMs;
    const welcome: Header<"welcome"> = {
      replica: replica.id,
      token: this.#roster.tokenOf(replica.id),
      incarnation: this.incarnation,
      version: replica.place?.baseVersion ?? this.version,
      resumed,
      lastExchange: replica.lastExchange,
      assignment: this.assignmentOf(replica),
    };
    return { replica, welcome };
  }

  /** The caller has seen that nothing is in flight. */
  async pull(replica: Replica): Promise<void> {
    // The center of the last answer is overwritten: a retry of that exchange could not get it again.
    if (replica.settled?.kind === "answer" && replica.settled.withCenter) replica.settled = undefined;
    await this.#places.rebase(replica);
  }

  /** What the replica is asked to do from now on. */
  assignmentOf(replica: Replica): Assignment {
    return assign(replica, {
      settings: this.#solver,
      batchParts: this.settings.batchParts,
      version: this.version,
      connected: this.#roster.connected(),
      sharers: this.#order.sharersOf(replica),
    });
  }

  heard(replica: Replica): void {
    replica.lastHeardMs = this.nowMs();
  }

  /** A connection ended: the place is kept for the lease, or freed at once when the replica left `forGood`. */
  leave(replica: Replica, connection: Connection, forGood: boolean): void {
    if (replica.connection !== connection) return;
    replica.connection = undefined;
    this.#order.leave(replica);
    if (forGood) this.#places.freeSoon(replica);
  }

  async push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Settled> {
    const { exchange } = header;
    if (this.#isOver) return { kind: "refusal", code: "RUN_OVER", exchange };
    const decision = gate(header, replica, this.incarnation, this.#rule.content);
    switch (decision.kind) {
      case "repeat":
        return this.#repeat(replica);
      case "wait":
        return replica.inFlight!.settled;
      case "refuse":
        // An out-of-turn push must not wait for, nor stand in the way of, the one whose turn it is.
        if (replica.inFlight) return this.#refuseAtGate(replica, header, decision.code);
        return this.#places.occupy(replica, exchange, () => this.#refuseAtGate(replica, header, decision.code));
      case "pass":
        return this.#places.occupy(replica, exchange, () => this.#exchange(replica, header, payload));
      default:
        return decision satisfies never;
    }
  }

  /**
   * Takes effect with the next moves and assignments. Where groups change, what was pushed counts in the old ones at once, and
   * everybody's next push is for the new ones.
   */
  retune(changes: Retuning): void {
    const kind = orderKindOf(this.#solver);
    this.#solver = { ...this.#solver, ...changes };
    if (orderKindOf(this.#solver) === kind) return this.#order.retuned();
    this.#order.flush();
    this.#formerOrders.push(this.#order);
    this.#order = this.#newOrder();
    for (const replica of this.#roster.connected()) if (replica.place) this.#order.join(replica);
  }

  /**
   * The center goes back to an earlier one. A push that is not yet on its way into the center, and every replica's next one, is
   * refused `RESTARTED`: it comes from the center that is given up.
   */
  async restart(state: CenterState): Promise<void> {
    for (const replica of this.#roster) replica.mustRestart = true;
    for (const order of [this.#order, ...this.#formerOrders]) order.abort();
    this.#restoring = this.#center.restore(state);
    await this.#restoring;
  }

  /** The center as it is, for a `restart`. */
  snapshot(): Snapshot {
    return this.#center.snapshot();
  }

  /** The autotuner chose; people are shown what and why. */
  recordDecision(decision: AutotuneDecision): void {
    this.#tally.decided(decision);
  }

  countRefusal(code: RefusalCode): void {
    this.#tally.refused(code);
  }

  countBytes(up: number, down: number): void {
    this.#tally.bytes(up, down);
  }

  failed(error: unknown): void {
    this.#options.onFailure(error);
  }

  recordEvaluation(evaluation: EvaluationRecord): void {
    this.#tally.evaluated(evaluation);
  }

  /** Ends the run: every replica is told, later pushes and hellos are refused `RUN_OVER`. */
  finish(state: "reached" | "stopped", reason: string): void {
    this.#state = state;
    for (const session of this.#sessions) session.finish(reason);
    this.#sessions.clear();
  }

  /** Resolves when no push is in flight any longer. After `finish` nobody waits for anybody. */
  async settled(): Promise<void> {
    for (const replica of this.#roster) {
      while (replica.inFlight) await replica.inFlight.settled.catch(() => {});
    }
  }

  view(): RunView {
    const { run, model, data, solver, targetAccuracy } = this.settings;
    const { learningRate, momentum, communicationPeriod, groups } = this.#solver;
    const counted = this.#tally.view(this.#isOver, (replica) => this.#order.groupOf(replica));
    const inGroups = new Set(counted.replicas.flatMap(({ group }) => (group === null ? [] : [group])));
    return {
      run,
      model: model.name,
      data: data.name,
      solver,
      state: this.#state,
      version: this.version,
      incarnation: this.incarnation,
      targetAccuracy,
      overlappedApplies: this.#center.statistics().overlappedApplies,
      ...counted,
      groups: groups === null ? null : inGroups.size,
      hyperparameters: { learningRate, momentum, communicationPeriod, groups },
    };
  }

  /** What a checkpoint keeps beside the center; the rest is in the ledger. */
  record(): RunRecord {
    return this.#tally.record();
  }

  get #isOver(): boolean {
    return this.#state === "reached" || this.#state === "stopped";
  }

  #newOrder(): ExchangeOrder {
    return orderOf(orderKindOf(this.#solver), {
      center: this.#center,
      settings: () => this.#solver,
      connected: () => this.#roster.connected(),
      nowMs: this.#options.nowMs,
    });
  }

  /** One exchange that passed the gate: apply, write down, settle. */
  async #exchange(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Settled> {
    const place = placeOf(replica);
    this.#beginClock();
    const cameMs = this.nowMs();
    // Where it trains on while it waits for an answer, the work behind this push began right after the push before.
    replica.worked(header.samples, cameMs - (this.#rule.trainsMeanwhile ? replica.lastPushMs : replica.freeSinceMs));
    replica.lastPushMs = cameMs;
    const result = await this.#ordered(replica, header, payload);
    const nowMs = this.nowMs();
    replica.heldMs += nowMs - cameMs;
    replica.freeSinceMs = nowMs;
    replica.exchanges++;
    if (result.verdict !== "applied") return this.#settleRefusal(replica, header, result);
    // One more than the version when the apply began: its own. What overlapped counts as staleness next time (SPEC S1).
    place.baseVersion = result.centerVersion + 1;
    await this.#write(replica, header, { verdict: "applied", staleness: result.staleness, version: result.version });
    this.#tally.applied(replica, header, result.staleness);
    const settled: Settled = {
      kind: "answer",
      header: {
        exchange: header.exchange,
        version: place.baseVersion,
        staleness: result.staleness,
        pull: result.pull,
        repeated: false,
        assignment: this.assignmentOf(replica),
      },
      withCenter: header.content !== "difference",
    };
    return this.#settle(replica, header.exchange, settled);
  }

  /** What the order makes of it; the first push after a `restart` does not come so far. */
  #ordered(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<OrderResult> {
    if (!replica.mustRestart) return this.#order.push(replica, header, payload);
    return Promise.resolve({ verdict: "restarted" });
  }

  async #settleRefusal(
    replica: Replica,
    header: Header<"push">,
    result: Exclude<OrderResult, { verdict: "applied" }>,
  ): Promise<Settled> {
    const code = REFUSAL_OF[result.verdict];
    if (result.verdict === "restarted") {
      replica.mustRestart = false;
      await this.#restoring;
    }
    await this.#places.refresh(replica);
    replica.refused++;
    const staleness = result.verdict === "too-stale" ? result.staleness : null;
    await this.#write(replica, header, { verdict: code, staleness, version: this.version });
    return this.#settle(replica, header.exchange, { kind: "refusal", code, exchange: header.exchange });
  }

  /** Refusals that the push never got past; only `UNKNOWN_BASE` and `WRONG_INCARNATION` hand out a new base. */
  async #refuseAtGate(replica: Replica, header: Header<"push">, code: RefusalCode): Promise<Settled> {
    if (code === "UNKNOWN_BASE" || code === "WRONG_INCARNATION") await this.#places.refresh(replica);
    replica.refused++;
    await this.#write(replica, header, { verdict: code, staleness: null, version: this.version });
    return { kind: "refusal", code, exchange: header.exchange };
  }

  #repeat(replica: Replica): Settled {
    const { settled } = replica;
    if (!settled) throw new Error("invariant violation: nothing to repeat");
    this.#tally.repeated();
    if (settled.kind === "refusal") return settled;
    return { ...settled, header: { ...settled.header, repeated: true } };
  }

  #settle(replica: Replica, exchange: number, settled: Settled): Settled {
    replica.lastExchange = exchange;
    replica.settled = settled;
    return settled;
  }

  #write(
    replica: Replica,
    header: Header<"push">,
    outcome: Pick<LedgerEntry, "verdict" | "staleness" | "version">,
  ): Promise<void> {
    return this.#options.ledger.append({
      at: this.#options.nowIso(),
      incarnation: this.incarnation,
      replica: replica.id,
      exchange: header.exchange,
      ...outcome,
      steps: header.steps,
      samples: header.samples,
    });
  }

  #beginClock(): void {
    if (this.#state === "waiting") this.#state = "training";
    this.#tally.begin();
  }
}

const REFUSAL_OF = {
  "too-stale": "TOO_STALE",
  "not-finite": "NOT_FINITE",
  "out-of-bounds": "OUT_OF_BOUNDS",
  "unknown-base": "UNKNOWN_BASE",
  restarted: "RESTARTED",
} as const satisfies Record<Exclude<OrderResult["verdict"], "applied">, RefusalCode>;
