/**
 * A slow, long line in front of a TCP port of this machine: every byte takes half the round trip each way, and no more of them get
 * through than the line's rate (a token bucket). Delays and rates are kept by this process's timers, so they are right to a
 * millisecond or two where it is not starved.
 */

import { createServer, connect, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface LineShape {
  readonly roundTripMs: number;
  readonly upBitsPerSecond: number;
  readonly downBitsPerSecond: number;
}

export interface ShapedProxy {
  readonly port: number;
  /** Let through so far. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  close(): Promise<void>;
}

/** As a home router holds: what is beyond it waits at the sender. */
const MOST_QUEUED_BYTES = 256 * 1024;
/** So much is let through at once. */
const BURST_BYTES = 8 * 1024;

export async function startShapedProxy(targetPort: number, shape: LineShape): Promise<ShapedProxy> {
  const sockets = new Set<Socket>();
  const up = new Line(shape.upBitsPerSecond, shape.roundTripMs / 2);
  const down = new Line(shape.downBitsPerSecond, shape.roundTripMs / 2);
  const server = createServer((near) => {
    const far = connect({ port: targetPort, host: "127.0.0.1" });
    for (const [from, to, line] of [
      [near, far, up],
      [far, near, down],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      line.carry(from, to);
    }
  });
  await listening(server);
  return {
    port: (server.address() as AddressInfo).port,
    get bytesUp() {
      return up.bytes;
    },
    get bytesDown() {
      return down.bytes;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** One direction, which all connections share. */
class Line {
  bytes = 0;
  readonly #bytesPerMs: number;
  readonly #delayMs: number;
  /** When the line will have sent all that was handed to it. */
  #freeMs = 0;

  constructor(bitsPerSecond: number, delayMs: number) {
    this.#bytesPerMs = bitsPerSecond / 8000;
    this.#delayMs = delayMs;
  }

  carry(from: Socket, to: Socket): void {
    let queuedBytes = 0;
    from.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += BURST_BYTES) {
        const piece = chunk.subarray(at, at + BURST_BYTES);
        queuedBytes += piece.length;
        setTimeout(() => {
          queuedBytes -= piece.length;
          this.bytes += piece.length;
          if (!to.destroyed) to.write(piece);
          if (queuedBytes < MOST_QUEUED_BYTES) from.resume();
        }, this.#arrivalMs(piece.length));
      }
      if (queuedBytes >= MOST_QUEUED_BYTES) from.pause();
    });
    from.on("end", () => setTimeout(() => to.end(), this.#arrivalMs(0) + 1));
  }

  /** From now, of the last of so many bytes. */
  #arrivalMs(bytes: number): number {
    const nowMs = performance.now();
    this.#freeMs = Math.max(nowMs, this.#freeMs) + bytes / this.#bytesPerMs;
    return this.#freeMs - nowMs + this.#delayMs;
  }
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
}
