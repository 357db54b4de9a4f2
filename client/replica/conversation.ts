/**
 * The replica's side of every exchange, as states (SPEC X): when one is due, what is pulled or pushed, what an answer or
 * a refusal does to the parameters. Stands between connection and training, and never waits: whatever takes time comes
 * back as an event, so that local steps go on meanwhile.
 */

import type { Assignment } from "../../shared/solver/assignment.ts";
import type { ReplicaRule } from "../../shared/solver/replica_rule.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import type { FromCoordinator } from "../../shared/wire/messages.ts";
import type { Connection, ExchangeMessage, Welcome } from "./connection.ts";
import type { Exchange, InFlight, Work } from "./exchange.ts";
import type { Device, LocalTraining } from "./local_training.ts";
import type { Progress } from "./progress.ts";

type Answer = Extract<FromCoordinator, { kind: "answer" }>;
type Center = Extract<FromCoordinator, { kind: "center" }>;
type Refusal = Extract<FromCoordinator, { kind: "refusal" }>;

/** The center that was pulled for an exchange of two round trips, and the rate that the replica moves by itself. */
interface Pulled {
  readonly center: Float32Array;
  readonly movingRate: number;
}

/** The device reads a vector back. */
interface Taking {
  readonly kind: "taking";
  readonly pulled: Pulled | undefined;
  /** The new base that the taken update is to be carried onto. */
  onto: Float32Array | undefined;
  /**
   * What becomes of it: pushed; not pushed, because the base changed meanwhile, but its work is told of later; forgotten;
   * or forgotten, with the losses of the steps after it too.
   */
  fate: "push" | "carry" | "forget" | "forget-all";
}

type State =
  | { readonly kind: "training" }
  | { readonly kind: "pulling" }
  | Taking
  /** `isOrphan`: the device that remembered what was sent is gone. */
  | { readonly kind: "pushed"; readonly pulled: Pulled | undefined; readonly isOrphan: boolean };

export interface ConversationOptions {
  readonly rule: ReplicaRule;
  readonly training: LocalTraining;
  readonly connection: Connection;
  readonly exchange: Exchange;
  readonly progress: Progress;
  readonly nowMs: () => number;
  /** The device failed while it read back. */
  readonly onDeviceFailure: (error: unknown) => void;
  /** Something happened outside a call from the loop. */
  readonly onChange: () => void;
  /** Nothing will get better by itself. */
  readonly onHopeless: (sentence: string) => void;
}

/** Without an answer for this long, and with nothing leaving the link either, the link is taken for dead. */
const SILENCE_MS = 2 * LIMITS.leaseMs;
/** How far a replica trains on alone: further, it only learns its own shards by heart and warms the room. */
const STEPS_ALONE = 1000;
const PERIODS_ALONE = 100;
const DIVERGENCES_IN_A_ROW = 5;

export class Conversation {
  readonly #options: ConversationOptions;
  readonly #rule: ReplicaRule;
  #state: State = { kind: "training" };
  /** The center that the device holds as its base. */
  #base: Float32Array | undefined;
  /** What the next pulled center is for, where it is not for an exchange. */
  #need: "rebase" | "restart" | undefined;
  #divergences = 0;
  #quietSinceMs = 0;
  #bufferedBytes = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#rule = options.rule;
  }

  /** Whether the replica has ever got a center. */
  get hasJoined(): boolean {
    return this.#base !== undefined;
  }

  /** Whether a step makes sense now. */
  get mayStep(): boolean {
    const { connection, training } = this.#options;
    if (!this.hasJoined || this.#need === "restart") return false;
    if (this.#rule.trainsMeanwhile) return training.steps < Math.max(STEPS_ALONE, PERIODS_ALONE * this.#period);
    if (this.#state.kind !== "training" || this.#need || training.steps >= this.#period) return false;
    // Without a coordinator nobody knows whether the base is still the center, where alone a gradient is worth taking.
    return !this.#rule.takesGradients || connection.mayExchange(1);
  }

  /** Whether something is on its way to the coordinator or expected from it. */
  get isExchanging(): boolean {
    return this.#options.connection.isLive && (this.#state.kind === "pulling" || this.#state.kind === "pushed");
  }

  /** Steps until an exchange is due. */
  get #period(): number {
    if (this.#rule.takesGradients) return 1;
    return this.#options.training.assignment?.communicationPeriod ?? 1;
  }

  /** Begins what is due. */
  advance(): void {
    const { connection, training } = this.#options;
    if (!connection.isLive || !this.hasJoined) return;
    if (this.#state.kind === "pulling" || this.#state.kind === "pushed") this.#watchSilence();
    if (this.#state.kind !== "training") return;
    if (this.#need) return this.#pull();
    if (training.steps < this.#period) return;
    if (!connection.mayExchange(this.#rule.isTwoRoundTrip ? 2 : 1)) return;
    if (this.#rule.isTwoRoundTrip) return this.#pull();
    this.#take("push");
  }

  welcomed({ header, payload }: Welcome): void {
    const { connection, exchange, training } = this.#options;
    this.#assign(header.assignment);
    if (header.resumed && this.hasJoined) return this.#resume();
    const center = vectorOf(payload);
    if (!center) return connection.renew("a welcome without a center");
    exchange.rejoin({ version: header.version, incarnation: header.incarnation }, header.lastExchange);
    if (this.#state.kind !== "taking") this.#state = { kind: "training" };
    else if (this.#state.fate === "push") this.#state.fate = "carry";
    if (this.hasJoined) return this.#recover(this.#need ?? "rebase", center);
    this.#base = center;
    training.begin(header.replica, center);
  }

  received(message: ExchangeMessage): void {
    switch (message.kind) {
      case "answer":
        return this.#answered(message);
      case "center":
        return this.#pulled(message);
      case "refusal":
        return this.#refused(message);
      default:
        return message satisfies never;
    }
  }

  connectionLost(): void {
    // A pull is simply asked again; a push waits for the welcome, which says whether it may be repeated.
    if (this.#state.kind === "pulling") this.#state = { kind: "training" };
  }

  /** The channel that an exchange went by is gone: the exchange is repeated where it goes now (SPEC T5). */
  rerouted(): void {
    if (this.#state.kind === "pulling") this.#pull();
    else this.#resume();
  }

  /** The old device is lost: the replica goes on from the last center that it was given. */
  deviceReplaced(device: Device): void {
    this.#options.training.useDevice(device, this.#base);
    if (this.#state.kind === "taking") this.#state = { kind: "training" };
    if (this.#state.kind === "pushed") this.#state = { ...this.#state, isOrphan: true };
    this.#refuseMisassignment();
  }

  #assign(assignment: Assignment): void {
    this.#options.training.assign(assignment);
    this.#refuseMisassignment();
  }

  #refuseMisassignment(): void {
    const { misassignment } = this.#options.training;
    if (misassignment !== undefined) this.#options.onHopeless(misassignment);
  }

  #resume(): void {
    const { connection, exchange } = this.#options;
    if (this.#state.kind !== "pushed" || !exchange.inFlight) return;
    this.#listen();
    connection.push(exchange.inFlight.header, exchange.inFlight.payload);
  }

  #pull(): void {
    this.#state = { kind: "pulling" };
    this.#listen();
    this.#options.connection.pull();
  }

  #take(fate: Taking["fate"], { pulled, onto }: Partial<Pick<Taking, "pulled" | "onto">> = {}): void {
    const taking: Taking = { kind: "taking", pulled, onto, fate };
    this.#state = taking;
    this.#options.training
      .take()
      .then(({ values, work }) => this.#taken(taking, values, work))
      .catch(this.#options.onDeviceFailure);
  }

  #taken(taking: Taking, values: Float32Array, work: Work): void {
    const { training, exchange, onChange } = this.#options;
    // Another device has taken its place meanwhile.
    if (this.#state !== taking) return;
    this.#state = { kind: "training" };
    onChange();
    if (taking.fate === "forget") return;
    if (taking.fate === "forget-all") return this.#take("forget");
    if (taking.fate === "push") return this.#push(taking, values, work);
    if (taking.onto) training.moveOnto(taking.onto, values);
    if (Number.isFinite(work.lossSum)) exchange.carry(work);
  }

  #push({ pulled }: Taking, values: Float32Array, work: Work): void {
    const { connection, exchange, progress } = this.#options;
    const isBuffered = connection.bufferedBytes > 0;
    const inFlight = exchange.begin(this.#rule.content, values, pulled?.movingRate ?? 1, work, isBuffered);
    if (!inFlight) return this.#diverged();
    this.#state = { kind: "pushed", pulled, isOrphan: false };
    progress.pushed(inFlight.header.meanLoss);
    this.#listen();
    // Sent again after the next welcome where the connection is down.
    connection.push(inFlight.header, inFlight.payload);
  }

  #answered({ header, payload }: Answer): void {
    const { exchange, progress } = this.#options;
    const inFlight = exchange.settle(header.exchange);
    const state = this.#state;
    if (!inFlight || state.kind !== "pushed") return;
    this.#state = { kind: "training" };
    this.#divergences = 0;
    progress.answered(header.staleness);
    this.#assign(header.assignment);
    if (this.#rule.isTwoRoundTrip) this.#moveMyself(state);
    else this.#moveTowards(vectorOf(payload), header, inFlight, state.isOrphan);
  }

  /** SPEC X10: by the difference that was pushed. */
  #moveMyself({ pulled, isOrphan }: Extract<State, { kind: "pushed" }>): void {
    if (pulled && !isOrphan) this.#options.training.settle(pulled.center, pulled.movingRate);
  }

  /** SPEC X4. */
  #moveTowards(
    vector: Float32Array | undefined,
    header: Answer["header"],
    inFlight: InFlight,
    isOrphan: boolean,
  ): void {
    const { exchange, training } = this.#options;
    exchange.rebase({ version: header.version, incarnation: inFlight.header.incarnation });
    if (!vector) {
      // Not what X3 promises: asked for instead. An update is in the center already, and must not be pushed again.
      this.#need = this.#rule.content === "parameters" ? "rebase" : "restart";
      return;
    }
    if (isOrphan || this.#rule.takesGradients) return this.#restart(vector);
    this.#base = vector;
    training.settle(vector, header.pull);
  }

  #pulled({ header, payload }: Center): void {
    const { exchange, training } = this.#options;
    const center = vectorOf(payload);
    if (this.#state.kind !== "pulling" || !center) return;
    this.#state = { kind: "training" };
    this.#assign(header.assignment);
    exchange.rebase({ version: header.version, incarnation: header.incarnation });
    if (this.#need) return this.#recover(this.#need, center);
    this.#base = center;
    training.rebase(center);
    this.#take("push", { pulled: { center, movingRate: header.assignment.movingRate } });
  }

  #refused({ header, payload }: Refusal): void {
    const { exchange, progress } = this.#options;
    const inFlight = header.exchange === undefined ? undefined : exchange.settle(header.exchange);
    // Of an exchange that is over already.
    if (header.exchange !== undefined && !inFlight) return;
    progress.refused(header.sentence);
    if (!inFlight) return;
    if (this.#state.kind === "pushed") this.#state = { kind: "training" };
    if (header.recovery === "none") return;
    if (header.recovery === "rebase") exchange.carry(inFlight.work);
    if (header.code === "NOT_FINITE" || header.code === "OUT_OF_BOUNDS") this.#countDivergence();
    const center = vectorOf(payload);
    if (!center) {
      this.#need = header.recovery;
      return;
    }
    exchange.rebase({ version: header.version, incarnation: header.incarnation });
    this.#recover(header.recovery, center);
  }

  /** SPEC X11. */
  #recover(how: "rebase" | "restart", center: Float32Array): void {
    this.#need = undefined;
    // A gradient is worth nothing at another center.
    if (how === "restart" || this.#rule.takesGradients) return this.#restart(center);
    this.#base = center;
    if (this.#rule.content === "update") this.#carryOnto(center);
    else this.#options.training.rebase(center);
  }

  /** The difference from a new base would count the way that the center went as this replica's own work, once per replica. */
  #carryOnto(center: Float32Array): void {
    if (this.#state.kind !== "taking") this.#take("carry", { onto: center });
    else if (this.#state.fate === "carry") this.#state.onto = center;
    // What is being forgotten cannot be carried.
    else this.#restart(center);
  }

  #restart(center: Float32Array): void {
    const { training } = this.#options;
    const hasLosses = training.steps > 0;
    this.#base = center;
    training.restart(center);
    if (this.#state.kind === "taking") this.#state.fate = "forget-all";
    else if (hasLosses) this.#take("forget");
  }

  /** The loss or a parameter is not a number: nothing is sent, and the replica asks for the center to restart from. */
  #diverged(): void {
    this.#need = "restart";
    this.#options.progress.diverged(
      "Training diverged here (a loss or a parameter became NaN or infinite); the replica restarts from the current center.",
    );
    this.#countDivergence();
  }

  #countDivergence(): void {
    this.#divergences++;
    if (this.#divergences < DIVERGENCES_IN_A_ROW) return;
    this.#options.onHopeless(
      `Training diverged ${DIVERGENCES_IN_A_ROW} times in a row here, each time right after a restart from the center. ` +
        "Either the run's learning rate is too high (the operator can lower it), or this device computes wrongly (choose the other backend).",
    );
  }

  #listen(): void {
    this.#quietSinceMs = this.#options.nowMs();
    this.#bufferedBytes = this.#options.connection.bufferedBytes;
  }

  /** A cut cable closes nothing: only the silence tells. Bytes that still leave the link are not silence. */
  #watchSilence(): void {
    const { connection, nowMs } = this.#options;
    if (connection.bufferedBytes < this.#bufferedBytes) return this.#listen();
    this.#bufferedBytes = connection.bufferedBytes;
    if (nowMs() - this.#quietSinceMs > SILENCE_MS) connection.renew("no answer came");
  }
}

/** The payload as numbers: in place where it is aligned, as it is in a browser; copied where a socket library packs tightly. */
function vectorOf(payload: Uint8Array): Float32Array | undefined {
  if (payload.byteLength === 0) return undefined;
  const aligned = payload.byteOffset % 4 === 0 ? payload : payload.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
