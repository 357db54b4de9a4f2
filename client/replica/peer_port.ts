/**
 * Connections to another participant, or to the coordinator, as a replica sees them: it hands on what both sides signal and gets
 * data channels. In a browser the page owns the connection (a worker has none) and hands the channels over; in Node simple-peer
 * runs beside the replica.
 */

import type { Channel, ChannelEvents, ChannelKind } from "../../shared/wire/channel.ts";

export interface PeerPort {
  /** What the other side signalled. */
  signal(data: string): void;
  /** Of the kinds that were asked for. Sends once it is open. */
  channel(kind: ChannelKind, events: ChannelEvents): Channel;
  close(): void;
}

export interface PeerOptions {
  /** One of the two is. */
  readonly isInitiator: boolean;
  /** Both sides ask for the same ones. */
  readonly channels: readonly ChannelKind[];
  readonly iceServers: readonly { readonly urls: string; readonly username?: string; readonly credential?: string }[];
  /** For the other side; goes by the WebSocket. */
  readonly signal: (data: string) => void;
  /** Once: the connection failed or was closed. */
  readonly closed: (reason: string) => void;
}

/** Throws a sentence where there is no WebRTC here. */
export type OpenPeer = (options: PeerOptions) => PeerPort;
