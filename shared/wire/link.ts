/**
 * The narrow transport that both sides see: frames out, frames in, an end. WebSocket, data channel and the tests'
 * socket pair stand behind it.
 */

export interface Link {
  readonly isOpen: boolean;
  /** Bytes accepted by `send` and not yet handed to the network. */
  readonly bufferedBytes: number;
  /** Sends head and payload, which may be in pieces, as one message. Their memory is not changed until `bufferedBytes` is 0 again. */
  send(head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void;
  close(code: number, reason: string): void;
}
