/**
 * Peer connections as the Web Worker has them: the page owns them (`page_peers.ts`), this side asks by messages, and gets their
 * channels handed over, or, where the browser cannot do that, their messages one by one.
 */

import type { FromPeerPage, ToPeerPage } from "../messages.ts";
import type { OpenPeer, PeerPort } from "../replica/peer_port.ts";
import type { Channel, ChannelEvents, ChannelKind } from "../../shared/wire/channel.ts";
import { wrapDataChannel } from "../../shared/wire/data_channel.ts";

type Ask = (request: ToPeerPage, transfer: Transferable[]) => void;

export class WorkerPeers {
  readonly #ask: Ask;
  readonly #peers = new Map<number, WorkerPeer>();
  #last = 0;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  readonly open: OpenPeer = ({ isInitiator, channels, iceServers, signal, closed }) => {
    const peer = ++this.#last;
    const gone = (): boolean => this.#peers.delete(peer);
    const opened = new WorkerPeer(peer, this.#ask, { signal, closed, gone });
    this.#peers.set(peer, opened);
    this.#ask({ kind: "open", peer, isInitiator, channels, iceServers }, []);
    return opened;
  };

  /** What the page tells. */
  take(report: FromPeerPage): void {
    this.#peers.get(report.peer)?.take(report);
  }
}

interface PeerOwner {
  readonly signal: (data: string) => void;
  readonly closed: (reason: string) => void;
  readonly gone: () => void;
}

class WorkerPeer implements PeerPort {
  readonly #peer: number;
  readonly #ask: Ask;
  readonly #owner: PeerOwner;
  readonly #channels = new Map<ChannelKind, WorkerChannel>();

  constructor(peer: number, ask: Ask, owner: PeerOwner) {
    this.#peer = peer;
    this.#ask = ask;
    this.#owner = owner;
  }

  signal(data: string): void {
    this.#ask({ kind: "signal", peer: this.#peer, data }, []);
  }

  channel(kind: ChannelKind, events: ChannelEvents): Channel {
    const channel = new WorkerChannel(events, (message) => {
      // A part is a view of a whole vector: only its own bytes are handed over.
      const copy = typeof message === "string" ? message : message.slice();
      const transfer = typeof copy === "string" ? [] : [copy.buffer];
      this.#ask({ kind: "send", peer: this.#peer, channel: kind, message: copy }, transfer);
    });
    this.#channels.set(kind, channel);
    return channel;
  }

  close(): void {
    this.#owner.gone();
    for (const channel of this.#channels.values()) channel.close();
    this.#ask({ kind: "close", peer: this.#peer }, []);
  }

  take(report: FromPeerPage): void {
    switch (report.kind) {
      case "signal":
        return this.#owner.signal(report.data);
      case "closed":
        this.#owner.gone();
        return this.#owner.closed(report.reason);
      default:
        this.#channels.get(report.channel)?.take(report);
    }
  }
}

/** Below this a carried channel may be given more. */
const LOW_BYTES = 512 * 1024;

/** Made before the page has the real one. */
class WorkerChannel implements Channel {
  readonly #events: ChannelEvents;
  readonly #carry: (message: Uint8Array | string) => void;
  /** Handed over by the page. */
  #real: Channel | undefined;
  /** Where the page carries the messages. */
  #isCarriedOpen = false;
  #givenBytes = 0;
  #sentBytes = 0;
  #whenLow: (() => void) | undefined;
  #isClosed = false;

  constructor(events: ChannelEvents, carry: (message: Uint8Array | string) => void) {
    this.#events = events;
    this.#carry = carry;
  }

  get isOpen(): boolean {
    if (this.#isClosed) return false;
    return this.#real?.isOpen ?? this.#isCarriedOpen;
  }

  get bufferedBytes(): number {
    return this.#real?.bufferedBytes ?? this.#givenBytes - this.#sentBytes;
  }

  send(message: Uint8Array | string): void {
    if (this.#real) return this.#real.send(message);
    this.#givenBytes += message.length;
    this.#carry(message);
  }

  onceLow(call: () => void): void {
    if (this.#real?.onceLow) this.#real.onceLow(call);
    else this.#whenLow = call;
  }

  close(): void {
    this.#isClosed = true;
    this.#isCarriedOpen = false;
    this.#real?.close();
  }

  take(report: Exclude<FromPeerPage, { kind: "signal" | "closed" }>): void {
    if (this.#isClosed) return;
    switch (report.kind) {
      case "channel":
        if (report.transferred instanceof RTCDataChannel) {
          this.#real = wrapDataChannel(report.transferred, this.#events);
        }
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
        this.#isCarriedOpen = false;
        return this.#events.closed(report.reason);
      default:
        return report satisfies never;
    }
  }

  #tellLow(): void {
    if (this.bufferedBytes > LOW_BYTES) return;
    const call = this.#whenLow;
    this.#whenLow = undefined;
    call?.();
  }
}
