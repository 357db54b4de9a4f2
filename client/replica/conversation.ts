/**
 * The replica's side of every exchange, as states (SPEC X): when one is due, what is pulled or pushed, what an answer or
 * a refusal does to the parameters. Stands between connection and training, and never waits: whatever takes time comes
 * back as an event, so that local steps go on meanwhile.
 */

import type { CenterNews } from "../../shared/engine/backend.ts";
import type { Assignment } from "../../shared/solver/assignment.ts";
import type { ReplicaRule } from "../../shared/solver/replica_rule.ts";
import { wholeOf } from "../../shared/wire/codec/codec.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import type { FromCoordinator, Header } from "../../shared/wire/messages.ts";
import type { VectorWire } from "../../shared/wire/vectors.ts";
import type { FailureKind } from "../messages.ts";
import type { Connection, Received, Welcome } from "./connection.ts";
import type { Exchange, InFlight } from "./exchange.ts";
import type { HeldCenter } from "./held_center.ts";
import type { Device, LocalTraining, Took } from "./local_training.ts";
import { lostFragments, slicedPush } from "./lossy_push.ts";
import { centerNewsOf, newsOf, noNewsOf } from "./news.ts";
import { averageRequestOf, claimOf } from "./peers/averaged_exchange.ts";
import type { PeerGroup } from "./peers/peer_group.ts";
import type { Progress } from "./progress.ts";

type Answer = Extract<FromCoordinator, { kind: "answer" }>;
type Center = Extract<FromCoordinator, { kind: "center" }>;
type Refusal = Extract<FromCoordinator, { kind: "refusal" }>;

/** The device encodes and reads back. */
interface Taking {
  readonly kind: "taking";
  /** Of an exchange of two round trips, by which the replica moves by itself. */
  readonly movingRate: number | undefined;
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
  | { readonly kind: "pushed"; readonly movingRate: number | undefined };

export interface ConversationOptions {
  readonly rule: ReplicaRule;
  readonly training: LocalTraining;
  readonly connection: Connection;
  readonly exchange: Exchange;
  /** Where the volunteer allows direct connections. */
  readonly peers?: PeerGroup;
  readonly progress: Progress;
  readonly held: HeldCenter | undefined;
  readonly nowMs: () => number;
  /** By which the period is longer than assigned, 1 or more. */
  readonly periodFactor: () => number;
  /** The device failed while it read back. */
  readonly onDeviceFailure: (error: unknown) => void;
  /** Something happened outside a call from the loop. */
  readonly onChange: () => void;
  /** Nothing will get better by itself. */
  readonly onHopeless: (failure: FailureKind, sentence: string) => void;
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
  #hasJoined = false;
  /** Until the first welcome. */
  #held: HeldCenter | undefined;
  /** What the next pulled center is for, where it is not for an exchange. */
  #need: "rebase" | "restart" | undefined;
  /** Among peers; what is in flight has not been pushed yet. */
  #isAveraging = false;
  /** Whatever was trained is pushed, and nothing after that. */
  #isFinishing = false;
  #divergences = 0;
  #quietSinceMs = 0;
  #bufferedBytes = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#rule = options.rule;
    this.#held = options.held;
  }

  /** For a hello (SPEC D3). */
  get offer(): Pick<Header<"hello">, "holds"> {
    if (!this.#held) return {};
    const { incarnation, version } = this.#held;
    return { holds: { incarnation, version } };
  }

  /** Whether the replica has ever got a center. */
  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** Whether a step makes sense now. */
  get mayStep(): boolean {
    const { connection, training } = this.#options;
    if (!this.hasJoined || this.#need === "restart" || this.#isFinishing) return false;
    if (this.#rule.trainsMeanwhile) return training.steps < Math.max(STEPS_ALONE, PERIODS_ALONE * this.#period);
    if (this.#state.kind !== "training" || this.#need || training.steps >= this.#period) return false;
    // Without a coordinator nobody knows whether the base is still the center, where alone a gradient is worth taking.
    return !this.#rule.takesGradients || connection.mayExchange(1);
  }

  /** Whether something is on its way to the coordinator or expected from it. */
  get isExchanging(): boolean {
    return this.#options.connection.isLive && (this.#state.kind === "pulling" || this.#state.kind === "pushed");
  }

  /** Pushes what was trained so far, without waiting for the end of the period; there may be no step afterwards. */
  finish(): void {
    this.#isFinishing = true;
  }

  /** Whether nothing is under way, and no work waits for its push. */
  get isSettled(): boolean {
    return this.#state.kind === "training" && !this.#options.exchange.inFlight && !this.#hasWork;
  }

  get #hasWork(): boolean {
    const { exchange, training } = this.#options;
    // Work without its gradient cannot be pushed.
    return training.steps > 0 || (exchange.carriesWork && !this.#rule.takesGradients);
  }

  /** Steps until an exchange is due. */
  get #period(): number {
    if (this.#rule.takesGradients) return 1;
    const { periodFactor, training } = this.#options;
    return Math.round((training.assignment?.communicationPeriod ?? 1) * periodFactor());
  }

  get #isDue(): boolean {
    return this.#isFinishing ? this.#hasWork : this.#options.training.steps >= this.#period;
  }

  /** Whether what is under way takes longer than half a period. */
  get isLate(): boolean {
    return this.isExchanging && 2 * this.#options.training.steps >= this.#period;
  }

  /** Begins what is due. */
  advance(): void {
    const { connection } = this.#options;
    if (!connection.isLive || !this.hasJoined) return;
    if (this.isExchanging && !this.#isAveraging) this.#watchSilence();
    if (this.#state.kind !== "training") return;
    if (this.#need) return this.#pull();
    if (!this.#isDue) return;
    if (!connection.mayExchange(this.#rule.isTwoRoundTrip ? 2 : 1)) return;
    if (this.#rule.isTwoRoundTrip) return this.#pull();
    this.#take();
  }

  welcomed({ header, payload }: Welcome): void {
    const { connection, exchange, training } = this.#options;
    this.#assign(header.assignment);
    if (header.resumed && this.hasJoined) {
      training.keepLeases(header.leases ?? []);
      return this.#repeat();
    }
    const news = centerNewsOf(payload, {}, connection.vectors) ?? this.#heldNews(header);
    this.#held = undefined;
    if (news?.kind !== "values") return connection.renew("a welcome without a center");
    exchange.rejoin({ version: header.version, incarnation: header.incarnation }, header.lastExchange);
    if (this.#state.kind !== "taking") this.#state = { kind: "training" };
    else if (this.#state.fate === "push") this.#state.fate = "carry";
    if (this.hasJoined) this.#recover(this.#need ?? "rebase", news);
    else training.begin(header.replica, news.values);
    this.#hasJoined = true;
    training.keepLeases(header.leases ?? []);
  }

  #heldNews({ incarnation, version }: Welcome["header"]): CenterNews | undefined {
    const held = this.#held;
    if (held?.incarnation !== incarnation || held.version !== version) return undefined;
    const fragment = wholeOf(this.#options.connection.vectors.elements);
    return { kind: "values", fragment, values: held.values };
  }

  received({ message, vectors }: Received): void {
    switch (message.kind) {
      case "answer":
        return this.#answered(message, vectors);
      case "center":
        return this.#pulled(message, vectors);
      case "refusal":
        return this.#refused(message, vectors);
      default:
        return message satisfies never;
    }
  }

  /** The path that bulk took is gone, another is there: nobody knows whether what was under way arrived. */
  rerouted(): void {
    if (this.#state.kind === "pulling") return this.#pull();
    this.#repeat();
  }

  connectionLost(): void {
    // A pull is simply asked again; a push waits for the welcome, which says whether it may be repeated.
    if (this.#state.kind === "pulling") this.#state = { kind: "training" };
  }

  /** The old device is lost, and the base with it: the replica asks for the center as one that comes back without. */
  deviceReplaced(device: Device): void {
    const { connection, exchange, training } = this.#options;
    training.useDevice(device);
    if (this.hasJoined) {
      // What was pushed counts if it arrived, and nothing that could be pushed again is left.
      exchange.forget();
      this.#state = { kind: "training" };
      this.#need = "restart";
      connection.renewWithoutBase("the device was lost");
    }
    this.#refuseMisassignment();
  }

  #assign(assignment: Assignment): void {
    this.#options.training.assign(assignment);
    this.#refuseMisassignment();
  }

  #refuseMisassignment(): void {
    const { misassignment } = this.#options.training;
    if (misassignment !== undefined) this.#options.onHopeless("old-client", misassignment);
  }

  /** SPEC X12: the same push once more. */
  #repeat(): void {
    const { connection, exchange } = this.#options;
    if (this.#state.kind !== "pushed" || !exchange.inFlight || this.#isAveraging) return;
    this.#listen();
    connection.push(exchange.inFlight.header, exchange.inFlight.payload);
  }

  #pull(): void {
    this.#state = { kind: "pulling" };
    this.#listen();
    this.#options.connection.pull();
  }

  #take(movingRate?: number): void {
    const { connection, exchange, training } = this.#options;
    const taking: Taking = { kind: "taking", movingRate, fate: "push" };
    this.#state = taking;
    this.#await(taking, training.take(connection.vectors.codecs.up, exchange.fragment));
  }

  /** The losses of steps that nobody shall be told of. */
  #forgetLosses(): void {
    const taking: Taking = { kind: "taking", movingRate: undefined, fate: "forget" };
    this.#state = taking;
    this.#await(taking, this.#options.training.dropLosses());
  }

  #await(taking: Taking, taken: Promise<Took | void>): void {
    taken.then((took) => this.#taken(taking, took)).catch(this.#options.onDeviceFailure);
  }

  #taken(taking: Taking, took: Took | void): void {
    const { exchange, onChange } = this.#options;
    // Another device has taken its place meanwhile.
    if (this.#state !== taking) return;
    this.#state = { kind: "training" };
    onChange();
    if (taking.fate === "forget-all") return this.#forgetLosses();
    if (!took || taking.fate === "forget") return;
    if (taking.fate === "push") return this.#push(taking, took);
    if (Number.isFinite(took.work.lossSum)) exchange.carry(took.work);
  }

  #push({ movingRate }: Taking, { codec, payload, isFinite, work, leased }: Took): void {
    const { connection, exchange, progress } = this.#options;
    if (!isFinite || !Number.isFinite(work.lossSum)) return this.#diverged();
    const isBuffered = connection.bufferedBytes > 0;
    const cargo = { content: this.#rule.content, codec, payload, scale: movingRate, work, leased };
    const inFlight = exchange.begin(cargo, isBuffered);
    this.#state = { kind: "pushed", movingRate };
    progress.pushed(inFlight.header);
    this.#listen();
    // Sent again after the next welcome where the connection is down.
    if (!this.#average(inFlight)) this.#send(inFlight);
  }

  /** SPEC G8: with the other members first. Whatever comes of it is pushed under this exchange's number, and counts once. */
  #average(inFlight: InFlight): boolean {
    const { connection, exchange, nowMs, peers, training } = this.#options;
    const { assignment } = training;
    if (!peers || !assignment || this.#rule.isTwoRoundTrip) return false;
    const beganMs = nowMs();
    this.#isAveraging = true;
    const hasBegun = peers.average(averageRequestOf(inFlight, this.#rule, assignment), (averaged) => {
      this.#isAveraging = false;
      if (exchange.inFlight !== inFlight) return;
      this.#listen();
      // Whoever trains on meanwhile does not only wait.
      const waitedMs = this.#rule.trainsMeanwhile ? 0 : nowMs() - beganMs;
      const header = { ...inFlight.header, waitedMs };
      if (!averaged) return this.#send({ ...inFlight, header });
      const claim = claimOf(header, averaged);
      connection.push(claim.header, claim.payload);
    });
    if (!hasBegun) this.#isAveraging = false;
    return hasBegun;
  }

  /** The first time; on a path that loses some of it where there is one (SPEC T6). */
  #send(inFlight: InFlight): void {
    const { connection } = this.#options;
    const { header, payload } = inFlight;
    const isLossy = connection.route === "webrtc-lossy" && header.fragment === undefined;
    if (!isLossy) return connection.push(header, payload);
    const sliced = slicedPush(inFlight, connection.vectors.elements);
    connection.pushSlices(sliced.header, sliced.slices);
  }

  #answered({ header, payload }: Answer, vectors: VectorWire): void {
    const { exchange, peers, progress, training } = this.#options;
    const inFlight = exchange.settle(header.exchange);
    const state = this.#state;
    if (!inFlight || state.kind !== "pushed") return;
    this.#state = { kind: "training" };
    this.#divergences = 0;
    progress.answered(header.staleness);
    peers?.permitted(header.average);
    this.#assign(header.assignment);
    training.settleLeases(inFlight.header.leased ?? [], header.leases ?? []);
    // SPEC T6: what did not arrive counts as not sent. Of a gradient it is lost.
    if (header.lost && !this.#rule.takesGradients)
      training.unsend(lostFragments(inFlight, header.lost, vectors.elements));
    // SPEC X10: by the difference that was pushed, from the center that was pulled for it.
    if (state.movingRate !== undefined) return training.settle(noNewsOf(inFlight.fragment), state.movingRate);
    const isOfThis = (header.fragment ?? 0) === (inFlight.header.fragment ?? 0);
    this.#moveTowards(isOfThis ? newsOf(payload, header, inFlight.fragment, vectors) : undefined, header, inFlight);
  }

  /** SPEC X4. */
  #moveTowards(news: CenterNews | undefined, header: Answer["header"], inFlight: InFlight): void {
    const { exchange, training } = this.#options;
    if (!news) {
      // Not what X3 promises: asked for instead. An update is in the center already, and must not be pushed again.
      this.#need = this.#rule.content === "parameters" ? "rebase" : "restart";
      return;
    }
    exchange.rebaseFragment(inFlight, header.version);
    if (this.#rule.takesGradients) training.restart(news);
    else training.settle(news, header.pull);
  }

  #pulled({ header, payload }: Center, vectors: VectorWire): void {
    const { exchange, training } = this.#options;
    const news = centerNewsOf(payload, header, vectors);
    if (this.#state.kind !== "pulling" || !news) return;
    this.#state = { kind: "training" };
    this.#assign(header.assignment);
    exchange.rebase({ version: header.version, incarnation: header.incarnation });
    if (this.#need) return this.#recover(this.#need, news);
    training.rebase(news);
    this.#take(header.assignment.movingRate);
  }

  #refused({ header, payload }: Refusal, vectors: VectorWire): void {
    const { exchange, progress } = this.#options;
    // The mean does not count: what is in flight is pushed by itself, under the same number (SPEC G8).
    if (header.code === "NOT_AVERAGED" && header.exchange === exchange.inFlight?.header.exchange) return this.#repeat();
    const inFlight = header.exchange === undefined ? undefined : exchange.settle(header.exchange);
    // Of an exchange that is over already.
    if (header.exchange !== undefined && !inFlight) return;
    progress.refused(header);
    if (!inFlight) return;
    if (this.#state.kind === "pushed") this.#state = { kind: "training" };
    if (header.recovery === "none") return;
    if (header.recovery === "rebase") exchange.carry(inFlight.work);
    if (header.code === "NOT_FINITE" || header.code === "OUT_OF_BOUNDS") this.#countDivergence();
    const news = centerNewsOf(payload, {}, vectors);
    if (!news) {
      this.#need = header.recovery;
      return;
    }
    exchange.rebase({ version: header.version, incarnation: header.incarnation });
    this.#recover(header.recovery, news);
  }

  /** SPEC X11. */
  #recover(how: "rebase" | "restart", news: CenterNews): void {
    const { training } = this.#options;
    this.#need = undefined;
    // A gradient is worth nothing at another center.
    if (how === "restart" || this.#rule.takesGradients) return this.#restart(news);
    // The difference from a new base would count the way that the center went as this replica's own work, once per replica.
    if (this.#rule.content === "update") training.carryOnto(news);
    else training.rebase(news);
  }

  #restart(news: CenterNews): void {
    const { training } = this.#options;
    const hasLosses = training.steps > 0;
    training.restart(news);
    training.rollBackLeases();
    training.forgetWork();
    if (this.#state.kind === "taking") this.#state.fate = "forget-all";
    else if (hasLosses) this.#forgetLosses();
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
      "other",
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
