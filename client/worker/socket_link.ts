/** The link to the coordinator over a browser's WebSocket. */

import type { ConnectLink, LinkEvents } from "../replica/connection.ts";
import type { Link } from "../../shared/wire/link.ts";

/** What a WebSocket reports where it could not even be made. */
const ABNORMAL_CLOSE = 1006;

export function connectBySocket(url: string): ConnectLink {
  return (events) => {
    try {
      return new SocketLink(new WebSocket(url), events);
    } catch (error) {
      // A page from https: may not open ws:, for one. Reported as every other failure is: later.
      queueMicrotask(() => events.closed(ABNORMAL_CLOSE, String(error)));
      return CLOSED_LINK;
    }
  };
}

class SocketLink implements Link {
  readonly #socket: WebSocket;
  /** Head and payload side by side: a browser's socket sends no fragments. It copies what it is given, so this is reused. */
  #message = new Uint8Array(0);

  constructor(socket: WebSocket, events: LinkEvents) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => events.opened());
    socket.addEventListener("close", ({ code, reason }) => events.closed(code, reason));
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      // A text message is no frame; an empty one is refused by the same door.
      events.received(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(0));
    });
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void {
    if (payload.length === 0) return this.#socket.send(head);
    const bytes = payload.reduce((sum, piece) => sum + piece.byteLength, head.byteLength);
    if (this.#message.byteLength < bytes) this.#message = new Uint8Array(bytes);
    let at = 0;
    for (const piece of [head, ...payload]) {
      this.#message.set(piece, at);
      at += piece.byteLength;
    }
    this.#socket.send(this.#message.subarray(0, bytes));
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

const CLOSED_LINK: Link = {
  isOpen: false,
  bufferedBytes: 0,
  send: () => {},
  close: () => {},
};
