/**
 * Connections to another participant, or to the coordinator, as a replica sees them: it hands on what both sides signal and gets
 * data channels. In a browser the page owns the connection (a worker has none) and hands the channels over; in Node a process of
 * its own does.
 */

export type { OpenPeer, PeerPort } from "../../shared/wire/peer.ts";
