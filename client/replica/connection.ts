/**
 * The replica's one connection to the coordinator, over as many links as it takes (SPEC H): hello and welcome, return
 * with id and token, jittered backoff, heartbeats, goodbye; and which way exchanges go meanwhile (SPEC T). It is moved by
 * `tick`, which the training loop calls, so that a heartbeat proves that training lives (L4). What it learns goes out as
 * events; it knows nothing of vectors.
 */

import { isRefusalCode, LIMITS, REFUSALS, ruleOf, type RefusalCode } from "../../shared/wire/codes.ts";
import { encodeHead, lengthOf, type FrameBytes } from "../../shared/wire/frame.ts";
import type { Link } from "../../shared/wire/link.ts";
import {
  readFromCoordinator,
  TYPE,
  type FromCoordinator,
  type Header,
  type ReplicaMessageName,
  type Transport,
} from "../../shared/wire/messages.ts";
import { CODEC_NAMES } from "../../shared/wire/codec/codec.ts";
import {
  longestPayloadBytes,
  plainVectors,
  PLAIN_CODECS,
  probeBytes,
  type VectorWire,
} from "../../shared/wire/vectors.ts";
import type { Random } from "../../shared/random.ts";
import type { FailureKind, ReplicaIdentity } from "../messages.ts";
import { ChannelPath, type Travel } from "./channel_path.ts";
import { FrameBudget } from "./frame_budget.ts";
import { RecentCount } from "./recent_count.ts";
import { failureOfRefusal } from "./refusal_failure.ts";

/** What a link tells its owner; never before `ConnectLink` has returned. */
export interface LinkEvents {
  opened(): void;
  received(bytes: FrameBytes): void;
  /** Once, also where the link never opened. */
  closed(code: number, reason: string): void;
}

export type ConnectLink = (events: LinkEvents) => Link;

export type Welcome = Extract<FromCoordinator, { kind: "welcome" }>;

export interface Received {
  readonly kind: "received";
  readonly message: Extract<FromCoordinator, { kind: "answer" | "center" | "refusal" }>;
  /** That held when it came. */
  readonly vectors: VectorWire;
}

export type ConnectionEvent =
  | { readonly kind: "welcomed"; readonly message: Welcome }
  | Received
  | { readonly kind: "lost"; readonly retryInMs: number }
  /** Exchanges went over a data channel, and go over the WebSocket from now on: what is in flight has to be sent again. */
  | { readonly kind: "rerouted" }
  /** With whom the replica may average, and what another member signals to it (SPEC G8). */
  | { readonly kind: "grouped"; readonly header: Header<"group"> }
  | { readonly kind: "signalled"; readonly header: Header<"signal"> }
  /** What the operator wants (SPEC O2). */
  | { readonly kind: "controlled"; readonly header: Header<"control"> }
  /** For good: nothing will be tried again. */
  | { readonly kind: "finished"; readonly reason: string }
  | { readonly kind: "refused"; readonly failure: FailureKind; readonly sentence: string };

export interface ConnectionOptions {
  readonly connect: ConnectLink;
  readonly nowMs: () => number;
  /** For the jitter: a thousand replicas must not come back at once. */
  readonly random: Random;
  /** Of an earlier participation, to go on as the same replica. */
  readonly identity?: ReplicaIdentity | undefined;
  /** Of this run's layout. */
  readonly elements: number;
  /** Of this run (SPEC X17). */
  readonly fragments: number;
  /** Asked at every hello, because a replica may change its device. */
  readonly introduction: () => Omit<Header<"hello">, "resume" | "codecs">;
  readonly vitals: () => Header<"heartbeat">;
  /** What its volunteer chose: told after every welcome, and when it has changed. */
  readonly profile: () => Header<"profile">;
  /** How exchanges may travel beside the WebSocket; only by that where left out. */
  readonly travel?: Travel;
  readonly onEvent: (event: ConnectionEvent) => void;
}

type State =
  /** Not opened yet, or left. */
  | { readonly kind: "away" }
  | { readonly kind: "waiting"; readonly untilMs: number }
  /** From the connect to the welcome. */
  | { readonly kind: "greeting"; readonly link: Link; readonly giveUpMs: number }
  | { readonly kind: "live"; readonly link: Link; readonly sinceMs: number }
  | { readonly kind: "ended" };

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;
/** A welcome carries the center: 1.7 MB for LeNet take 14 s on a slow line. */
const GREETING_MS = 30_000;
/** Within a minute: cut messages do not come one after the other. */
const MOST_UNREADABLE = 3;
/** A connection that lived this long was a good one: the next retry begins early again. */
const PROVEN_MS = 5000;
const HEARTBEAT_MS = LIMITS.leaseMs / 3;

/** Runs count theirs from 1. */
const NO_INCARNATION = 0;

/** A slider that is dragged changes it often. */
const PROFILE_MS = 250;

const NORMAL_CLOSE = 1000;
/** For links that are given up here; the coordinator takes it as a lost connection and keeps the place. */
const GIVEN_UP_CLOSE = 4000;

/** Refusals that end a link but not the participation: the replica comes back by itself. */
const RETURNING: ReadonlySet<RefusalCode> = new Set(["HELLO_TIMEOUT", "LEASE_EXPIRED"]);

/** Full jitter (Brooker 2015): uniform up to a doubling limit. `attempt` counts from 0. */
export function retryDelayMs(attempt: number, random: Random): number {
  return random.uniform() * Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #budget: FrameBudget;
  #state: State = { kind: "away" };
  /** As agreed on with the coordinator. */
  #vectors: VectorWire;
  #identity: Header<"hello">["resume"];
  #attempt = 0;
  #heartbeatDueMs = 0;
  /** When it may be told again, and whether it has to be. */
  #profileDueMs = 0;
  #isProfileNew = false;
  readonly #unreadable = new RecentCount();
  #bytesUp = 0;
  #bytesDown = 0;
  /** Of the live connection. */
  #path: ChannelPath | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    // It holds no base any more, so the welcome brings the center (SPEC H5).
    if (options.identity) this.#identity = { ...options.identity, incarnation: NO_INCARNATION };
    this.#vectors = { ...plainVectors(options.elements), fragments: options.fragments };
    this.#budget = new FrameBudget(options.nowMs());
  }

  get isLive(): boolean {
    return this.#state.kind === "live";
  }

  /** Not opened yet, or left. */
  get isAway(): boolean {
    return this.#state.kind === "away";
  }

  /** As agreed on in the last welcome (SPEC H8). */
  get vectors(): VectorWire {
    return this.#vectors;
  }

  get replica(): string | undefined {
    return this.#identity?.replica;
  }

  /** How the next push would travel. */
  get route(): Transport {
    return this.#path?.transport ?? "websocket";
  }

  /** Bytes that the links have not handed to the network yet. */
  get bufferedBytes(): number {
    if (this.#state.kind !== "live") return 0;
    return this.#state.link.bufferedBytes + (this.#path?.link?.bufferedBytes ?? 0);
  }

  get bytesUp(): number {
    return this.#bytesUp;
  }

  get bytesDown(): number {
    return this.#bytesDown;
  }

  open(): void {
    if (this.#state.kind === "away") this.#connect();
  }

  /** Does what is due: retry, heartbeat, giving up on a coordinator that never says welcome. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    const state = this.#state;
    if (state.kind === "waiting" && nowMs >= state.untilMs) this.#connect();
    else if (state.kind === "greeting" && nowMs >= state.giveUpMs) this.renew("no welcome came");
    else if (state.kind === "live" && nowMs >= this.#heartbeatDueMs) this.#sendHeartbeat(state.link, nowMs);
    if (this.#isProfileNew && nowMs >= this.#profileDueMs) this.#sendProfile(nowMs);
    this.#path?.tick();
  }

  /** The volunteer chose otherwise; it is told with one of the next ticks. */
  profileChanged(): void {
    this.#isProfileNew = true;
  }

  /** Whether an exchange of `frames` frames may begin now. */
  mayExchange(frames: number): boolean {
    if (!this.isLive || this.#path?.isAwaited) return false;
    return this.#budget.allows(frames, this.#options.nowMs());
  }

  pull(): void {
    if (this.#state.kind === "live") this.#send(this.#path?.link ?? this.#state.link, "pull", {});
  }

  /** `payload` stays unchanged until the answer came or `bufferedBytes` is 0. */
  push(header: Header<"push">, payload: Uint8Array): void {
    if (this.#state.kind === "live") this.#send(this.#path?.link ?? this.#state.link, "push", header, payload);
  }

  /** On the route `webrtc-lossy`: the slices, each a message of its own, and once they are on their way the header that tells how many they were. */
  pushSlices(header: Header<"push">, slices: readonly Uint8Array[]): void {
    const state = this.#state;
    if (state.kind !== "live") return;
    const told = (): void => {
      if (this.#state === state) this.#send(state.link, "push", header);
    };
    const lossy = this.#path?.lossy;
    if (!lossy) return told();
    for (const { byteLength } of slices) this.#bytesUp += byteLength;
    lossy.send(slices, told);
  }

  /** To another member of the group. */
  signal(header: Header<"signal">): void {
    if (this.#state.kind === "live") this.#send(this.#state.link, "signal", header);
  }

  joined(header: Header<"joined">): void {
    if (this.#state.kind === "live") this.#send(this.#state.link, "joined", header);
  }

  /** Gives up the link and comes back over another one. */
  renew(reason: string): void {
    const link = this.#link();
    if (!link) return;
    this.#retry();
    link.close(GIVEN_UP_CLOSE, reason);
  }

  /** The same, as one that holds no base any more: the next welcome brings the center (SPEC H5). */
  renewWithoutBase(reason: string): void {
    if (this.#identity) this.#identity = { ...this.#identity, incarnation: NO_INCARNATION };
    this.renew(reason);
  }

  /** Goodbye: the place is freed, and a later `open` makes a new replica. */
  leave(): void {
    const state = this.#state;
    if (state.kind === "ended") return;
    this.#state = { kind: "away" };
    this.#identity = undefined;
    this.#closePath();
    if (state.kind === "live") this.#send(state.link, "leave", {});
    if (state.kind === "live" || state.kind === "greeting") state.link.close(NORMAL_CLOSE, "left");
  }

  #connect(): void {
    // An old link may still report; only the newest one counts.
    const isCurrent = (): boolean => this.#link() === link;
    const link = this.#options.connect({
      opened: () => {
        if (isCurrent()) this.#sendHello(link);
      },
      received: (bytes) => {
        if (isCurrent()) this.#receive(bytes);
      },
      closed: (code) => {
        if (isCurrent()) this.#closed(code);
      },
    });
    this.#state = { kind: "greeting", link, giveUpMs: this.#options.nowMs() + GREETING_MS };
  }

  #link(): Link | undefined {
    return this.#state.kind === "greeting" || this.#state.kind === "live" ? this.#state.link : undefined;
  }

  #sendHello(link: Link): void {
    const identity = this.#identity;
    const introduction = { ...this.#options.introduction(), codecs: CODEC_NAMES };
    this.#send(link, "hello", identity ? { ...introduction, resume: identity } : introduction);
  }

  #sendHeartbeat(link: Link, nowMs: number): void {
    this.#heartbeatDueMs = nowMs + HEARTBEAT_MS;
    this.#send(link, "heartbeat", this.#options.vitals());
  }

  #sendProfile(nowMs: number): void {
    if (this.#state.kind !== "live") return;
    this.#isProfileNew = false;
    this.#profileDueMs = nowMs + PROFILE_MS;
    this.#send(this.#state.link, "profile", this.#options.profile());
  }

  #send<N extends ReplicaMessageName>(link: Link, name: N, header: Header<N>, payload?: Uint8Array): void {
    if (!link.isOpen) return;
    const head = encodeHead(TYPE[name], header, payload?.byteLength ?? 0);
    this.#budget.spend();
    this.#bytesUp += head.byteLength + (payload?.byteLength ?? 0);
    if (payload) link.send(head, payload);
    else link.send(head);
  }

  #receive(bytes: FrameBytes): void {
    this.#bytesDown += lengthOf(bytes);
    const message = readFromCoordinator(bytes, this.#vectors);
    if ("refusal" in message) {
      this.#distrust(message.refusal);
      return;
    }
    switch (message.kind) {
      case "welcome":
        this.#welcomed(message);
        break;
      case "finished":
        this.#end({ kind: "finished", reason: message.header.reason });
        break;
      case "refusal":
        if (!this.#endedBy(message.header.code, message.header.sentence)) this.#received(message);
        break;
      case "echo":
        this.#path?.echoed(message.header.number);
        break;
      case "signal":
        if (message.header.peer === "") this.#path?.signalled(message.header.data);
        else this.#tell({ kind: "signalled", header: message.header });
        break;
      case "group":
        this.#tell({ kind: "grouped", header: message.header });
        break;
      case "control":
        this.#tell({ kind: "controlled", header: message.header });
        break;
      case "answer":
      case "center":
        this.#received(message);
        break;
      default:
        message satisfies never;
    }
  }

  #received(message: Received["message"]): void {
    this.#tell({ kind: "received", message, vectors: this.#vectors });
  }

  #welcomed(message: Welcome): void {
    if (this.#state.kind !== "greeting") return;
    const nowMs = this.#options.nowMs();
    const { replica, token, incarnation, resumed, codecs = PLAIN_CODECS } = message.header;
    this.#identity = { replica, token, incarnation };
    const { up, down } = this.#vectors.codecs;
    const isAsBefore = up === codecs.up && down === codecs.down;
    // What is in flight could not be read by its codec, nor could the answer to it.
    if (resumed && !isAsBefore) return this.renewWithoutBase("a resumed welcome with other codecs");
    this.#vectors = { ...this.#vectors, codecs };
    this.#state = { kind: "live", link: this.#state.link, sinceMs: nowMs };
    this.#heartbeatDueMs = nowMs + HEARTBEAT_MS;
    this.#path = this.#newPath(this.#state.link);
    this.#sendProfile(nowMs);
    this.#tell({ kind: "welcomed", message });
  }

  #newPath(link: Link): ChannelPath | undefined {
    const { travel, nowMs } = this.#options;
    if (!travel) return undefined;
    const vectors = this.#vectors;
    return new ChannelPath({
      ...travel,
      nowMs,
      longestPayloadBytes: longestPayloadBytes(vectors),
      signal: (data) => this.#send(link, "signal", { peer: "", data }),
      probe: (number, channel) => this.#send(channel ?? link, "probe", { number }, new Uint8Array(probeBytes(vectors))),
      received: (frame) => this.#receive(frame),
      rerouted: (transport) => {
        this.#send(link, "route", { transport });
        if (transport === "websocket") this.#tell({ kind: "rerouted" });
      },
    });
  }

  #closePath(): void {
    this.#path?.close();
    this.#path = undefined;
  }

  /** The coordinator sent something that is none of its messages. */
  #distrust(code: RefusalCode): void {
    const times = this.#unreadable.add(this.#options.nowMs());
    // Reloading brings a client of the coordinator's version; anything else may be a cut message, and is tried again.
    const isOld = code === "WRONG_PROTOCOL" || code === "WRONG_PAYLOAD" || times >= MOST_UNREADABLE;
    if (isOld) this.#end({ kind: "refused", failure: "old-client", sentence: ruleOf(code).sentence });
    else this.renew(code);
  }

  #closed(code: number): void {
    const refusal = (Object.keys(REFUSALS) as RefusalCode[]).find((name) => ruleOf(name).closeCode === code);
    // The refusal itself comes before the close; the code alone says as much where it was lost.
    if (refusal === undefined || !this.#endedBy(refusal, ruleOf(refusal).sentence)) this.#retry();
  }

  /** True where the refusal was about the connection, which is dealt with here. */
  #endedBy(code: string, sentence: string): boolean {
    if (!isRefusalCode(code) || ruleOf(code).closeCode === undefined) return false;
    if (RETURNING.has(code)) this.renew(code);
    else if (code === "RUN_OVER") this.#end({ kind: "finished", reason: sentence });
    else this.#end({ kind: "refused", failure: failureOfRefusal(code), sentence });
    return true;
  }

  #retry(): void {
    const nowMs = this.#options.nowMs();
    if (this.#state.kind === "live" && nowMs - this.#state.sinceMs >= PROVEN_MS) this.#attempt = 0;
    this.#closePath();
    const retryInMs = retryDelayMs(this.#attempt, this.#options.random);
    this.#attempt++;
    this.#state = { kind: "waiting", untilMs: nowMs + retryInMs };
    this.#tell({ kind: "lost", retryInMs });
  }

  #end(event: ConnectionEvent): void {
    const link = this.#link();
    this.#state = { kind: "ended" };
    this.#closePath();
    link?.close(NORMAL_CLOSE, event.kind);
    this.#tell(event);
  }

  #tell(event: ConnectionEvent): void {
    this.#options.onEvent(event);
  }
}
