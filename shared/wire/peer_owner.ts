/**
 * Owns peer connections for somebody who cannot (`remote_peers.ts`): takes requests, and hands channels over where the environment
 * can do that; else it carries each message between the channel and the other side.
 */

import type { Channel, ChannelKind } from "./channel.ts";
import { wrapDataChannel, type DataChannelLike } from "./data_channel.ts";
import { PeerConnection, type PeerLibrary } from "./peer.ts";
import type { FromPeerOwner, ToPeerOwner } from "./remote_peers.ts";

export interface PeerOwnerOptions<C extends DataChannelLike> {
  /** Nobody pays for the library who opens no connection. */
  readonly load: () => Promise<PeerLibrary<C>>;
  readonly post: (report: FromPeerOwner, transfer: ArrayBuffer[]) => void;
  /** Called in the moment in which the channel was made; false where it cannot be handed over. */
  readonly handOver?: (peer: number, kind: ChannelKind, channel: C) => boolean;
}

type Open = Extract<ToPeerOwner, { kind: "open" }>;

export class PeerOwner<C extends DataChannelLike> {
  readonly #options: PeerOwnerOptions<C>;
  /** Undefined where the connection could not be made, or is over. */
  readonly #peers = new Map<number, Promise<OwnedPeer<C> | undefined>>();

  constructor(options: PeerOwnerOptions<C>) {
    this.#options = options;
  }

  take(request: ToPeerOwner): void {
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

  async #open(request: Open): Promise<OwnedPeer<C> | undefined> {
    const { peer } = request;
    const closed = (reason: string): void => {
      this.#peers.delete(peer);
      this.#options.post({ kind: "closed", peer, reason }, []);
    };
    try {
      const library = await this.#options.load();
      if (!this.#peers.has(peer)) return undefined;
      return new OwnedPeer(library, request, this.#options, closed);
    } catch (error) {
      closed(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }
}

class OwnedPeer<C extends DataChannelLike> {
  readonly #connection: PeerConnection<C>;
  readonly #carried = new Map<ChannelKind, CarriedChannel>();

  constructor(
    library: PeerLibrary<C>,
    { peer, isInitiator, channels, iceServers }: Open,
    { post, handOver }: PeerOwnerOptions<C>,
    closed: (reason: string) => void,
  ) {
    const signal = (data: string): void => post({ kind: "signal", peer, data }, []);
    this.#connection = new PeerConnection(library, { isInitiator, channels, iceServers, signal, closed });
    for (const kind of channels) {
      const channel = this.#connection.dataChannel(kind);
      if (handOver?.(peer, kind, channel)) continue;
      this.#carried.set(kind, new CarriedChannel(peer, kind, channel, post));
    }
  }

  take(request: Exclude<ToPeerOwner, Open>): void {
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

  constructor(
    peer: number,
    kind: ChannelKind,
    channel: DataChannelLike,
    post: PeerOwnerOptions<DataChannelLike>["post"],
  ) {
    this.#channel = wrapDataChannel(channel, {
      opened: () => post({ kind: "opened", peer, channel: kind }, []),
      received: (message) => {
        const transfer = typeof message !== "string" && message.buffer instanceof ArrayBuffer ? [message.buffer] : [];
        post({ kind: "received", peer, channel: kind, message }, transfer);
      },
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
    // Without the event, how much is buffered says nothing that is worth asking a native stack for.
    if (!this.#channel.onceLow || this.#channel.bufferedBytes === 0) this.#tellSent();
    else this.#channel.onceLow(this.#tellSent);
  }
}
