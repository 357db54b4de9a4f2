/**
 * Who takes part: one record per replica that ever joined this run, with its place at the center, its last settled
 * exchange and its contribution. Decides nothing about the center; `run.ts` does.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { StalenessHistogram } from "../shared/staleness_histogram.ts";
import type { RefusalCode } from "../shared/wire/codes.ts";
import type { Header } from "../shared/wire/messages.ts";
import type { ReplicaView } from "../shared/run_view.ts";
import type { Assignment } from "../shared/solver/assignment.ts";
import { PLAIN_CODECS, type Codecs } from "../shared/wire/vectors.ts";
import type { LossyPush } from "./lossy_push.ts";
import type { AnsweredVector, Place } from "./place.ts";
import { Rate } from "./rate.ts";

/** One slow push, of a page in the background say, does not make a slow replica. */
const SPEED_KEPT = 0.6;

/** How an exchange ended; kept so that a retry gets the same again (SPEC X12). */
export type Settled =
  | {
      readonly kind: "answer";
      readonly header: Header<"answer">;
      /** Where the answer has one: what of the center it carries. */
      readonly vector: AnsweredVector | undefined;
    }
  | { readonly kind: "refusal"; readonly code: RefusalCode; readonly exchange: number };

/** One connection of a replica, as the roster and the run see it. */
export interface Connection {
  refuse(code: RefusalCode): void;
  /** Of other replicas (SPEC G8), and what the operator wants (O2). */
  tell<N extends "group" | "signal" | "control">(name: N, header: Header<N>): void;
}

/** When a view is made. */
export interface ViewedAt {
  /** Of the run's own clock. */
  readonly nowMs: number;
  /** The run is neither over nor paused. */
  readonly isTraining: boolean;
}

export class Replica {
  readonly id: string;
  backend: ReplicaView["backend"] = "none";
  device = "";
  /** Its volunteer does: other volunteers may see its address (SPEC G8). */
  allowsPeers = false;
  /** Its last exchange was in a mean that its group made among itself. */
  averagesDirectly = false;
  /** The open connection, if any. */
  connection: Connection | undefined = undefined;
  lastHeardMs: number;
  place: Place | undefined = undefined;
  /** The last that it was told. */
  codecs: Codecs = PLAIN_CODECS;
  /** How its exchanges travel, as it says. */
  transport: ReplicaView["transport"] = "websocket";
  channelPushes = 0;
  /** What has come of a lossy push. */
  slices: LossyPush | undefined = undefined;
  /** Of lossy pushes, and of them those that did not come. */
  slicesPushed = 0;
  slicesLost = 0;
  bytesUp = 0;
  bytesDown = 0;
  settled: Settled | undefined = undefined;
  lastExchange = 0;
  inFlight: { readonly exchange: number; readonly settled: Promise<Settled> } | undefined = undefined;
  /** Said goodbye while an exchange was being applied: its place is freed once that is settled. */
  isLeaving = false;
  /** It was welcomed and has not left for good. */
  isMember = false;
  /** As its volunteer says. */
  name: string | null = null;
  /** How often it changed that. */
  timesNamed = 0;
  isHidden = false;
  dutyCycle = 1;
  /** Asked to complete its exchange and leave. */
  isDraining = false;
  samples = 0;
  exchanges = 0;
  applied = 0;
  refused = 0;
  /** What it was last asked to do. */
  assignment: Assignment | undefined = undefined;
  /** Samples per second of computing: measured before it joined, then between its pushes. 0 where nothing is known. */
  speed = 0;
  /** When it last got what it needs to go on: a welcome, an answer or a refusal. */
  freeSinceMs: number;
  lastPushMs: number;
  /** The exchange that it last claimed in vain for a direct average (SPEC G8). */
  claimed = 0;
  /** Total time that its pushes waited for their answers. */
  heldMs = 0;
  /** The run went back to an earlier center: its next push is refused. */
  mustRestart = false;
  readonly staleness = new StalenessHistogram();
  readonly rate: Rate;

  constructor(id: string, nowMs: number) {
    this.id = id;
    this.lastHeardMs = nowMs;
    this.freeSinceMs = nowMs;
    this.lastPushMs = nowMs;
    this.rate = new Rate(nowMs);
  }

  tellGroup(header: Header<"group">): void {
    this.connection?.tell("group", header);
  }

  tellSignal(header: Header<"signal">): void {
    this.connection?.tell("signal", header);
  }

  /** A push of `samples` took `elapsedMs`. */
  worked(samples: number, elapsedMs: number): void {
    if (samples === 0 || elapsedMs <= 0) return;
    const seen = (1000 * samples) / elapsedMs;
    this.speed = this.speed === 0 ? seen : SPEED_KEPT * this.speed + (1 - SPEED_KEPT) * seen;
  }

  view(samplesOfAll: number, { nowMs, isTraining }: ViewedAt, group: number | null): ReplicaView {
    const connected = this.connection !== undefined;
    return {
      id: this.id,
      backend: this.backend,
      device: this.device,
      connected,
      samples: this.samples,
      samplesPerSecond: connected && isTraining ? this.rate.perSecond(nowMs) : 0,
      exchanges: this.exchanges,
      applied: this.applied,
      refused: this.refused,
      staleness: this.staleness.view(),
      share: samplesOfAll === 0 ? 0 : this.samples / samplesOfAll,
      group,
      averagesDirectly: connected && this.averagesDirectly,
      communicationPeriod: this.assignment?.communicationPeriod ?? 0,
      batchShare: this.assignment?.samples ?? 0,
      heldSeconds: this.heldMs / 1000,
      transport: this.transport,
      channelPushes: this.channelPushes,
      codecUp: this.codecs.up,
      codecDown: this.codecs.down,
      sliceLossRate: this.slicesPushed === 0 ? 0 : this.slicesLost / this.slicesPushed,
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
      name: this.name,
      isHidden: this.isHidden,
      dutyCycle: this.dutyCycle,
      isDraining: this.isDraining,
    };
  }
}

/** Of a replica that is about to exchange. */
export function placeOf({ place }: Replica): Place {
  if (!place) throw new Error("invariant violation: a push came this far without a place at the center");
  return place;
}

export class Roster {
  readonly #replicas = new Map<string, Replica>();
  readonly #secret: Uint8Array;
  readonly #incarnation: number;
  #lastNumber = 0;

  /**
   * `secret` is the run's own; ids are proven by it, so that a restarted coordinator knows its replicas again. An id names
   * the incarnation that gave it, so that it is never given twice: nothing on disk tells of a replica that only said hello.
   */
  constructor(secret: Uint8Array, incarnation: number) {
    this.#secret = secret;
    this.#incarnation = incarnation;
  }

  [Symbol.iterator](): IterableIterator<Replica> {
    return this.#replicas.values();
  }

  connected(): Replica[] {
    return [...this.#replicas.values()].filter((replica) => replica.connection !== undefined);
  }

  get(id: string): Replica | undefined {
    return this.#replicas.get(id);
  }

  tokenOf(id: string): string {
    return createHmac("sha256", this.#secret).update(id).digest("base64url");
  }

  /** The replica that a hello names, if its token proves it; one that an earlier incarnation welcomed may be unknown yet. */
  proven(resume: { readonly replica: string; readonly token: string } | undefined, nowMs: number): Replica | undefined {
    if (!resume) return undefined;
    const wanted = Buffer.from(this.tokenOf(resume.replica));
    const given = Buffer.from(resume.token);
    if (wanted.length !== given.length || !timingSafeEqual(wanted, given)) return undefined;
    return this.restore(resume.replica, nowMs);
  }

  add(nowMs: number): Replica {
    this.#lastNumber++;
    return this.restore(`r${this.#incarnation}-${this.#lastNumber}`, nowMs);
  }

  /** The replica of this id, made if need be: when a run resumes, its ledger names them. */
  restore(id: string, nowMs: number): Replica {
    const known = this.#replicas.get(id);
    if (known) return known;
    const replica = new Replica(id, nowMs);
    this.#replicas.set(id, replica);
    return replica;
  }
}
