/**
 * The replica's side of every exchange, as states (SPEC X): when one is due, what is pulled or pushed, what an answer or
 * a refusal does to the parameters. Stands between connection and training, and never waits: whatever takes time comes
 * back as an event, so that local steps go on meanwhile.
 */

import type { RunSettings } from "../../shared/run_settings.ts";
import { SOLVERS } from "../../shared/solver/catalogue.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import type { FromCoordinator } from "../../shared/wire/messages.ts";
import type { Connection, ExchangeMessage, Welcome } from "./connection.ts";
import { Exchange, type Base, type PushContent, type Work } from "./exchange.ts";
import type { Device, LocalTraining } from "./local_training.ts";
import type { Progress } from "./progress.ts";

type Answer = Extract<FromCoordinator, { kind: "answer" }>;
type Center = Extract<FromCoordinator, { kind: "center" }>;
type Refusal = Extract<FromCoordinator, { kind: "refusal" }>;

/** The device reads a vector back. */
interface Taking {
  readonly kind: "taking";
  /** The pulled center, where the exchange takes two round trips. */
  readonly center: Float32Array | undefined;
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
  | { readonly kind: "pushed"; readonly center: Float32Array | undefined; readonly isOrphan: boolean };

export interface ConversationOptions {
  readonly settings: RunSettings;
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
  readonly #isElastic: boolean;
  readonly #isTwoRoundTrip: boolean;
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
    this.#isElastic = SOLVERS[options.settings.solver].rule === "elastic";
    this.#isTwoRoundTrip = this.#isElastic && options.settings.exchange === "two-round-trip";
  }

  /** Whether the replica has ever got a center. */
  get hasJoined(): boolean {
    return this.#base !== undefined;
  }

  /** Whether a local step makes sense now. A gradient is taken at the center and nowhere else, so its rule has none. */
  get mayStep(): boolean {
    if (!this.#isElastic || !this.hasJoined || this.#need === "restart") return false;
    const { communicationPeriod } = this.#options.settings;
    return this.#options.training.steps < Math.max(STEPS_ALONE, PERIODS_ALONE * communicationPeriod);
  }

  /** Whether something is on its way to the coordinator or expected from it. */
  get isExchanging(): boolean {
    return this.#options.connection.isLive && (this.#state.kind === "pulling" || this.#state.kind === "pushed");
  }

  /** Begins what is due. */
  advance(): void {
    const { connection, training, settings } = this.#options;
    if (!connection.isLive || !this.hasJoined) return;
    if (this.#state.kind === "pulling" || this.#state.kind === "pushed") this.#watchSilence();
    if (this.#state.kind !== "training") return;
    if (this.#need) return this.#pull();
    if (this.#isElastic && training.steps < settings.communicationPeriod) return;
    if (!connection.mayExchange(this.#isTwoRoundTrip ? 2 : 1)) return;
    if (this.#isTwoRoundTrip) return this.#pull();
    if (!this.#isElastic) this.#gradientStep();
    this.#take("push");
  }

  welcomed({ header, payload }: Welcome): void {
    const { connection, exchange, training } = this.#options;
    if (header.resumed && this.hasJoined) return this.#resume();
    const center = vectorOf(payload);
    if (!center) return connection.renew("a welcome without a center");
    exchange.rejoin({ version: header.version, incarnation: header.incarnation }, header.lastExchange);
    training.reached(header.version);
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

  /** The old device is lost: the replica goes on from the last center that it was given. */
  deviceReplaced(device: Device): void {
    this.#options.training.useDevice(device, this.#base);
    if (this.#state.kind === "taking") this.#state = { kind: "training" };
    if (this.#state.kind === "pushed") this.#state = { ...this.#state, isOrphan: true };
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

  #gradientStep(): void {
    const { training, progress, settings, nowMs } = this.#options;
    training.gradientStep();
    progress.stepped(settings.batch, nowMs());
  }

  #take(fate: Taking["fate"], center?: Float32Array): void {
    const taking: Taking = { kind: "taking", center, fate };
    this.#state = taking;
    const what = this.#isElastic ? "difference" : "gradient";
    this.#options.training
      .take(what)
      .then(({ values, work }) => this.#taken(taking, values, work))
      .catch(this.#options.onDeviceFailure);
  }

  #taken(taking: Taking, values: Float32Array, work: Work): void {
    // Another device has taken its place meanwhile.
    if (this.#state !== taking) return;
    this.#state = { kind: "training" };
    this.#options.onChange();
    if (taking.fate === "forget") return;
    if (taking.fate === "forget-all") return this.#take("forget");
    if (taking.fate === "push") return this.#push(taking, values, work);
    if (Number.isFinite(work.lossSum)) this.#options.exchange.carry(work);
  }

  #push({ center }: Taking, values: Float32Array, work: Work): void {
    const { connection, exchange, progress, settings } = this.#options;
    const scale = this.#isTwoRoundTrip ? settings.movingRate : 1;
    const inFlight = exchange.begin(this.#content, values, scale, work, connection.bufferedBytes > 0);
    if (!inFlight) return this.#diverged();
    this.#state = { kind: "pushed", center, isOrphan: false };
    progress.pushed(inFlight.header.meanLoss);
    this.#listen();
    // Sent again after the next welcome where the connection is down.
    connection.push(inFlight.header, inFlight.payload);
  }

  get #content(): PushContent {
    if (!this.#isElastic) return "gradient";
    return this.#isTwoRoundTrip ? "difference" : "parameters";
  }

  #answered({ header, payload }: Answer): void {
    const { exchange, progress, settings, training } = this.#options;
    const inFlight = exchange.settle(header.exchange);
    const state = this.#state;
    if (!inFlight || state.kind !== "pushed") return;
    this.#state = { kind: "training" };
    this.#divergences = 0;
    progress.answered(header.staleness);
    if (inFlight.header.content === "difference") {
      if (state.center && !state.isOrphan) training.settle(state.center, settings.movingRate);
      return;
    }
    this.#agree({ version: header.version, incarnation: inFlight.header.incarnation });
    const center = vectorOf(payload);
    // Not what X3 promises: asked for instead.
    if (!center) this.#need = "rebase";
    else if (state.isOrphan || !this.#isElastic) this.#restart(center);
    else {
      this.#base = center;
      training.settle(center, header.movingRate);
    }
  }

  #pulled({ header, payload }: Center): void {
    const { training } = this.#options;
    const center = vectorOf(payload);
    if (this.#state.kind !== "pulling" || !center) return;
    this.#state = { kind: "training" };
    this.#agree({ version: header.version, incarnation: header.incarnation });
    if (this.#need) return this.#recover(this.#need, center);
    this.#base = center;
    training.rebase(center);
    this.#take("push", center);
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
    this.#agree({ version: header.version, incarnation: header.incarnation });
    this.#recover(header.recovery, center);
  }

  /** SPEC X11. */
  #recover(how: "rebase" | "restart", center: Float32Array): void {
    this.#need = undefined;
    if (how === "restart" || !this.#isElastic) return this.#restart(center);
    this.#base = center;
    this.#options.training.rebase(center);
  }

  #restart(center: Float32Array): void {
    this.#base = center;
    this.#options.training.restart(center);
    // A gradient is taken after every step, so no losses are left over.
    if (!this.#isElastic) return;
    if (this.#state.kind === "taking") this.#state.fate = "forget-all";
    else this.#take("forget");
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

  /** A new base, which also tells how far the run has come. */
  #agree(base: Base): void {
    this.#options.exchange.rebase(base);
    this.#options.training.reached(base.version);
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
