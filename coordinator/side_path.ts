/**
 * The other way by which a replica may come, beside the link that its session began with (SPEC T1): what a session sees of a peer
 * connection. `server/peers.ts` has the real ones.
 */

import type { Link } from "../shared/wire/link.ts";

export interface SidePath {
  /** What the replica's side signalled. */
  signalled(data: string): void;
  /** The replica comes by the session's own link again; it may signal once more. */
  giveUp(): void;
  /** For good. */
  close(): void;
}

/** The session. */
export interface SidePathOwner {
  receive(frame: Uint8Array, link: Link): void;
  /** One message of the lossy channel (SPEC T6). */
  slice(message: Uint8Array): void;
  /** For the replica's side; goes by the link that the session began with. */
  signal(data: string): void;
}

export type OpenSidePath = (owner: SidePathOwner) => SidePath;
