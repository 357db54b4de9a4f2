/**
 * The peer connections of the page's Web Worker, which has none of its own: the page owns them, and hands their channels over at once.
 * Where a browser cannot do that (Firefox), it carries each message between channel and worker.
 */

import type { FromPeerPage, ToPeerPage } from "../messages.ts";
import type { Channel, ChannelKind } from "../../shared/wire/channel.ts";
import { wrapDataChannel } from "../../shared/wire/data_channel.ts";
import { PeerConnection } from "../../shared/wire/peer.ts";

type Post = (report: FromPeerPage, transfer: Transferable[]) => void;
type Open = Extract<ToPeerPage, { kind: "open" }>;

/** A connection; undefined where it could not be made, or is over. */
type Opening = Promise<PagePeer | undefined>;

export class PagePeers {
  readonly #post: Post;
  readonly #peers = new Map<number, Opening>();

  constructor(post: Post) {
    this.#post = post;
  }

  take(request: ToPeerPage): void {
    const { peer } = request;
    if (request.kind === "open") {
      this.#peers.set(peer, this.#open(request));
      return;
    }
    // Each request after the ones before it, and all after the library is there.
    const opening = this.#peers.get(peer);
    if (request.kind === "close") this.#peers.delete(peer);
    void opening?.then((opened) => opened?.take(request));
  }

  close(): void {
    for (const opening of this.#peers.values()) void opening.then((opened) => opened?.close());
    this.#peers.clear();
  }

  async #open(request: Open): Opening {
    const { peer } = request;
    const closed = (reason: string): void => {
      this.#peers.delete(peer);
      this.#post({ kind: "closed", peer, reason }, []);
    };
    try {
      // Nobody pays for it whose exchanges go by WebSocket.
      const library = await import("simple-peer/simplepeer.min.js");
      if (!this.#peers.has(peer)) return undefined;
      return new PagePeer(library.default, request, this.#post, closed);
    } catch (error) {
      closed(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }
}

class PagePeer {
  readonly #connection: PeerConnection<RTCDataChannel>;
  /** Those whose messages the page carries. */
  readonly #carried = new Map<ChannelKind, CarriedChannel>();

  constructor(
    SimplePeer: new (options: object) => never,
    { peer, isInitiator, channels, iceServers }: Open,
    post: Post,
    closed: (reason: string) => void,
  ) {
    this.#connection = new PeerConnection<RTCDataChannel>(
      { SimplePeer },
      { isInitiator, channels, iceServers, closed, signal: (data) => post({ kind: "signal", peer, data }, []) },
    );
    for (const kind of channels) {
      const channel = this.#connection.dataChannel(kind);
      try {
        post({ kind: "channel", peer, channel: kind, transferred: channel }, [channel]);
      } catch {
        this.#carried.set(kind, new CarriedChannel(peer, kind, channel, post));
      }
    }
  }

  take(request: Exclude<ToPeerPage, Open>): void {
    switch (request.kind) {
      case "signal":
        return this.#connection.signal(request.data);
      case "send":
        return this.#carried.get(request.channel)?.send(request.message);
      case "close":
        return this.close();
      default:
        return request satisfies never;
    }
  }

  close(): void {
    this.#connection.close();
  }
}

class CarriedChannel {
  readonly #channel: Channel;
  readonly #tellSent: () => void;
  #sentBytes = 0;

  constructor(peer: number, kind: ChannelKind, channel: RTCDataChannel, post: Post) {
    post({ kind: "channel", peer, channel: kind, transferred: undefined }, []);
    this.#channel = wrapDataChannel(channel, {
      opened: () => post({ kind: "opened", peer, channel: kind }, []),
      received: (message) =>
        post(
          { kind: "received", peer, channel: kind, message },
          message instanceof Uint8Array ? [message.buffer as ArrayBuffer] : [],
        ),
      closed: (reason) => post({ kind: "channel-closed", peer, channel: kind, reason }, []),
    });
    this.#tellSent = () => post({ kind: "sent", peer, channel: kind, bytes: this.#sentBytes }, []);
  }

  send(message: Uint8Array | string): void {
    this.#sentBytes += message.length;
    try {
      this.#channel.send(message);
    } catch {
      // It closed just now, and says so itself.
    }
    if (this.#channel.bufferedBytes === 0 || !this.#channel.onceLow) this.#tellSent();
    else this.#channel.onceLow(this.#tellSent);
  }
}
