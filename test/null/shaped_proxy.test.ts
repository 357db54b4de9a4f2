/** The slow, long line of the overlap's tests: it may be slower than it says, on a machine with other things to do, and never faster. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Random } from "../../shared/random.ts";
import { startShapedProxy, type LineShape, type ShapedProxy } from "../support/shaped_proxy.ts";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

/** An echo behind a line. */
async function echoBehind(shape: LineShape): Promise<{ readonly proxy: ShapedProxy; readonly socket: Socket }> {
  const server = createServer((socket) => void socket.on("error", () => {}).pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  const proxy = await startShapedProxy((server.address() as AddressInfo).port, shape);
  open.push(proxy);
  const socket = connect(proxy.port, "127.0.0.1");
  await once(socket, "connect");
  open.push({ close: () => socket.destroy() });
  return { proxy, socket };
}

async function echoed(socket: Socket, bytes: Uint8Array): Promise<{ readonly back: Buffer; readonly ms: number }> {
  const beganMs = performance.now();
  const parts: Buffer[] = [];
  let length = 0;
  const all = new Promise<void>((resolve) => {
    socket.on("data", (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length >= bytes.length) resolve();
    });
  });
  socket.write(bytes);
  await all;
  socket.removeAllListeners("data");
  return { back: Buffer.concat(parts), ms: performance.now() - beganMs };
}

test("Every byte comes through, once and in order, and takes as long as the line's rate and length say", async () => {
  const shape = { roundTripMs: 40, upBitsPerSecond: 16e6, downBitsPerSecond: 160e6 };
  const { proxy, socket } = await echoBehind(shape);
  const random = new Random(5);
  const bytes = Uint8Array.from({ length: 600_000 }, () => random.below(256));
  const { back, ms } = await echoed(socket, bytes);
  expect(back.equals(bytes)).toBe(true);
  // 600 kB at 2 kB/ms, and a round trip.
  expect(ms).toBeGreaterThan(300 + 40 - 2);
  expect(proxy.bytesUp).toBe(600_000);
  expect(proxy.bytesDown).toBe(600_000);
});

test("A single byte takes a round trip", async () => {
  const { socket } = await echoBehind({ roundTripMs: 60, upBitsPerSecond: 1e9, downBitsPerSecond: 1e9 });
  for (let time = 0; time < 3; time++) expect((await echoed(socket, Uint8Array.of(7))).ms).toBeGreaterThan(58);
});

test("An end behind the line is an end before it, after all that was sent", async () => {
  const { socket } = await echoBehind({ roundTripMs: 20, upBitsPerSecond: 8e6, downBitsPerSecond: 8e6 });
  let length = 0;
  socket.on("data", (part: Buffer) => (length += part.length));
  socket.end(new Uint8Array(20_000));
  await once(socket, "end");
  expect(length).toBe(20_000);
});
