/**
 * Peer connections that somebody else owns: a page for its Web Worker, which has none, or a process of its own for a program in Node,
 * which a fault in native code must not end. This is the side that uses them; it asks by messages (`peer_owner.ts` takes them), and
 * gets channels handed over, or, where that is impossible, their messages one by one.
 */

import type { Channel, ChannelEvents, ChannelKind } from "./channel.ts";
import type { IceServer, OpenPeer, PeerPort } from "./peer.ts";

/** Connections are numbered by who uses them. */
export type ToPeerOwner =
  | {
      readonly kind: "open";
      readonly peer: number;
      readonly isInitiator: boolean;
      readonly channels: readonly ChannelKind[];
      readonly iceServers: readonly IceServer[];
    }
  | { readonly kind: "signal"; readonly peer: number; readonly data: string }
  /** Over a channel that was not handed over. */
  | {
      readonly kind: "send";
      readonly peer: number;
      readonly channel: ChannelKind;
      readonly message: Uint8Array | string;
    }
  | { readonly kind: "close"; readonly peer: number };

export type FromPeerOwner =
  | { readonly kind: "signal"; readonly peer: number; readonly data: string }
  /** Handed over: what the environment's `adopt` understands. The next four are about channels that are not. */
  | { readonly kind: "channel"; readonly peer: number; readonly channel: ChannelKind; readonly transferred: object }
  | { readonly kind: "opened"; readonly peer: number; readonly channel: ChannelKind }
  | {
      readonly kind: "received";
      readonly peer: number;
      readonly channel: ChannelKind;
      readonly message: Uint8Array | string;
    }
  /** So many bytes, in all, have been given to the network, but for few. */
  | { readonly kind: "sent"; readonly peer: number; readonly channel: ChannelKind; readonly bytes: number }
  | { readonly kind: "channel-closed"; readonly peer: number; readonly channel: ChannelKind; readonly reason: string }
  /** The whole connection. */
  | { readonly kind: "closed"; readonly peer: number; readonly reason: string };

type OfChannel = Exclude<FromPeerOwner, { kind: "signal" | "closed" }>;

export interface RemotePeersOptions {
  readonly ask: (request: ToPeerOwner, transfer: ArrayBuffer[]) => void;
  /** Makes a channel of what was handed over. */
  readonly adopt?: (transferred: object, events: ChannelEvents) => Channel | undefined;
  /** Whether the owner's stack says when a channel empties. */
  readonly hasLowEvent: boolean;
}

export class RemotePeers {
  readonly #options: RemotePeersOptions;
  readonly #peers = new Map<number, RemotePeer>();
  #last = 0;

  constructor(options: RemotePeersOptions) {
    this.#options = options;
  }

  readonly open: OpenPeer = ({ isInitiator, channels, iceServers, signal, closed }) => {
    const peer = ++this.#last;
    const gone = (): boolean => this.#peers.delete(peer);
    const opened = new RemotePeer(peer, this.#options, { signal, closed, gone });
    this.#peers.set(peer, opened);
    this.#options.ask({ kind: "open", peer, isInitiator, channels, iceServers }, []);
    return opened;
  };

  /** What the owner tells. */
  take(report: FromPeerOwner): void {
    this.#peers.get(report.peer)?.take(report);
  }

  /** The owner is gone, and all connections with it. */
  lost(reason: string): void {
    for (const peer of this.#peers.keys()) this.take({ kind: "closed", peer, reason });
  }
}

interface PeerUser {
  readonly signal: (data: string) => void;
  readonly closed: (reason: string) => void;
  readonly gone: () => void;
}

class RemotePeer implements PeerPort {
  readonly #peer: number;
  readonly #options: RemotePeersOptions;
  readonly #user: PeerUser;
  readonly #channels = new Map<ChannelKind, RemoteChannel>();

  constructor(peer: number, options: RemotePeersOptions, user: PeerUser) {
    this.#peer = peer;
    this.#options = options;
    this.#user = user;
  }

  signal(data: string): void {
    this.#options.ask({ kind: "signal", peer: this.#peer, data }, []);
  }

  channel(kind: ChannelKind, events: ChannelEvents): Channel {
    const channel = new RemoteChannel(events, this.#options, (message) => {
      // A part is a view of a whole vector: only its own bytes are handed on.
      const copy = typeof message === "string" ? message : message.slice();
      const transfer = typeof copy === "string" ? [] : [copy.buffer];
      this.#options.ask({ kind: "send", peer: this.#peer, channel: kind, message: copy }, transfer);
    });
    this.#channels.set(kind, channel);
    return channel;
  }

  close(): void {
    this.#user.gone();
    for (const channel of this.#channels.values()) channel.close();
    this.#options.ask({ kind: "close", peer: this.#peer }, []);
  }

  take(report: FromPeerOwner): void {
    switch (report.kind) {
      case "signal":
        return this.#user.signal(report.data);
      case "closed":
        this.#user.gone();
        for (const channel of this.#channels.values()) channel.close();
        return this.#user.closed(report.reason);
      default:
        this.#channels.get(report.channel)?.take(report);
    }
  }
}

/** Below this a channel may be given more. */
const LOW_BYTES = 512 * 1024;

/** Made before the owner has the real one. */
class RemoteChannel implements Channel {
  readonly onceLow?: (call: () => void) => void;
  readonly #events: ChannelEvents;
  readonly #options: RemotePeersOptions;
  readonly #carry: (message: Uint8Array | string) => void;
  /** Handed over. */
  #real: Channel | undefined;
  #isCarriedOpen = false;
  #givenBytes = 0;
  #sentBytes = 0;
  #whenLow: (() => void) | undefined;
  #isClosed = false;

  constructor(events: ChannelEvents, options: RemotePeersOptions, carry: (message: Uint8Array | string) => void) {
    this.#events = events;
    this.#options = options;
    this.#carry = carry;
    if (options.hasLowEvent) this.onceLow = (call) => this.#onceLow(call);
  }

  get isOpen(): boolean {
    if (this.#isClosed) return false;
    return this.#real?.isOpen ?? this.#isCarriedOpen;
  }

  get bufferedBytes(): number {
    return this.#real?.bufferedBytes ?? this.#givenBytes - this.#sentBytes;
  }

  send(message: Uint8Array | string): void {
    if (this.#isClosed) throw new Error("the channel is closed");
    if (this.#real) return this.#real.send(message);
    this.#givenBytes += message.length;
    this.#carry(message);
  }

  close(): void {
    this.#isClosed = true;
    this.#real?.close();
  }

  take(report: OfChannel): void {
    if (this.#isClosed) return;
    switch (report.kind) {
      case "channel":
        this.#real = this.#options.adopt?.(report.transferred, this.#events);
        return;
      case "opened":
        this.#isCarriedOpen = true;
        return this.#events.opened();
      case "received":
        return this.#events.received(report.message);
      case "sent":
        this.#sentBytes = report.bytes;
        return this.#tellLow();
      case "channel-closed":
        this.#isClosed = true;
        return this.#events.closed(report.reason);
      default:
        return report satisfies never;
    }
  }

  #onceLow(call: () => void): void {
    if (this.#real?.onceLow) this.#real.onceLow(call);
    else this.#whenLow = call;
  }

  #tellLow(): void {
    if (this.bufferedBytes > LOW_BYTES) return;
    const call = this.#whenLow;
    this.#whenLow = undefined;
    call?.();
  }
}
