/**
 * A data channel as both sides see it, whoever owns its peer connection: a browser's page, simple-peer over Node's WebRTC, or a
 * test. Messages are short; `parts.ts` cuts frames into them.
 */

export type ChannelKind =
  /** In order, nothing lost. */
  | "reliable"
  /** Unordered, nothing sent again. */
  | "lossy";

export interface Channel {
  readonly isOpen: boolean;
  /** Bytes accepted by `send` and not yet handed to the network. */
  readonly bufferedBytes: number;
  send(message: Uint8Array | string): void;
  close(): void;
  /** Calls once when few bytes are buffered. Left out where the stack has no such event: its peer acknowledges instead. */
  onceLow?(call: () => void): void;
}

export interface ChannelEvents {
  opened(): void;
  received(message: Uint8Array | string): void;
  /** Once, also where it never opened. */
  closed(reason: string): void;
}
