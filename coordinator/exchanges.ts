/**
 * Every push, from the gate to its answer or refusal: applied in the run's order, written into the ledger, settled, and repeated for
 * those who ask again (SPEC X). What an order makes of a push is its own affair, and so is what a place answers with.
 */

import type { Assignment } from "../shared/solver/assignment.ts";
import { solverOf } from "../shared/solver/catalogue.ts";
import type { ReplicaRule } from "../shared/solver/replica_rule.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import { ruleOf, type RefusalCode } from "../shared/wire/codes.ts";
import type { Fragment } from "../shared/wire/codec/codec.ts";
import type { Header } from "../shared/wire/messages.ts";
import { gate } from "./gate.ts";
import { LossyPush } from "./lossy_push.ts";
import type { RunLeases } from "./leases/run_leases.ts";
import type { ExchangeOrder, OrderResult } from "./order/order.ts";
import type { VectorPieces } from "./place.ts";
import type { Places } from "./places.ts";
import { placeOf, type Replica, type Settled } from "./roster.ts";
import type { LedgerEntry } from "./store/ledger.ts";
import type { Tally } from "./tally.ts";

/** The ledger as the run needs it: a line is on disk when the promise resolves (SPEC X14). */
export interface LedgerPort {
  append(entry: LedgerEntry): Promise<void>;
}

export interface ExchangesOptions {
  readonly incarnation: number;
  readonly elements: number;
  /** Whether pushes may come in slices. */
  readonly isLossy: boolean;
  readonly rule: ReplicaRule;
  readonly places: Places;
  readonly tally: Tally;
  readonly leases: RunLeases;
  readonly ledger: LedgerPort;
  readonly settings: () => SolverSettings;
  readonly order: () => ExchangeOrder;
  readonly version: () => number;
  readonly isOver: () => boolean;
  /** Resolves when the center is not being put back. */
  readonly restored: () => Promise<unknown>;
  /** The run's clock, at its first exchange. */
  readonly begin: () => void;
  readonly assignmentOf: (replica: Replica) => Assignment;
  readonly nowMs: () => number;
  /** The run's own time: pauses do not count as work. */
  readonly runMs: () => number;
  readonly nowIso: () => string;
}

/** What a session sends for a push. */
export type Reply =
  | { readonly kind: "answer"; readonly header: Header<"answer">; readonly vector: VectorPieces | undefined }
  | Extract<Settled, { kind: "refusal" }>;

/** Of a push that passed the gate. */
interface Push {
  readonly header: Header<"push">;
  readonly payload: Uint8Array;
  /** What came of a lossy push. */
  readonly ranges?: readonly Fragment[];
  readonly lost?: readonly number[];
}

/** Of slices that an answer names. */
const MOST_LOST_WITH_LEASES = 400;

type Applied = Extract<OrderResult, { verdict: "applied" }>;

export class Exchanges {
  readonly #options: ExchangesOptions;

  constructor(options: ExchangesOptions) {
    this.#options = options;
  }

  async push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Reply> {
    const settled = await this.#settled(replica, header, payload);
    if (settled.kind === "refusal") return this.#refusal(replica, settled);
    const { vector } = settled;
    if (!vector) return { kind: "answer", header: settled.header, vector: undefined };
    const pieces = replica.place?.piecesOf(vector);
    if (!pieces) return this.#unanswerable(replica, header);
    const deltas = pieces.deltas === undefined ? {} : { deltas: pieces.deltas };
    return { kind: "answer", header: { ...settled.header, ...deltas }, vector: pieces };
  }

  /** One message of a replica's lossy channel. */
  slice(replica: Replica, message: Uint8Array): void {
    const { isLossy, elements, nowMs } = this.#options;
    if (!isLossy || !replica.place) return;
    replica.slices ??= new LossyPush(replica.place.codecs.up, elements);
    replica.slices.receive(message, replica.lastExchange, nowMs());
  }

  async #settled(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Settled> {
    const { isOver, incarnation, places, rule } = this.#options;
    const { exchange } = header;
    if (isOver()) return { kind: "refusal", code: "RUN_OVER", exchange };
    const decision = gate(header, replica, incarnation, rule.content);
    switch (decision.kind) {
      case "repeat":
        return this.#repeat(replica);
      case "wait":
        return replica.inFlight!.settled;
      case "refuse":
        // An out-of-turn push must not wait for, nor stand in the way of, the one whose turn it is.
        if (replica.inFlight) return this.#refuseAtGate(replica, header, decision.code);
        return places.occupy(replica, exchange, () => this.#refuseAtGate(replica, header, decision.code));
      case "pass":
        return places.occupy(replica, exchange, () => this.#take(replica, header, payload));
      default:
        return decision satisfies never;
    }
  }

  /** Waits for the slices of a lossy push, and has it count. */
  async #take(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Settled> {
    if (header.slices === undefined) return this.#exchange(replica, { header, payload });
    const { isLossy, elements, nowMs } = this.#options;
    const slices = (replica.slices ??= new LossyPush(placeOf(replica).codecs.up, elements));
    if (!isLossy || header.slices !== slices.plan.slices) return this.#refuseAtGate(replica, header, "BAD_HEADER");
    const arrived = await slices.arrival(header.exchange, nowMs());
    replica.slicesPushed += slices.plan.slices;
    replica.slicesLost += arrived.lost.length;
    return this.#exchange(replica, { header, ...arrived });
  }

  /** One exchange that passed the gate: apply, write down, settle. */
  async #exchange(replica: Replica, push: Push): Promise<Settled> {
    const { rule, begin, runMs } = this.#options;
    const { header } = push;
    begin();
    const cameMs = runMs();
    // Where it trains on while it waits for an answer, the work behind this push began right after the push before.
    const beganMs = rule.trainsMeanwhile ? replica.lastPushMs : replica.freeSinceMs;
    // A claim that did not count is followed by a push of the same work.
    if (header.exchange !== replica.claimed) replica.worked(header.samples, cameMs - beganMs - (header.waitedMs ?? 0));
    replica.lastPushMs = cameMs;
    const result = await this.#ordered(replica, push);
    const answeredMs = runMs();
    if (result.verdict === "not-averaged") {
      replica.claimed = header.exchange;
      return { kind: "refusal", code: "NOT_AVERAGED", exchange: header.exchange };
    }
    replica.averagesDirectly = header.average !== undefined;
    replica.heldMs += answeredMs - cameMs;
    replica.freeSinceMs = answeredMs;
    replica.exchanges++;
    if (result.verdict !== "applied") return this.#settleRefusal(replica, header, result);
    return this.#answer(replica, push, result);
  }

  async #answer(replica: Replica, { header, lost = [] }: Push, result: Applied): Promise<Settled> {
    const { tally, leases, assignmentOf } = this.#options;
    const fragment = header.fragment ?? 0;
    const place = placeOf(replica);
    // Asked at once, so that all who were answered together get the same.
    const answering = place.answer(fragment, {
      version: result.version,
      mustBeTold: this.#isBarrier,
      // What overlapped this apply counts as staleness next time (SPEC S1).
      answerVersion: result.centerVersion + 1,
      isBare: header.content === "difference",
    });
    const { staleness, version } = result;
    const { leased, written } = leases.use(replica, header);
    const [vector] = await Promise.all([
      answering,
      this.#write(replica, header, {
        verdict: "applied",
        staleness,
        version,
        ...(leased.length === 0 ? {} : { leased }),
      }),
    ]);
    written();
    tally.applied(replica, header, staleness);
    const assignment = assignmentOf(replica);
    // A long list of what was lost leaves no room in the header; the next answer has some.
    const given = lost.length > MOST_LOST_WITH_LEASES ? [] : leases.topUp(replica, header.samples);
    return settle(replica, header.exchange, {
      kind: "answer",
      header: {
        exchange: header.exchange,
        version: vector.to,
        staleness,
        pull: result.pull,
        repeated: false,
        assignment,
        ...(result.average ? { average: result.average } : {}),
        ...(header.fragment === undefined ? {} : { fragment }),
        ...(lost.length === 0 ? {} : { lost }),
        ...(given.length === 0 ? {} : { leases: given }),
      },
      vector: header.content === "difference" ? undefined : vector,
    });
  }

  /** What the order makes of it; the first push after a `restart` does not come so far. */
  #ordered(replica: Replica, { header, payload, ranges }: Push): Promise<OrderResult> {
    if (replica.mustRestart) return Promise.resolve({ verdict: "restarted" });
    return this.#options.order().push(replica, header, payload, ranges);
  }

  async #settleRefusal(
    replica: Replica,
    header: Header<"push">,
    result: Exclude<OrderResult, { verdict: "applied" | "not-averaged" }>,
  ): Promise<Settled> {
    const code = REFUSAL_OF[result.verdict];
    if (result.verdict === "restarted") {
      replica.mustRestart = false;
      await this.#options.restored();
    }
    await placeOf(replica).refresh(false);
    replica.refused++;
    const staleness = result.verdict === "too-stale" ? result.staleness : null;
    await this.#write(replica, header, { verdict: code, staleness, version: this.#options.version() });
    return settle(replica, header.exchange, { kind: "refusal", code, exchange: header.exchange });
  }

  /** Refusals that the push never got past; only `UNKNOWN_BASE` and `WRONG_INCARNATION` hand out a new base. */
  async #refuseAtGate(replica: Replica, header: Header<"push">, code: RefusalCode): Promise<Settled> {
    if (code === "UNKNOWN_BASE" || code === "WRONG_INCARNATION") await replica.place?.refresh(false);
    replica.refused++;
    await this.#write(replica, header, { verdict: code, staleness: null, version: this.#options.version() });
    return { kind: "refusal", code, exchange: header.exchange };
  }

  #repeat(replica: Replica): Settled {
    const { settled } = replica;
    if (!settled) throw new Error("invariant violation: nothing to repeat");
    this.#options.tally.repeated();
    if (settled.kind === "refusal") return settled;
    return { ...settled, header: { ...settled.header, repeated: true } };
  }

  /** With the center that was given first, or, where that is no longer kept, with another. */
  async #refusal(replica: Replica, refusal: Extract<Settled, { kind: "refusal" }>): Promise<Reply> {
    const isWithCenter = ruleOf(refusal.code).recovery !== "none";
    if (isWithCenter && !replica.inFlight && replica.place?.holds(0) === false) {
      await this.#options.places.refresh(replica);
    }
    return refusal;
  }

  /**
   * The exchange is settled, and what its answer would lead to is no longer kept: the replica gets the center as it is. What an update
   * or a gradient did is in it.
   */
  async #unanswerable(replica: Replica, { exchange, content }: Header<"push">): Promise<Reply> {
    const code = content === "parameters" ? "UNKNOWN_BASE" : "TOO_STALE";
    if (!replica.inFlight) await this.#options.places.refresh(replica);
    const refusal = { kind: "refusal", code, exchange } as const;
    const { settled } = replica;
    if (replica.lastExchange !== exchange || settled?.kind !== "answer") return refusal;
    // Leases that came with the answer do not reach it either.
    this.#options.leases.withdraw(replica, settled.header.leases ?? []);
    replica.settled = refusal;
    return refusal;
  }

  get #isBarrier(): boolean {
    return solverOf(this.#options.settings().solver).order === "barrier";
  }

  #write(
    replica: Replica,
    header: Header<"push">,
    outcome: Pick<LedgerEntry, "verdict" | "staleness" | "version" | "leased">,
  ): Promise<void> {
    const { ledger, nowIso, incarnation } = this.#options;
    return ledger.append({
      at: nowIso(),
      incarnation,
      replica: replica.id,
      exchange: header.exchange,
      ...outcome,
      steps: header.steps,
      samples: header.samples,
    });
  }
}

function settle(replica: Replica, exchange: number, settled: Settled): Settled {
  replica.lastExchange = exchange;
  replica.settled = settled;
  return settled;
}

const REFUSAL_OF = {
  "too-stale": "TOO_STALE",
  "not-finite": "NOT_FINITE",
  "out-of-bounds": "OUT_OF_BOUNDS",
  "unknown-base": "UNKNOWN_BASE",
  restarted: "RESTARTED",
} as const satisfies Record<Exclude<OrderResult["verdict"], "applied" | "not-averaged">, RefusalCode>;
