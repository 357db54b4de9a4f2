/** The link to the coordinator over Node's `ws`: it sends head and payload as two fragments of one message. */

import { WebSocket } from "ws";
import { frameIn } from "../../shared/wire/frame.ts";
import type { Link } from "../../shared/wire/link.ts";
import type { ConnectLink, LinkEvents } from "../replica/connection.ts";
import type { Coordinator } from "./coordinator.ts";

const HANDSHAKE_MS = 10_000;

export function connectBySocket(coordinator: Coordinator): ConnectLink {
  return (events) => new SocketLink(coordinator, events);
}

/**
 * The mask keeps scripts, which a browser runs for anybody, from choosing the bytes that a proxy sees (RFC 6455, 10.3). This
 * program is nobody's guest. With a mask of zeros `ws` sends a vector from where it lies; with any other one it copies it first.
 */
function withoutMask(mask: Buffer): void {
  mask.fill(0);
}

/** Not a Buffer, whose `slice` is a view where every other typed array's is a copy. */
function bytesOf({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

class SocketLink implements Link {
  readonly #socket: WebSocket;

  constructor({ socketUrl, agent }: Coordinator, events: LinkEvents) {
    const socket = new WebSocket(socketUrl, {
      agent,
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false,
      generateMask: withoutMask,
    });
    this.#socket = socket;
    // As they were sent: joined, every center would be copied once more.
    socket.binaryType = "fragments";
    socket.on("open", () => events.opened());
    socket.on("close", (code, reason) => events.closed(code, reason.toString()));
    // The close that follows says it too; without a listener an error would end the process.
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) =>
      // A text message is no frame; an empty one is refused by the same door.
      events.received(isBinary && Array.isArray(data) ? frameIn(data.map(bytesOf)) : new Uint8Array(0)),
    );
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void {
    const pieces = [head, ...payload];
    pieces.forEach((piece, index) => this.#socket.send(piece, { binary: true, fin: index === pieces.length - 1 }));
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}
