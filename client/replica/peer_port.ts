/**
 * Connections to another participant, or to the coordinator, as a replica sees them: it hands on what both sides signal and gets
 * data channels. In a browser the page owns the connection (a worker has none) and hands the channels over; in Node simple-peer
 * runs beside the replica.
 */

import type { Channel, ChannelEvents, ChannelKind } from "../../shared/wire/channel.ts";
import type { PeerWishes } from "../../shared/wire/peer.ts";

export interface PeerPort {
  /** What the other side signalled. */
  signal(data: string): void;
  /** Of the kinds that were asked for, once each. Sends once it is open. */
  channel(kind: ChannelKind, events: ChannelEvents): Channel;
  close(): void;
}

/** Throws a sentence where there is no WebRTC here. */
export type OpenPeer = (wishes: PeerWishes) => PeerPort;
