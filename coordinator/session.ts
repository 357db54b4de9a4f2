/**
 * One connection's states, from its first byte to its end (SPEC H, X1, L). Turns bytes into messages or refusals and asks
 * the run for answers; never sees a socket, reads no clock. It begins and ends with its first link; exchanges may come by others
 * (SPEC T2), and are answered there.
 */

import type { RunSettings } from "../shared/run_settings.ts";
import type { Assignment } from "../shared/solver/assignment.ts";
import { LIMITS, ruleOf, type RefusalCode } from "../shared/wire/codes.ts";
import { encodeHead, lengthOf, type FrameBytes } from "../shared/wire/frame.ts";
import type { Link } from "../shared/wire/link.ts";
import {
  readFromReplica,
  TYPE,
  type CoordinatorMessageName,
  type FromReplica,
  type Header,
} from "../shared/wire/messages.ts";
import { plainVectors, type VectorWire } from "../shared/wire/vectors.ts";
import type { Reply } from "./exchanges.ts";
import type { VectorPieces } from "./place.ts";
import type { Connection, Replica } from "./roster.ts";
import type { OpenSidePath, SidePath } from "./side_path.ts";

/** What a session asks of its run. Vectors are views that stay unchanged until the replica's next exchange. */
export interface RunPort {
  /** Of its layout. */
  readonly elements: number;
  readonly settings: Pick<RunSettings, "fragments">;
  readonly incarnation: number;
  readonly version: number;
  nowMs(): number;
  join(hello: Header<"hello">, connection: Connection): Promise<Joined | RefusalCode>;
  push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<Reply>;
  /** One message of a channel that may lose some (SPEC T6). */
  slice(replica: Replica, message: Uint8Array): void;
  /** The center, as the replica's new base. */
  pull(replica: Replica): Promise<VectorPieces>;
  /** What the replica is asked to do from now on. */
  assignmentOf(replica: Replica): Assignment;
  heard(replica: Replica): void;
  /** What its volunteer chose. */
  profiled(replica: Replica, header: Header<"profile">): void;
  /** A replica's part in averages among replicas (SPEC G8). */
  joined(replica: Replica, header: Header<"joined">): void;
  signalled(replica: Replica, header: Header<"signal">): void;
  leave(replica: Replica, connection: Connection, forGood: boolean): void;
  countRefusal(code: RefusalCode): void;
  countBytes(up: number, down: number, replica?: Replica): void;
  /** Our own bug or our environment's failure: never the peer's. */
  failed(error: unknown): void;
}

export interface Joined {
  readonly replica: Replica;
  readonly welcome: Header<"welcome">;
  /** Where it is given one. */
  readonly center: Uint8Array | undefined;
}

type State =
  | { readonly kind: "awaiting-hello"; readonly sinceMs: number }
  | { readonly kind: "joining" }
  | { readonly kind: "training"; readonly replica: Replica }
  | { readonly kind: "closed" };

/** What a link may add to a frame. */
const LINK_BYTES = 64;

export class Session implements Connection {
  readonly #run: RunPort;
  /** Hello, welcome, goodbye and all that ends the connection. */
  readonly #link: Link;
  /** Where the replica may come by another way too. */
  readonly #sidePath: SidePath | undefined;
  #state: State;
  /** As agreed on with this peer. */
  #vectors: VectorWire;
  readonly #untold: (() => void)[] = [];
  /** A pull that is being served, and where its answer goes. */
  #pulling: { link: Link } | undefined;
  /** By link: bytes that were sent after the last vector. */
  readonly #sentAfterVector = new WeakMap<Link, number>();
  #frameCredit: number = LIMITS.frameBurst;
  #creditAtMs: number;

  constructor(run: RunPort, link: Link, openSidePath?: OpenSidePath) {
    this.#run = run;
    this.#link = link;
    this.#sidePath = openSidePath?.({
      receive: (frame, by) => this.receive(frame, by),
      slice: (message) => this.slice(message),
      signal: (data) => this.tell("signal", { peer: "", data }),
    });
    this.#vectors = plainVectors(run.elements);
    this.#creditAtMs = run.nowMs();
    this.#state = { kind: "awaiting-hello", sinceMs: this.#creditAtMs };
  }

  get isClosed(): boolean {
    return this.#state.kind === "closed";
  }

  /** One message of the peer, that came by `link` and is answered there. Never throws: what is wrong with it is refused. */
  receive(bytes: FrameBytes, link: Link = this.#link): void {
    if (this.isClosed) return;
    this.#run.countBytes(lengthOf(bytes), 0, this.#replica);
    if (!this.#spendCredit()) return this.refuse("TOO_FAST");
    const message = readFromReplica(bytes, this.#vectors);
    if ("refusal" in message) return this.refuse(message.refusal);
    this.#handle(message, link).catch((error: unknown) => {
      this.#run.failed(error);
      this.#end(1011, "The coordinator failed; it says why in its log.");
    });
  }

  /** One message of a channel that may lose some (SPEC T6). */
  slice(message: Uint8Array): void {
    const replica = this.#replica;
    this.#run.countBytes(message.byteLength, 0, replica);
    if (replica) this.#run.slice(replica, message);
  }

  /** The connection is gone, for whatever reason. The place is kept for the length of the lease. */
  closed(): void {
    this.#leave(false);
  }

  /** Hello timeout (SPEC H1); leases are the run's affair. */
  tick(): void {
    if (this.#state.kind !== "awaiting-hello") return;
    if (this.#run.nowMs() - this.#state.sinceMs > LIMITS.helloTimeoutMs) this.refuse("HELLO_TIMEOUT");
  }

  /** Says goodbye because the run is over. */
  finish(reason: string): void {
    if (this.isClosed) return;
    this.#send(this.#link, "finished", { reason: reason.slice(0, LIMITS.textCharacters) });
    this.#end(1000, "run over");
  }

  /** After the welcome: before it the peer does not know who it is. */
  tell<N extends "group" | "signal" | "control">(name: N, header: Header<N>): void {
    if (this.#state.kind === "training") this.#send(this.#link, name, header);
    else if (this.#state.kind === "joining") this.#untold.push(() => this.#send(this.#link, name, header));
  }

  /** Refuses, counts, and closes where the code says so. */
  refuse(code: RefusalCode, exchange?: number, link: Link = this.#link): void {
    if (this.isClosed) return;
    const rule = ruleOf(code);
    this.#run.countRefusal(code);
    const withCenter = rule.recovery !== "none" && this.#state.kind === "training";
    const header: Header<"refusal"> = {
      code,
      sentence: rule.sentence,
      recovery: rule.recovery,
      ...(exchange === undefined ? {} : { exchange }),
      version: this.#baseVersion(),
      incarnation: this.#run.incarnation,
    };
    const by = rule.closeCode === undefined ? link : this.#link;
    const center = withCenter ? this.#replica?.place?.values() : undefined;
    this.#send(by, "refusal", header, center ? [center] : []);
    if (rule.closeCode !== undefined) this.#end(rule.closeCode, code);
  }

  async #handle(message: FromReplica, link: Link): Promise<void> {
    const state = this.#state;
    if (state.kind === "awaiting-hello") {
      if (message.kind !== "hello") return this.refuse("OUT_OF_TURN");
      return this.#join(message.header);
    }
    if (state.kind !== "training") return this.refuse("OUT_OF_TURN");
    const { replica } = state;
    this.#run.heard(replica);
    switch (message.kind) {
      case "hello":
        return this.refuse("OUT_OF_TURN");
      case "heartbeat":
        return;
      case "probe":
        return this.#send(link, "echo", message.header, [message.payload]);
      case "route":
        replica.transport = message.header.transport;
        if (replica.transport === "websocket") this.#sidePath?.giveUp();
        return;
      case "signal":
        if (message.header.peer === "") this.#sidePath?.signalled(message.header.data);
        else this.#run.signalled(replica, message.header);
        return;
      case "joined":
        return this.#run.joined(replica, message.header);
      case "profile":
        return this.#run.profiled(replica, message.header);
      case "leave":
        this.#leave(true);
        return this.#link.close(1000, "left");
      case "pull":
        return this.#pull(replica, link);
      case "push":
        return this.#push(replica, message.header, message.payload, link);
      default:
        return message satisfies never;
    }
  }

  async #join(hello: Header<"hello">): Promise<void> {
    this.#state = { kind: "joining" };
    const joined = await this.#run.join(hello, this);
    if (typeof joined === "string") return this.refuse(joined);
    const { replica, welcome, center } = joined;
    // The connection may have ended while the center was copied.
    if (this.isClosed) return this.#run.leave(replica, this, false);
    this.#state = { kind: "training", replica };
    // Whatever way it took before.
    replica.transport = "websocket";
    const { elements, settings } = this.#run;
    this.#vectors = { elements, codecs: replica.codecs, fragments: settings.fragments };
    this.#send(this.#link, "welcome", welcome, center ? [center] : []);
    for (const tell of this.#untold.splice(0)) tell();
  }

  async #pull(replica: Replica, link: Link): Promise<void> {
    // The same again by another link, where the first one failed: the center goes out once, by the later.
    if (this.#pulling) {
      this.#pulling.link = link;
      return;
    }
    if (replica.inFlight || this.#isSendingVector(link)) return this.refuse("OUT_OF_TURN");
    const pulling = { link };
    this.#pulling = pulling;
    try {
      await this.#answerPull(replica, pulling);
    } finally {
      this.#pulling = undefined;
    }
  }

  async #answerPull(replica: Replica, pulling: { readonly link: Link }): Promise<void> {
    const { deltas, payload } = await this.#run.pull(replica);
    if (this.isClosed) return;
    const header: Header<"center"> = {
      version: this.#baseVersion(),
      incarnation: this.#run.incarnation,
      assignment: this.#run.assignmentOf(replica),
      ...(deltas === undefined ? {} : { deltas }),
    };
    this.#send(pulling.link, "center", header, payload);
  }

  async #push(replica: Replica, header: Header<"push">, payload: Uint8Array, link: Link): Promise<void> {
    // The last answer is still on its way out of the replica's place, which this push would change. Another link's does not
    // count: who pushes here has given that one up, or has got the answer.
    if (this.#isSendingVector(link)) return this.refuse("OUT_OF_TURN", header.exchange);
    if (link !== this.#link || header.slices !== undefined) replica.channelPushes++;
    const reply = await this.#run.push(replica, header, payload);
    if (this.isClosed) return;
    if (reply.kind === "refusal") return this.refuse(reply.code, reply.exchange, link);
    this.#send(link, "answer", reply.header, reply.vector?.payload);
  }

  get #replica(): Replica | undefined {
    return this.#state.kind === "training" ? this.#state.replica : undefined;
  }

  #baseVersion(): number {
    return this.#replica?.place?.baseVersion(0) ?? this.#run.version;
  }

  #send<N extends CoordinatorMessageName>(
    link: Link,
    name: N,
    header: Header<N>,
    payload: readonly Uint8Array[] = [],
  ): void {
    if (!link.isOpen) return;
    const payloadBytes = payload.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
    const head = encodeHead(TYPE[name], header, payloadBytes);
    this.#run.countBytes(0, head.byteLength + payloadBytes, this.#replica);
    link.send(head, ...payload);
    const after = this.#sentAfterVector.get(link);
    if (payloadBytes > 0 && name !== "echo") this.#sentAfterVector.set(link, 0);
    else if (after !== undefined) this.#sentAfterVector.set(link, after + head.byteLength + payloadBytes + LINK_BYTES);
  }

  /** Whether more than what was sent after it is still on its way out. */
  #isSendingVector(link: Link): boolean {
    const after = this.#sentAfterVector.get(link);
    return after !== undefined && link.bufferedBytes > after;
  }

  #end(closeCode: number, reason: string): void {
    this.#leave(closeCode === 1000);
    this.#link.close(closeCode, reason);
  }

  #leave(forGood: boolean): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    this.#sidePath?.close();
    if (state.kind === "training") this.#run.leave(state.replica, this, forGood);
  }

  #spendCredit(): boolean {
    const nowMs = this.#run.nowMs();
    const earned = ((nowMs - this.#creditAtMs) / 1000) * LIMITS.framesPerSecond;
    this.#creditAtMs = nowMs;
    this.#frameCredit = Math.min(LIMITS.frameBurst, this.#frameCredit + earned) - 1;
    return this.#frameCredit >= 0;
  }
}
