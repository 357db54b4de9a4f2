/**
 * A training run: what to answer. The only place where solver, center, gate, ledger and roster meet; it sees connections
 * only as sessions, and time and files only through what it is handed.
 */

import type { ParameterLayout } from "../shared/model/layout.ts";
import type { RunSettings } from "../shared/run_settings.ts";
import type { RunState, RunView } from "../shared/run_view.ts";
import { SOLVERS } from "../shared/solver/catalogue.ts";
import { movingRateFor } from "../shared/solver/rule.ts";
import { learningRateAt, runSteps } from "../shared/solver/schedule.ts";
import type { StalenessPolicy } from "../shared/solver/staleness.ts";
import { LIMITS, type RefusalCode } from "../shared/wire/codes.ts";
import type { Link } from "../shared/wire/link.ts";
import type { Header } from "../shared/wire/messages.ts";
import type { Center, PushJob, PushResult } from "./center/center.ts";
import { gate, type Content } from "./gate.ts";
import { Roster, type Connection, type Replica, type Settled } from "./roster.ts";
import { Round } from "./round.ts";
import type { RestoredRun, RunRecord } from "./run_record.ts";
import { Tally, type EvaluationRecord } from "./tally.ts";
import { Session, type Joined, type RunPort } from "./session.ts";

export interface LedgerEntry {
  /** ISO 8601. */
  readonly at: string;
  readonly incarnation: number;
  readonly replica: string;
  readonly exchange: number;
  readonly verdict: "applied" | RefusalCode;
  readonly staleness: number | null;
  /** Of the center: right after this apply, or when it was refused. */
  readonly version: number;
  readonly steps: number;
  readonly samples: number;
}

/** The ledger as the run needs it: a line is on disk when the promise resolves (SPEC X14). */
interface LedgerPort {
  append(entry: LedgerEntry): Promise<void>;
}

/** How the center is moved, beyond what the volunteers need to know. */
export interface CenterRule {
  /** beta; alpha = beta / p. */
  readonly elasticRate: number;
  /** A fixed alpha instead, or null. */
  readonly movingRate: number | null;
  readonly staleness: StalenessPolicy;
  /** Of the center's own optimizer, for gradient solvers. */
  readonly learningRate: number;
  readonly momentum: number;
}

export interface RunOptions {
  readonly settings: RunSettings;
  readonly layout: ParameterLayout;
  readonly rule: CenterRule;
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
  readonly payloadBytes: number;
  readonly incarnation: number;
  readonly #options: RunOptions;
  readonly #center: Center;
  readonly #roster: Roster;
  readonly #sessions = new Set<Session>();
  readonly #content: Content;
  readonly #round: Round | undefined;
  readonly #tally: Tally;
  #state: RunState = "waiting";

  constructor(options: RunOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.incarnation = options.incarnation;
    this.payloadBytes = 4 * options.layout.elements;
    this.#center = options.center;
    this.#roster = new Roster(options.secret, options.incarnation);
    this.#tally = new Tally(this.#roster, options.nowMs, options.restored);
    const solver = SOLVERS[options.settings.solver];
    this.#content = contentOf(options.settings);
    this.#round = solver.order === "barrier" ? new Round([]) : undefined;
  }

  nowMs(): number {
    return this.#options.nowMs();
  }

  get version(): number {
    return this.#center.version;
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

  /** Once a second: hello timeouts and leases (SPEC H1, H7, L4). */
  tick(): void {
    for (const session of this.#sessions) {
      session.tick();
      if (session.isClosed) this.#sessions.delete(session);
    }
    for (const replica of this.#roster) {
      if (this.nowMs() - replica.lastHeardMs <= LIMITS.leaseMs || replica.inFlight) continue;
      replica.connection?.refuse("LEASE_EXPIRED");
      this.#free(replica);
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
    this.heard(replica);
    // An older connection's push may still be applied: its place must not change under it, and may be freed after it.
    while (replica.inFlight) await replica.inFlight.settled;
    const resumed = replica.place !== undefined && hello.resume?.incarnation === this.incarnation;
    if (!resumed) await this.#rebase(replica);
    this.#round?.join(replica.id);
    const welcome: Header<"welcome"> = {
      replica: replica.id,
      token: this.#roster.tokenOf(replica.id),
      incarnation: this.incarnation,
      version: replica.place?.baseVersion ?? this.version,
      resumed,
      lastExchange: replica.lastExchange,
    };
    return { replica, welcome };
  }

  /** The caller has seen that nothing is in flight. */
  async pull(replica: Replica): Promise<void> {
    // The center of the last answer is overwritten: a retry of that exchange could not get it again.
    if (replica.settled?.kind === "answer" && replica.settled.withCenter) replica.settled = undefined;
    await this.#rebase(replica);
  }

  /** A new base, outside any exchange: number 0, so that no push waits for its outcome. */
  async #rebase(replica: Replica): Promise<void> {
    await this.#occupy(replica, 0, async () => {
      await this.#refresh(replica);
      return { kind: "refusal", code: "OUT_OF_TURN", exchange: 0 };
    });
  }

  /** One thing at a time happens to a replica's place; a second one sees `inFlight`. */
  async #occupy(replica: Replica, exchange: number, work: () => Promise<Settled>): Promise<Settled> {
    const settled = work();
    replica.inFlight = { exchange, settled };
    try {
      return await settled;
    } finally {
      replica.inFlight = undefined;
      if (replica.isLeaving) this.#free(replica);
    }
  }

  async #refresh(replica: Replica): Promise<void> {
    replica.place ??= { slot: this.#center.openSlot(), baseVersion: this.version };
    const { version } = await this.#center.refresh(replica.place.slot);
    replica.place.baseVersion = version;
  }

  heard(replica: Replica): void {
    replica.lastHeardMs = this.nowMs();
  }

  /** A connection ended: the place is kept for the lease, or freed at once when the replica left `forGood`. */
  leave(replica: Replica, connection: Connection, forGood: boolean): void {
    if (replica.connection !== connection) return;
    replica.connection = undefined;
    this.#round?.leave(replica.id);
    this.#closeRound();
    if (!forGood) return;
    if (replica.inFlight) replica.isLeaving = true;
    else this.#free(replica);
  }

  async push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Settled> {
    const { exchange } = header;
    if (this.#isOver) return { kind: "refusal", code: "RUN_OVER", exchange };
    const decision = gate(header, replica, this.incarnation, this.#content);
    switch (decision.kind) {
      case "repeat":
        return this.#repeat(replica);
      case "wait":
        return replica.inFlight!.settled;
      case "refuse":
        // An out-of-turn push must not wait for, nor stand in the way of, the one whose turn it is.
        if (replica.inFlight) return this.#refuseAtGate(replica, header, decision.code);
        return this.#occupy(replica, exchange, () => this.#refuseAtGate(replica, header, decision.code));
      case "pass":
        return this.#occupy(replica, exchange, () => this.#exchange(replica, header, payload));
      default:
        return decision satisfies never;
    }
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

  view(): RunView {
    const { run, model, data, solver, targetAccuracy } = this.settings;
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
      ...this.#tally.view(this.#isOver),
    };
  }

  /** What a checkpoint keeps beside the center; the rest is in the ledger. */
  record(): RunRecord {
    return this.#tally.record();
  }

  get #isOver(): boolean {
    return this.#state === "reached" || this.#state === "stopped";
  }

  /** A difference arrives with the replica's moving rate in it (SPEC X10). */
  #move(content: Content): Pick<PushJob, "kind" | "movingRate"> {
    if (content === "difference") return { kind: "difference", movingRate: 1 };
    const { movingRate, elasticRate } = this.#options.rule;
    return { kind: "elastic", movingRate: movingRate ?? movingRateFor(elasticRate, this.#roster.connected().length) };
  }

  /** One exchange that passed the gate: apply, write down, settle. */
  async #exchange(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Settled> {
    const place = replica.place;
    if (!place) throw new Error("invariant violation: a push passed the gate without a place at the center");
    this.#beginClock();
    const result = this.#round
      ? await this.#accumulate(replica, this.#round, header, payload)
      : await this.#center.push(place.slot, payload, {
          ...this.#move(header.content),
          baseVersion: header.baseVersion,
          policy: this.#options.rule.staleness,
        });
    replica.exchanges++;
    if (result.verdict !== "applied") return this.#settleRefusal(replica, header, result);
    // One more than the version when the apply began: its own. What overlapped counts as staleness next time (SPEC S1).
    place.baseVersion = this.#round ? result.version : result.centerVersion + 1;
    await this.#write(replica, header, { verdict: "applied", staleness: result.staleness, version: result.version });
    this.#tally.applied(replica, header, result.staleness);
    const settled: Settled = {
      kind: "answer",
      header: {
        exchange: header.exchange,
        version: place.baseVersion,
        staleness: result.staleness,
        movingRate: result.movingRate,
        repeated: false,
      },
      withCenter: header.content !== "difference",
    };
    return this.#settle(replica, header.exchange, settled);
  }

  /** SPEC X15: the gradient waits in the accumulator until the round is complete. */
  async #accumulate(replica: Replica, round: Round, header: Header<"push">, payload: Uint8Array): Promise<PushResult> {
    const staleness = Math.max(0, this.version - header.baseVersion);
    if (staleness > 0) return { verdict: "too-stale", staleness };
    const { verdict } = await this.#center.accumulate(payload);
    if (verdict !== "accumulated") {
      // Its round must not wait for a gradient that will not come.
      round.leave(replica.id);
      this.#closeRound();
      return { verdict };
    }
    const stepped = round.push(replica.id);
    this.#closeRound();
    await stepped;
    await this.#refresh(replica);
    const version = replica.place?.baseVersion ?? this.version;
    return { verdict: "applied", staleness: 0, movingRate: 1, centerVersion: version, version, overlapped: false };
  }

  #closeRound(): void {
    const round = this.#round;
    if (!round?.isComplete) return;
    const { learningRate: base, momentum } = this.#options.rule;
    const { schedule, communicationPeriod } = this.settings;
    const learningRate = learningRateAt(schedule, base, runSteps(this.version, communicationPeriod));
    const step = this.#center.step({ learningRate, momentum, count: round.pushed });
    round.finish(
      step,
      this.#roster.connected().map((replica) => replica.id),
    );
  }

  async #settleRefusal(
    replica: Replica,
    header: Header<"push">,
    result: Exclude<PushResult, { verdict: "applied" }>,
  ): Promise<Settled> {
    const code = REFUSAL_OF[result.verdict];
    await this.#refresh(replica);
    replica.refused++;
    const staleness = result.verdict === "too-stale" ? result.staleness : null;
    await this.#write(replica, header, { verdict: code, staleness, version: this.version });
    return this.#settle(replica, header.exchange, { kind: "refusal", code, exchange: header.exchange });
  }

  /** Refusals that the push never got past; only `UNKNOWN_BASE` and `WRONG_INCARNATION` hand out a new base. */
  async #refuseAtGate(replica: Replica, header: Header<"push">, code: RefusalCode): Promise<Settled> {
    if (code === "UNKNOWN_BASE" || code === "WRONG_INCARNATION") await this.#refresh(replica);
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

  #free(replica: Replica): void {
    replica.isLeaving = false;
    replica.place?.slot.close();
    replica.place = undefined;
    replica.settled = undefined;
  }
}

const REFUSAL_OF = {
  "too-stale": "TOO_STALE",
  "not-finite": "NOT_FINITE",
  "out-of-bounds": "OUT_OF_BOUNDS",
} as const satisfies Record<Exclude<PushResult["verdict"], "applied">, RefusalCode>;

function contentOf(settings: RunSettings): Content {
  if (SOLVERS[settings.solver].rule === "gradient") return "gradient";
  return settings.exchange === "two-round-trip" ? "difference" : "parameters";
}
