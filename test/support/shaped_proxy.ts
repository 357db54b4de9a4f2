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
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true });
    for (const [from, to, line] of [
      [near, far, up],
      [far, near, down],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
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
    const waiting: Piece[] = [];
    let queuedBytes = 0;
    const deliver = (): void => {
      const nowMs = performance.now();
      for (let piece = waiting[0]; piece && piece.dueMs <= nowMs; piece = waiting[0]) {
        waiting.shift();
        queuedBytes -= piece.bytes.length;
        this.bytes += piece.bytes.length;
        if (to.destroyed) continue;
        if (piece.isLast) to.end();
        else to.write(piece.bytes);
      }
      if (queuedBytes < MOST_QUEUED_BYTES) from.resume();
      // In order, whatever timers do: one at a time.
      if (waiting[0]) setTimeout(deliver, waiting[0].dueMs - nowMs);
    };
    const add = (bytes: Buffer, isLast: boolean): void => {
      queuedBytes += bytes.length;
      waiting.push({ bytes, isLast, dueMs: this.#arrivalMs(bytes.length) });
      if (waiting.length === 1) deliver();
    };
    from.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += BURST_BYTES) add(chunk.subarray(at, at + BURST_BYTES), false);
      if (queuedBytes >= MOST_QUEUED_BYTES) from.pause();
    });
    // Behind what is still on its way. One that breaks has no end, but closes.
    let hasEnded = false;
    const end = (): void => {
      if (!hasEnded) add(Buffer.alloc(0), true);
      hasEnded = true;
    };
    from.on("end", end).on("close", end);
  }

  /** Of the last of so many bytes that begin now. */
  #arrivalMs(bytes: number): number {
    this.#freeMs = Math.max(performance.now(), this.#freeMs) + bytes / this.#bytesPerMs;
    return this.#freeMs + this.#delayMs;
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly isLast: boolean;
  readonly dueMs: number;
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
}
