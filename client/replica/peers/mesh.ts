/**
 * A replica's data channels to the other members of its group: one to each, the one that comes first in the group's order
 * begins. Connections outlive the epoch in which they were begun, until a member leaves or an epoch begins anew. `peer_group.ts` says
 * who the members are, and what is said over them.
 */

import type { RunSettings } from "../../../shared/run_settings.ts";
import { ChannelLink } from "../../../shared/wire/channel_link.ts";
import type { Header } from "../../../shared/wire/messages.ts";
import type { OpenPeer, PeerPort } from "../peer_port.ts";

export interface MeshOptions {
  readonly openPeer: OpenPeer;
  readonly iceServers: RunSettings["iceServers"];
  readonly nowMs: () => number;
  readonly longestPayloadBytes: number;
  /** For another member, by way of the coordinator. */
  readonly signal: (header: Header<"signal">) => void;
  readonly received: (from: string, frame: Uint8Array) => void;
  /** A channel opened. */
  readonly opened: () => void;
  /** A channel that was open, or was to open, is gone. */
  readonly lost: (member: string) => void;
}

interface Peer {
  /** The epoch in which the connection was begun. */
  readonly born: number;
  readonly port: PeerPort;
  readonly link: ChannelLink;
}

/** Nobody lets more than a few steps of an all-reduce wait. */
const QUEUED_FRAMES = 4;

export class Mesh {
  readonly #options: MeshOptions;
  readonly #peers = new Map<string, Peer>();
  #epoch = 0;
  /** The last that began anew: what was begun before is over. */
  #anewEpoch = 0;
  /** The others, as the group has them. */
  #others: readonly string[] = [];
  /** Those of them that this replica connects to; the rest connect to it. */
  #begins: ReadonlySet<string> = new Set();

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  /** Whether the channels to all other members are open. */
  get isComplete(): boolean {
    return this.#others.length > 0 && this.#others.every((id) => this.#peers.get(id)?.link.isOpen);
  }

  /** Throws where there is no WebRTC here. */
  regroup({ epoch, members, isAnew }: Header<"group">, self: string): void {
    const own = members.indexOf(self);
    this.#epoch = epoch;
    if (isAnew) this.#anewEpoch = epoch;
    this.#others = own < 0 ? [] : members.filter((id) => id !== self);
    this.#begins = new Set(own < 0 ? [] : members.slice(own + 1));
    for (const id of this.#peers.keys()) if (isAnew || !this.#others.includes(id)) this.#close(id);
    for (const id of this.#begins) if (!this.#peers.has(id)) this.#open(id, epoch, true);
  }

  signalled({ peer, data, epoch = 0 }: Header<"signal">): void {
    if (!this.#others.includes(peer) || epoch > this.#epoch || epoch < this.#anewEpoch) return;
    const known = this.#peers.get(peer);
    if (known?.born === epoch) return known.port.signal(data);
    // An older connection, or one that is not this replica's to accept.
    if (known && known.born > epoch) return;
    if (this.#begins.has(peer)) return;
    // Its end of the older one is gone.
    this.#close(peer);
    this.#open(peer, epoch, false);
    this.#peers.get(peer)?.port.signal(data);
  }

  send(to: string, head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void {
    this.#peers.get(to)?.link.send(head, ...payload);
  }

  /** Several times a second. */
  tick(): void {
    for (const { link } of this.#peers.values()) link.tick();
  }

  close(): void {
    this.#others = [];
    for (const id of this.#peers.keys()) this.#close(id);
  }

  #open(id: string, born: number, isInitiator: boolean): void {
    const { openPeer, iceServers, nowMs, longestPayloadBytes, signal, received, opened, lost } = this.#options;
    // What an older connection still reports is not about this one.
    let peer: Peer | undefined;
    const isCurrent = (): boolean => peer !== undefined && this.#peers.get(id) === peer;
    const gone = (): void => {
      if (!isCurrent()) return;
      this.#close(id);
      lost(id);
    };
    const port = openPeer({
      isInitiator,
      channels: ["reliable"],
      iceServers,
      signal: (data) => signal({ peer: id, data, epoch: born }),
      closed: gone,
    });
    const link = new ChannelLink({
      open: (events) => port.channel("reliable", events),
      longestPayloadBytes,
      longestQueueBytes: QUEUED_FRAMES * longestPayloadBytes,
      nowMs,
      opened: () => {
        if (isCurrent()) opened();
      },
      received: (frame) => {
        if (isCurrent()) received(id, frame);
      },
      closed: gone,
    });
    peer = { born, port, link };
    this.#peers.set(id, peer);
  }

  #close(id: string): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#peers.delete(id);
    peer.link.close(1000, "regrouped");
    peer.port.close();
  }
}
