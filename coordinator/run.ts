/**
 * A training run: what to answer. The only place where solver, center, gate, ledger and roster meet; it sees connections
 * only as sessions, and time and files only through what it is handed.
 */

import type { ParameterLayout } from "../shared/model/layout.ts";
import type { RunSettings } from "../shared/run_settings.ts";
import type { LoggedEvent } from "../shared/run_log.ts";
import type { AutotuneDecision, RunChange, RunState, RunView } from "../shared/run_view.ts";
import type { Assignment } from "../shared/solver/assignment.ts";
import { solverOf } from "../shared/solver/catalogue.ts";
import { replicaRuleOf } from "../shared/solver/replica_rule.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import type { RefusalCode } from "../shared/wire/codes.ts";
import type { Link } from "../shared/wire/link.ts";
import type { Header } from "../shared/wire/messages.ts";
import { assign } from "./assigner.ts";
import type { Center, CenterState, Snapshot } from "./center/center.ts";
import { Exchanges, type LedgerPort, type Reply } from "./exchanges.ts";
import { Membership } from "./membership.ts";
import { RunChanges, type Retuning } from "./operator/run_changes.ts";
import { StandingOrders } from "./operator/standing_orders.ts";
import type { ExchangeOrder } from "./order/order.ts";
import type { PeerRoundsOptions } from "./order/peer_rounds.ts";
import { newLeases, type RestoredLeases } from "./leases/lease_journal.ts";
import { RunLeases } from "./leases/run_leases.ts";
import { RunOrder } from "./order/run_order.ts";
import { Places } from "./places.ts";
import type { VectorPieces } from "./place.ts";
import { Roster, type Connection, type Replica } from "./roster.ts";
import { RunClock } from "./run_clock.ts";
import type { RestoredRun, RunRecord } from "./run_record.ts";
import { Stream } from "./stream.ts";
import { Tally, type EvaluationRecord } from "./tally.ts";
import { Session, type Joined, type RunPort } from "./session.ts";
import type { OpenSidePath } from "./side_path.ts";

export interface RunOptions {
  readonly settings: RunSettings;
  readonly layout: ParameterLayout;
  /** How replicas and center move, as the run begins or goes on. */
  readonly solver: SolverSettings;
  readonly center: Center;
  readonly ledger: LedgerPort;
  readonly incarnation: number;
  /** Proves replicas to later incarnations: kept with the run. */
  readonly secret: Uint8Array;
  readonly restored?: RestoredRun;
  /** Of a run that goes on: which examples of which epoch are still to be given. */
  readonly leases?: RestoredLeases;
  /** Milliseconds, never going back. */
  readonly nowMs: () => number;
  /** The time of day, for the ledger. */
  readonly nowIso: () => string;
  /** Told of our own bugs and our environment's failures. */
  readonly onFailure: (error: unknown) => void;
  /** Takes what is worth knowing afterwards, before anything follows from it. Nothing is logged where left out. */
  readonly log?: (event: LoggedEvent) => void;
}

const EPOCHS_PER_INCARNATION = 2 ** 24;

export class Run implements RunPort {
  readonly settings: RunSettings;
  readonly elements: number;
  /** Of a whole center as f32: nothing on this run's wire is longer. */
  readonly payloadBytes: number;
  readonly incarnation: number;
  /** The center's published versions. */
  readonly stream: Stream;
  readonly clock: RunClock;
  /** The operator's. */
  readonly orders: StandingOrders;
  readonly #options: RunOptions;
  readonly #center: Center;
  readonly #roster: Roster;
  readonly #places: Places;
  readonly #exchanges: Exchanges;
  readonly #sessions = new Set<Session>();
  readonly #tally: Tally;
  readonly #leases: RunLeases;
  readonly #membership: Membership;
  #solver: SolverSettings;
  readonly #changes: RunChanges;
  readonly #runOrder: RunOrder;
  /** The center goes back to an earlier one. */
  #restoring: Promise<unknown> = Promise.resolve();
  #state: RunState = "waiting";
  readonly #peers: PeerRoundsOptions;

  constructor(options: RunOptions) {
    this.#options = options;
    this.clock = new RunClock(options.nowMs);
    this.settings = options.settings;
    this.incarnation = options.incarnation;
    this.elements = options.layout.elements;
    this.payloadBytes = 4 * this.elements;
    this.#center = options.center;
    this.stream = new Stream(options.center, options.nowMs);
    const isBarrier = solverOf(options.solver.solver).order === "barrier";
    this.#places = new Places({
      center: options.center,
      stream: this.stream,
      fragments: options.settings.fragments,
      isBarrier,
      freed: (replica) => this.#membership.ended(replica),
    });
    this.#roster = new Roster(options.secret, options.incarnation);
    this.#tally = new Tally(this.#roster, this.clock.runMs, options.restored);
    this.#leases = new RunLeases({
      ...leasesOf(options),
      log: (event) => this.#log(event),
      nowMs: this.clock.runMs,
    });
    this.#solver = options.solver;
    const { changes = [], retuned = {}, kicked = [] } = options.restored ?? {};
    this.#changes = new RunChanges(options.solver, { changes, retuned });
    this.orders = new StandingOrders({
      roster: this.#roster,
      clock: this.clock,
      kicked,
      log: (event) => this.#log(event),
      free: (replica) => this.#places.freeSoon(replica),
    });
    let epochs = 0;
    this.#peers = {
      // Connections outlive a coordinator's restart.
      newEpoch: () => this.incarnation * EPOCHS_PER_INCARNATION + epochs++,
      nowMs: this.clock.runMs,
      counts: { averaged: 0, fallen: 0 },
      vectorBytes: this.payloadBytes,
    };
    this.#runOrder = this.#newOrder();
    this.#membership = new Membership({
      settings: this.settings,
      layoutHash: options.layout.hash,
      incarnation: this.incarnation,
      clock: this.clock,
      roster: this.#roster,
      places: this.#places,
      stream: this.stream,
      leases: this.#leases,
      orders: this.orders,
      order: () => this.#order,
      isBarrier,
      version: () => this.version,
      isOver: () => this.isOver,
      restored: () => this.#restoring,
      assignmentOf: (replica) => this.assignmentOf(replica),
      log: (event) => this.#log(event),
    });
    this.#exchanges = this.#newExchanges(options);
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

  /** As they are now: an operator or the autotuner may have changed them. */
  get solver(): SolverSettings {
    return this.#solver;
  }

  /** Of the run's own clock, over all incarnations. */
  get seconds(): number {
    return this.#tally.seconds;
  }

  /** A new connection. Its owner hands every message to the session, and tells it when the connection is gone. */
  connect(link: Link, openSidePath?: OpenSidePath): Session {
    const session = new Session(this, link, openSidePath);
    this.#sessions.add(session);
    return session;
  }

  /** Many times a second: whoever is overdue (SPEC G4, G6), hello timeouts and leases (SPEC H1, H7, L4). */
  tick(): void {
    this.#order.tick();
    for (const replica of this.#roster) replica.slices?.tick(this.nowMs());
    for (const session of this.#sessions) {
      session.tick();
      if (session.isClosed) this.#sessions.delete(session);
    }
    this.#membership.tick();
    this.#leases.tick();
  }

  join(hello: Header<"hello">, connection: Connection): Promise<Joined | RefusalCode> {
    return this.#membership.join(hello, connection);
  }

  /** The caller has seen that nothing is in flight. */
  pull(replica: Replica): Promise<VectorPieces> {
    return this.#places.pull(replica);
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
    this.#membership.heard(replica);
  }

  /** What its volunteer chose to be called, and how the volunteer lets it compute. */
  profiled(replica: Replica, header: Header<"profile">): void {
    this.#membership.profiled(replica, header);
  }

  joined(replica: Replica, header: Header<"joined">): void {
    this.#order.joined?.(replica, header);
  }

  signalled(replica: Replica, header: Header<"signal">): void {
    this.#order.signalled?.(replica, header);
  }

  /** A connection ended: the place is kept for the lease, or freed at once when the replica left `forGood`. */
  leave(replica: Replica, connection: Connection, forGood: boolean): void {
    this.#membership.leave(replica, connection, forGood);
  }

  push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Reply> {
    return this.#exchanges.push(replica, header, payload);
  }

  /** One message of a replica's lossy channel. */
  slice(replica: Replica, message: Uint8Array): void {
    this.#exchanges.slice(replica, message);
  }

  /**
   * Takes effect with the next moves and assignments. Where groups change, what was pushed counts in the old ones at once, and
   * everybody's next push is for the new ones. `by` nobody: a trial of the autotuner, which no list of changes has.
   */
  retune(changes: Retuning, by?: RunChange["by"]): readonly RunChange[] {
    const recorded = by ? this.#record(changes, by) : [];
    this.#solver = { ...this.#solver, ...changes };
    this.#runOrder.retuned(this.#solver, () => this.#roster.connected().filter(({ place }) => place !== undefined));
    return recorded;
  }

  /**
   * The center goes back to an earlier one. A push that is not yet on its way into the center, and every replica's next one, is
   * refused `RESTARTED`: it comes from the center that is given up.
   */
  async restart(state: CenterState): Promise<void> {
    for (const replica of this.#roster) replica.mustRestart = true;
    this.#runOrder.abort();
    this.#restoring = this.#center.restore(state).then(() => this.stream.current());
    await this.#restoring;
  }

  /** The center as it is, for a `restart`. */
  snapshot(): Snapshot {
    return this.#center.snapshot();
  }

  /** The autotuner chose; people are shown what and why. What it chose is in effect already. */
  recordDecision(decision: AutotuneDecision): void {
    this.#log({ kind: "decided", decision });
    this.#tally.decided(decision);
    const { groups, momentum, learningRate } = decision;
    this.#record({ groups, momentum, learningRate }, "autotune");
  }

  countRefusal(code: RefusalCode): void {
    this.#tally.refused(code);
  }

  countBytes(up: number, down: number, replica?: Replica): void {
    this.#tally.bytes(up, down, replica);
  }

  failed(error: unknown): void {
    this.#options.onFailure(error);
  }

  recordEvaluation(evaluation: EvaluationRecord): void {
    this.#log({ kind: "evaluated", point: this.#tally.evaluated(evaluation) });
  }

  /** Ends the run: every replica is told, later pushes and hellos are refused `RUN_OVER`. */
  finish(state: "reached" | "stopped", reason: string): void {
    // Limits of patience hold again for whoever is still waited for.
    this.clock.resume();
    this.#state = state;
    for (const session of this.#sessions) session.finish(reason);
    this.#sessions.clear();
    for (const replica of this.#roster) replica.slices?.end();
  }

  /** Resolves when no push is in flight any longer. After `finish` nobody waits for anybody. */
  async settled(): Promise<void> {
    for (const replica of this.#roster) {
      while (replica.inFlight) await replica.inFlight.settled.catch(() => {});
    }
  }

  view(): RunView {
    const { run, model, data, solver, targetAccuracy } = this.settings;
    const { learningRate, momentum, communicationPeriod, groups, movingRate, elasticRate, staleness } = this.#solver;
    const counted = this.#tally.view(!this.isOver && !this.orders.isPaused, (replica) => this.#order.groupOf(replica));
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
      codecs: { up: this.settings.codecUp, down: this.settings.codecDown },
      fragments: this.settings.fragments,
      ...counted,
      groups: groups === null ? null : inGroups.size,
      directRounds: this.settings.peers ? { ...this.#peers.counts } : null,
      hyperparameters: { learningRate, momentum, communicationPeriod, groups, movingRate, elasticRate, staleness },
      isPaused: this.orders.isPaused,
      changes: this.#changes.list,
      epoch: this.#leases.view(),
    };
  }

  /** What a checkpoint keeps beside the center; the rest is in the ledger. */
  record(): RunRecord {
    const { list: changes, retuned } = this.#changes;
    return { ...this.#tally.record(), changes, retuned, kicked: this.orders.kicked };
  }

  get isOver(): boolean {
    return this.#state === "reached" || this.#state === "stopped";
  }

  get #order(): ExchangeOrder {
    return this.#runOrder.present;
  }

  #newOrder(): RunOrder {
    return new RunOrder({
      center: this.#center,
      settings: () => this.#solver,
      connected: () => this.#roster.connected(),
      nowMs: this.clock.runMs,
      ...(this.settings.peers ? { peers: this.#peers } : {}),
    });
  }

  #newExchanges({ nowMs, nowIso, ledger }: RunOptions): Exchanges {
    return new Exchanges({
      incarnation: this.incarnation,
      elements: this.elements,
      isLossy: this.settings.lossy,
      rule: replicaRuleOf(this.#solver.solver, this.#solver.exchange),
      places: this.#places,
      tally: this.#tally,
      leases: this.#leases,
      ledger,
      settings: () => this.#solver,
      order: () => this.#order,
      version: () => this.version,
      isOver: () => this.isOver,
      restored: () => this.#restoring,
      begin: () => this.#beginClock(),
      assignmentOf: (replica) => this.assignmentOf(replica),
      nowMs,
      runMs: this.clock.runMs,
      nowIso,
    });
  }

  #record(changes: Retuning, by: RunChange["by"]): readonly RunChange[] {
    const { seconds, samples } = this.#tally;
    const recorded = this.#changes.record(changes, by, { seconds, samples });
    for (const change of recorded) this.#log({ kind: "changed", change });
    return recorded;
  }

  #log(event: LoggedEvent): void {
    this.#options.log?.(event);
  }

  #beginClock(): void {
    if (this.#state === "waiting") this.#state = "training";
    this.#tally.begin();
  }
}

/** Of a new run, all of them. */
function leasesOf({ leases, settings: { data, seed } }: RunOptions): RestoredLeases {
  return leases ?? newLeases({ shards: data.shards.map(({ examples }) => examples), seed });
}
