/** Peer connections within one process, whose two ends find each other by what is signalled; a test may silence or refuse some. */

import type { OpenPeer } from "../../client/replica/peer_port.ts";
import type { Channel, ChannelEvents } from "../../shared/wire/channel.ts";
import type { PeerWishes } from "../../shared/wire/peer.ts";

class Port {
  readonly owner: string;
  readonly options: PeerWishes;
  far: Port | undefined;
  isOver = false;
  events: ChannelEvents | undefined;

  constructor(owner: string, options: PeerWishes) {
    this.owner = owner;
    this.options = options;
  }

  over(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.events?.closed(reason);
    this.options.closed(reason);
  }
}

export class MemoryPeers {
  readonly #ports = new Map<string, Port>();
  readonly #silent = new Set<string>();

  /** Of one participant, by any name. */
  openPeer(owner: string): OpenPeer {
    return (options) => {
      const port = new Port(owner, options);
      const id = `${owner} ${this.#ports.size}`;
      this.#ports.set(id, port);
      if (options.isInitiator) setImmediate(() => !port.isOver && options.signal(id));
      return {
        signal: (data) => this.#signalled(port, id, data),
        channel: (_kind, events) => this.#channel(port, events),
        close: () => this.#close(port),
      };
    };
  }

  /** Nothing that it sends arrives from now on, and nothing reaches it: its machine is gone without a word. */
  silence(owner: string): void {
    this.#silent.add(owner);
  }

  #signalled(port: Port, id: string, data: string): void {
    const far = this.#ports.get(data);
    if (!far || port.isOver || this.#isSilent(port, far)) return;
    port.far = far;
    if (!port.options.isInitiator) port.options.signal(id);
    setImmediate(() => !port.isOver && port.events?.opened());
  }

  #channel(port: Port, events: ChannelEvents): Channel {
    port.events = events;
    return {
      get isOpen() {
        return !port.isOver && port.far !== undefined;
      },
      bufferedBytes: 0,
      send: (message) => {
        const copy = typeof message === "string" ? message : message.slice();
        setImmediate(() => this.#deliver(port, copy));
      },
      close: () => this.#close(port),
    };
  }

  #deliver(from: Port, message: Uint8Array | string): void {
    const { far } = from;
    if (!far || far.isOver || this.#isSilent(from, far)) return;
    far.events?.received(message);
  }

  #close(port: Port): void {
    if (port.isOver) return;
    port.isOver = true;
    const { far } = port;
    if (far && !this.#isSilent(port, far)) setImmediate(() => far.over("the other side closed it"));
  }

  #isSilent(one: Port, other: Port): boolean {
    return this.#silent.has(one.owner) || this.#silent.has(other.owner);
  }
}
