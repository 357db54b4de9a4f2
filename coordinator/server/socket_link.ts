/**
 * A WebSocket as a `Link`. Head and payload go out as two fragments of one message, so that the center is never copied to
 * be sent; a reader that is too slow for what it asks is closed (SPEC L2) instead of being queued for.
 */

import { WebSocket } from "ws";
import type { Link } from "../../shared/wire/link.ts";

/** RFC 6455's "try again later". */
const TOO_SLOW_CLOSE_CODE = 1013;

export class SocketLink implements Link {
  readonly #socket: WebSocket;
  readonly #longestQueueBytes: number;

  constructor(socket: WebSocket, longestQueueBytes: number) {
    this.#socket = socket;
    this.#longestQueueBytes = longestQueueBytes;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void {
    if (!this.isOpen) return;
    if (this.bufferedBytes > this.#longestQueueBytes) {
      this.close(TOO_SLOW_CLOSE_CODE, "reads too slowly");
      return;
    }
    const pieces = [head, ...payload];
    pieces.forEach((piece, index) => this.#socket.send(piece, { binary: true, fin: index === pieces.length - 1 }));
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}
