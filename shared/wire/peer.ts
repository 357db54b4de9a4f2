/**
 * A peer connection through simple-peer, which is handed in: by a page, or by Node with a WebRTC stack of its own. It brings the two
 * sides together from what they signal; the channels are negotiated ones on its connection, because its own cannot be moved
 * into a worker (SPEC T1).
 */

import * as v from "valibot";
import type { Channel, ChannelEvents, ChannelKind } from "./channel.ts";
import { LIMITS } from "./codes.ts";
import { channelOptions, type DataChannelLike } from "./data_channel.ts";

export interface IceServer {
  readonly urls: string;
  readonly username?: string;
  readonly credential?: string;
}

/** What is used of simple-peer. */
interface SimplePeer<C> {
  readonly _pc?: { createDataChannel(label: string, options: object): C } | null;
  signal(data: object): void;
  destroy(): void;
  on(event: "signal", listener: (data: object) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "close", listener: () => void): unknown;
}

export interface PeerLibrary<C extends DataChannelLike> {
  readonly SimplePeer: new (options: object) => SimplePeer<C>;
  /** Where the environment has no WebRTC of its own. */
  readonly wrtc?: object;
}

export interface PeerWishes {
  /** One of the two is. */
  readonly isInitiator: boolean;
  /** Both sides ask for the same ones. */
  readonly channels: readonly ChannelKind[];
  readonly iceServers: readonly IceServer[];
  /** For the other side: JSON. */
  readonly signal: (data: string) => void;
  /** Once: the connection failed or was closed. */
  readonly closed: (reason: string) => void;
}

export interface PeerPort {
  /** What the other side signalled. */
  signal(data: string): void;
  /** Of the kinds that were asked for, once each. Sends once it is open. */
  channel(kind: ChannelKind, events: ChannelEvents): Channel;
  close(): void;
}

/** Throws a sentence where there is no WebRTC here. */
export type OpenPeer = (wishes: PeerWishes) => PeerPort;

const line = v.pipe(v.string(), v.maxLength(LIMITS.signalCharacters));
/** RFC 8839, 5.1. simple-peer would warn on the console of every one that is none, which is not for strangers to decide. */
const CANDIDATE = /^candidate:\S+ \d+ (?:udp|tcp) \d+ \S+ \d+ typ (?:host|srflx|prflx|relay)(?: .*)?$/i;
/** Of all that simple-peer says, what two data channels need: the rest would make the other side negotiate again and again. */
const signalSchema = v.variant("type", [
  v.object({ type: v.picklist(["offer", "answer"]), sdp: line }),
  v.object({
    type: v.literal("candidate"),
    candidate: v.object({
      candidate: v.pipe(line, v.regex(CANDIDATE)),
      sdpMLineIndex: v.optional(v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0)))),
      sdpMid: v.optional(v.nullable(line)),
    }),
  }),
  /** Instead of an answer: there will be none. */
  v.object({ type: v.literal("none"), reason: v.pipe(v.string(), v.maxLength(1000)) }),
]);
type Signal = v.InferOutput<typeof signalSchema>;

/** What the other side signalled; undefined where it is nothing of that kind. */
export function readSignal(data: string): Signal | undefined {
  try {
    const checked = v.safeParse(signalSchema, JSON.parse(data));
    return checked.success ? checked.output : undefined;
  } catch {
    return undefined;
  }
}

/** Says to the other side that there will be no connection. */
export function refusingSignal(reason: string): string {
  return JSON.stringify({ type: "none", reason });
}

export class PeerConnection<C extends DataChannelLike> {
  readonly #peer: SimplePeer<C>;
  readonly #channels = new Map<ChannelKind, C>();
  readonly #closed: (reason: string) => void;
  #isOver = false;

  /** Throws a sentence where there is no WebRTC. */
  constructor({ SimplePeer, wrtc }: PeerLibrary<C>, { isInitiator, channels, iceServers, signal, closed }: PeerWishes) {
    this.#closed = closed;
    // Without `iceServers` simple-peer asks servers of its own choice, which nobody agreed to.
    const config = { iceServers: iceServers.map((server) => ({ ...server })) };
    this.#peer = new SimplePeer({ initiator: isInitiator, trickle: true, config, ...(wrtc ? { wrtc } : {}) });
    this.#peer.on("error", (error) => this.#over(error.message));
    this.#peer.on("close", () => this.#over("the connection closed"));
    const { _pc: connection } = this.#peer;
    if (!connection) throw new Error("no peer connection could be made; look whether WebRTC is switched off");
    for (const kind of channels) {
      this.#channels.set(kind, connection.createDataChannel(kind, channelOptions(kind)));
    }
    this.#peer.on("signal", (data) => {
      const text = JSON.stringify(data);
      // What is no signal of ours, or too long for a frame, is left out: one of many addresses, at the worst.
      if (!this.#isOver && text.length <= LIMITS.signalCharacters && readSignal(text)) signal(text);
    });
  }

  signal(data: string): void {
    if (this.#isOver) return;
    const signal = readSignal(data);
    if (!signal) return this.#end("the other side signalled something unreadable");
    if (signal.type === "none") return this.#end(signal.reason);
    try {
      this.#peer.signal(signal);
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  /** Of the kinds that were asked for. */
  dataChannel(kind: ChannelKind): C {
    const channel = this.#channels.get(kind);
    if (!channel) throw new Error(`invariant violation: no ${kind} channel was asked for`);
    return channel;
  }

  /** Nothing is told of it. */
  close(): void {
    this.#isOver = true;
    this.#peer.destroy();
  }

  #end(reason: string): void {
    this.#over(reason);
    this.#peer.destroy();
  }

  #over(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closed(reason);
  }
}
