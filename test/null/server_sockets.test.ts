import { once } from "node:events";
import { connect, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { networkOf } from "../../coordinator/server/origin.ts";
import { SocketLink } from "../../coordinator/server/socket_link.ts";
import { Random } from "../../shared/random.ts";
import { LIMITS, REFUSALS, ruleOf, type RefusalCode } from "../../shared/wire/codes.ts";
import { encodeHead, longestFrameBytes } from "../../shared/wire/frame.ts";
import { readFromCoordinator, TYPE, type FromCoordinator, type Header } from "../../shared/wire/messages.ts";
import { plainVectors } from "../../shared/wire/vectors.ts";
import { startHarness, type Harness } from "./server_harness.ts";

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const HELLO: Header<"hello"> = { layoutHash: "", backend: "none", device: "test", samplesPerSecond: 0 };

interface Closed {
  readonly code: number;
  readonly messages: FromCoordinator[];
}

async function open(headers: Record<string, string> = {}): Promise<WebSocket> {
  const socket = new WebSocket(harness.socketUrl, { headers });
  await once(socket, "open");
  return socket;
}

function next(socket: WebSocket): Promise<FromCoordinator> {
  return once(socket, "message").then(([data]) => messageOf(data as Buffer));
}

function messageOf(data: Buffer): FromCoordinator {
  const message = readFromCoordinator(data, plainVectors(harness.payloadBytes / 4));
  if ("refusal" in message) throw new Error(`the coordinator sent a frame that is refused ${message.refusal}`);
  return message;
}

/** Sends `message` on a new connection and waits until the coordinator closes it. */
async function closedBy(message: Uint8Array | string): Promise<Closed> {
  const socket = await open();
  const messages: FromCoordinator[] = [];
  socket.on("message", (data) => messages.push(messageOf(data as Buffer)));
  socket.on("error", () => {});
  socket.send(message);
  const [code] = (await once(socket, "close")) as [number];
  return { code, messages };
}

function countOf(code: RefusalCode): number {
  return harness.run.view().refusals[code] ?? 0;
}

function countOfBreaches(): number {
  return countOf("NOT_A_FRAME") + countOf("FRAME_TOO_LONG");
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${harness.url}/metrics`)).text();
  return Number(
    text
      .split("\n")
      .find((found) => found.startsWith(`${line} `))
      ?.split(" ")[1] ?? 0,
  );
}

async function join(socket: WebSocket): Promise<FromCoordinator & { kind: "welcome" }> {
  socket.send(encodeHead(TYPE.hello, { ...HELLO, layoutHash: harness.layoutHash }, 0));
  const message = await next(socket);
  if (message.kind !== "welcome") throw new Error(`got ${message.kind} instead of a welcome`);
  return message;
}

const UPGRADE =
  "GET /ws HTTP/1.1\r\nHost: coordinator\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/** A connection below `ws`, past its handshake, to send bytes that no library would. */
async function rawConnection(): Promise<Socket> {
  const socket = connect(harness.server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(UPGRADE);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toContain("101 Switching Protocols");
  return socket;
}

/** The close code that the coordinator answers `bytes` with. */
async function rawCloseCode(bytes: Uint8Array): Promise<number> {
  const socket = await rawConnection();
  let got = Buffer.alloc(0);
  socket.on("data", (data: Buffer) => {
    got = Buffer.concat([got, data]);
  });
  socket.write(bytes);
  await once(socket, "close");
  return got[0] === 0x88 ? got.readUInt16BE(2) : 0;
}

const frameOf = (type: number, header: object): Uint8Array<ArrayBuffer> => encodeHead(type, header, 0);

const withByte = (index: number, value: number): Uint8Array => {
  const frame = frameOf(TYPE.leave, {});
  frame[index] = value;
  return frame;
};

test.for<[string, RefusalCode, () => Uint8Array | string]>([
  ["[F2] One byte", "FRAME_TOO_SHORT", () => Uint8Array.of(0)],
  ["[F2] A frame without its end", "FRAME_TOO_SHORT", () => frameOf(TYPE.hello, HELLO).subarray(0, 40)],
  [
    "[F2] A frame with more than it announces",
    "FRAME_TOO_LONG",
    () => Buffer.concat([frameOf(TYPE.leave, {}), Buffer.alloc(16)]),
  ],
  ["[F3] Garbage", "NOT_A_FRAME", () => Buffer.alloc(1000, 0xa5)],
  ["[F3] Text", "NOT_A_FRAME", () => "hello, I would like to join"],
  ["[F3] Another protocol version", "WRONG_PROTOCOL", () => withByte(4, 9)],
  ["[F3] An unknown type", "UNKNOWN_TYPE", () => withByte(5, 99)],
  ["[F4] A header that is no msgpack map", "BAD_HEADER", () => withByte(16, 0xc1)],
  ["[F4] A header with a missing field", "BAD_HEADER", () => frameOf(TYPE.hello, { device: "x" })],
  ["[F4] A header with an additional field", "BAD_HEADER", () => frameOf(TYPE.hello, { ...HELLO, admin: true })],
  [
    "[F5] A push without its payload",
    "WRONG_PAYLOAD",
    () =>
      frameOf(TYPE.push, {
        exchange: 1,
        incarnation: 1,
        baseVersion: 0,
        content: "parameters",
        steps: 1,
        samples: 1,
        meanLoss: 1,
      }),
  ],
  ["[H1] Another first frame than a hello", "OUT_OF_TURN", () => frameOf(TYPE.pull, {})],
  ["[H4] Another layout", "WRONG_LAYOUT", () => frameOf(TYPE.hello, { ...HELLO, layoutHash: "0000000000000000" })],
])("%s is refused %s, counted, and closed with the code of its own", async ([, code, message]) => {
  const before = countOf(code);
  const { code: closeCode, messages } = await closedBy(message());
  expect(closeCode).toBe(ruleOf(code).closeCode);
  expect(messages).toHaveLength(1);
  expect(messages[0]).toMatchObject({ kind: "refusal", header: { code, sentence: REFUSALS[code].sentence } });
  expect(countOf(code)).toBe(before + 1);
  expect(await metric(`drove_refusals_total{code="${code}"}`)).toBe(before + 1);
});

test("[F2] [L1] A message beyond the longest frame is closed 1009 and counted before it is taken in", async () => {
  const before = countOf("FRAME_TOO_LONG");
  const { code } = await closedBy(Buffer.alloc(longestFrameBytes(harness.payloadBytes) + 1));
  expect(code).toBe(1009);
  // The same by announcement alone: 2^40 bytes that never come.
  expect(await rawCloseCode(Buffer.from("82ff0000010000000000", "hex"))).toBe(1009);
  expect(countOf("FRAME_TOO_LONG")).toBe(before + 2);
});

test.for<[string, string, number]>([
  ["unmasked frame", "8201ff", 1002],
  ["reserved bit", "f28000000000", 1002],
  ["unknown opcode", "838000000000", 1002],
  ["ping of 126 bytes", "89fe007e00000000", 1002],
  ["fragmented ping", "098000000000", 1002],
  ["continuation of nothing", "808000000000", 1002],
  ["text that is no UTF-8", "818100000000ff", 1007],
  ["length beyond 2^53", "82ffffffffffffffffff", 1009],
])("[L1] A WebSocket breach (%s) is counted and closed", async ([, hex, closeCode]) => {
  const before = countOfBreaches();
  expect(await rawCloseCode(Buffer.from(hex, "hex"))).toBe(closeCode);
  expect(countOfBreaches()).toBe(before + 1);
});

test("[L2] A message in more fragments than any client makes is closed", async () => {
  const fragment = Buffer.from("028100000000aa", "hex");
  const continued = Buffer.from("008100000000aa", "hex");
  expect(await rawCloseCode(Buffer.concat([fragment, ...Array.from({ length: 100 }, () => continued)]))).toBe(1008);
});

test("[L2] A flood of pings ends the connection, a flood of frames is TOO_FAST", async () => {
  const socket = await open();
  for (let index = 0; index < 2 * LIMITS.frameBurst; index++) socket.ping();
  // 1006 where the pongs pile up before the limit is seen: then `ws` cuts the connection itself.
  expect([1008, 1006]).toContain((await once(socket, "close"))[0]);

  const joined = await open();
  await join(joined);
  for (let index = 0; index < 2 * LIMITS.frameBurst; index++) {
    joined.send(frameOf(TYPE.heartbeat, { samplesPerSecond: 1, steps: 1 }));
  }
  expect((await once(joined, "close"))[0]).toBe(REFUSALS.TOO_FAST.closeCode);
});

test("Only the coordinator's own page, or a program that is no page, may connect", async () => {
  const { port } = harness.server;
  const statusFor = async (headers: Record<string, string>, path = ""): Promise<number> => {
    const socket = new WebSocket(harness.socketUrl + path, { headers });
    socket.on("error", () => {});
    return new Promise((resolve) => {
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode ?? 0));
      socket.on("open", () => {
        socket.close();
        resolve(101);
      });
    });
  };
  expect(await statusFor({})).toBe(101);
  expect(await statusFor({ Origin: `http://127.0.0.1:${port}` })).toBe(101);
  for (const origin of [
    "null",
    "",
    "http://elsewhere.example",
    `http://127.0.0.1:${port}.elsewhere.example`,
    `http://127.0.0.1:${port + 1}`,
    "http://127.0.0.1",
    `http://elsewhere.example/127.0.0.1:${port}`,
    `http://127.0.0.1:${port}@elsewhere.example`,
  ]) {
    expect([origin, await statusFor({ Origin: origin })]).toEqual([origin, 403]);
  }
  expect(await statusFor({}, "/else")).toBe(404);
});

test("Compression is never agreed to, so there is nothing to inflate", async () => {
  const socket = new WebSocket(harness.socketUrl, { perMessageDeflate: true });
  await once(socket, "open");
  expect(socket.extensions).toBe("");
  socket.close();
});

test("[H3] [X3] A replica over a real socket gets the center, and the center that its push was used with", async () => {
  const socket = await open();
  const { header, payload } = await join(socket);
  const center = harness.center.snapshot();
  expect(header).toMatchObject({ incarnation: 1, version: center.version, resumed: false, lastExchange: 0 });
  expect(Buffer.compare(payload, Buffer.from(center.parameters.buffer))).toBe(0);

  const difference = new Float32Array(harness.payloadBytes / 4).fill(0.5);
  const push: Header<"push"> = {
    exchange: 1,
    incarnation: 1,
    baseVersion: header.version,
    content: "parameters",
    steps: 10,
    samples: 640,
    meanLoss: 2,
  };
  socket.send(encodeHead(TYPE.push, push, harness.payloadBytes), { binary: true, fin: false });
  socket.send(difference, { binary: true, fin: true });
  const answer = await next(socket);
  expect(answer).toMatchObject({
    kind: "answer",
    header: { exchange: 1, staleness: 0, pull: 0.5, repeated: false },
  });
  expect(Buffer.compare(answer.payload, Buffer.from(center.parameters.buffer))).toBe(0);
  expect(harness.center.snapshot().parameters[0]).toBeCloseTo(center.parameters[0]! + 0.25, 5);
  const { replicas, samples, bytesUp } = harness.run.view();
  expect(replicas.at(-1)).toMatchObject({ connected: true, applied: 1, samples: 640 });
  expect(samples).toBe(640);
  expect(bytesUp).toBeGreaterThan(harness.payloadBytes);
  socket.close();
});

test("[F6] [L1] Two thousand messages of random bytes and mutated frames change nothing and end nothing", async () => {
  const seed = 20261121;
  const random = new Random(seed);
  const before = harness.center.snapshot();
  const whole = [
    frameOf(TYPE.hello, { ...HELLO, layoutHash: harness.layoutHash }),
    frameOf(TYPE.pull, {}),
    frameOf(TYPE.heartbeat, { samplesPerSecond: 1, steps: 1 }),
    frameOf(TYPE.push, {
      exchange: 1,
      incarnation: 1,
      baseVersion: 0,
      content: "parameters",
      steps: 1,
      samples: 1,
      meanLoss: 1,
    }),
  ];
  let sent = 0;
  while (sent < 2000) {
    const socket = await open();
    socket.on("error", () => {});
    socket.on("message", (data) => messageOf(data as Buffer));
    // Most messages end their connection; what is sent behind them must not matter either.
    for (let index = 0; index < 20; index++, sent++) {
      const message = Buffer.from(
        random.below(2) === 0 ? whole[random.below(whole.length)]! : Buffer.alloc(random.below(300)),
      );
      for (let mutation = 0; mutation < 1 + random.below(8) && message.length > 0; mutation++) {
        message[random.below(message.length)] = random.below(256);
      }
      socket.send(message);
    }
    if (random.below(4) === 0) socket.terminate();
    else socket.close();
  }
  const after = harness.center.snapshot();
  expect(after.version, `seed ${seed}`).toBe(before.version);
  expect(Buffer.compare(Buffer.from(after.parameters.buffer), Buffer.from(before.parameters.buffer))).toBe(0);
  expect((await fetch(`${harness.url}/healthz`)).status).toBe(200);
  // Sessions are swept by the run's tick once their connections are gone.
  await expect.poll(() => harness.run.view().replicas.filter(({ connected }) => connected).length).toBe(0);
});

test("A connection that is cut in the middle of a message counts for nothing", async () => {
  for (const bytes of [1, 2, 6, 40, 1000]) {
    const socket = await rawConnection();
    socket.end(Buffer.concat([Buffer.from("82fe07d000000000", "hex"), Buffer.alloc(1000)]).subarray(0, bytes));
    await once(socket, "close");
  }
  expect((await fetch(`${harness.url}/healthz`)).status).toBe(200);
});

test("[L2] A link to a reader that takes nothing is closed 1013 instead of being queued for", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const reader = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [socket] = (await once(server, "connection")) as [WebSocket];
  const link = new SocketLink(socket, 8_000_000);
  reader.pause();
  const payload = new Uint8Array(4_000_000);
  let sent = 0;
  while (link.isOpen && sent < 100) {
    link.send(frameOf(TYPE.pull, {}), payload);
    sent++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sent).toBeLessThan(10);
  expect(link.bufferedBytes).toBeLessThan(20_000_000);
  reader.resume();
  expect((await once(reader, "close"))[0]).toBe(1013);
  server.close();
});

test("[X12] Head and payload arrive as one message, unchanged, without a copy of the payload", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const reader = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [socket] = (await once(server, "connection")) as [WebSocket];
  // Shared memory, as the center's is.
  const payload = new Uint8Array(new SharedArrayBuffer(1_000_000)).map((_, index) => index % 251);
  const before = process.memoryUsage().arrayBuffers;
  new SocketLink(socket, 8_000_000).send(frameOf(TYPE.pull, {}), payload);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
  const [message] = (await once(reader, "message")) as [Buffer];
  expect(Buffer.compare(message.subarray(-payload.length), payload)).toBe(0);
  expect(message.length).toBe(payload.length + frameOf(TYPE.pull, {}).length);
  reader.close();
  server.close();
});

test("Nothing of all this was a failure of the coordinator", () => {
  expect(harness.failures).toEqual([]);
});

async function crowd(url: string, count: number): Promise<WebSocket[]> {
  const sockets = Array.from({ length: count }, () => new WebSocket(url));
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  return sockets;
}

describe("Connections from one address", () => {
  test("[L2] A classroom behind one router joins, and one beyond the limit is told why; who leaves makes room", async () => {
    const crowded = await startHarness({ networkOf: () => "203.0.113.7" });
    const sockets = await crowd(crowded.socketUrl, LIMITS.socketsPerAddress);
    const late = new WebSocket(crowded.socketUrl);
    const refused = once(late, "message");
    const [code] = (await once(late, "close")) as [number];
    const message = readFromCoordinator((await refused)[0] as Buffer, plainVectors(crowded.payloadBytes / 4));
    expect(message).toMatchObject({
      kind: "refusal",
      header: { code: "CROWDED", sentence: REFUSALS.CROWDED.sentence },
    });
    expect(code).toBe(REFUSALS.CROWDED.closeCode);
    expect(crowded.run.view().refusals).toEqual({ CROWDED: 1 });
    sockets[0]?.close();
    await once(sockets[0]!, "close");
    const [another] = await crowd(crowded.socketUrl, 1);
    another?.send(encodeHead(TYPE.hello, { ...HELLO, layoutHash: crowded.layoutHash }, 0));
    const [welcome] = (await once(another!, "message")) as [Buffer];
    expect(readFromCoordinator(welcome, plainVectors(crowded.payloadBytes / 4))).toMatchObject({ kind: "welcome" });
    for (const socket of [...sockets, another!]) socket.terminate();
    await crowded.close();
  });

  test("[L2] A flood from one address is cut off before its handshake, and another address is let in", async () => {
    let network = "203.0.113.7";
    const flooded = await startHarness({ networkOf: () => network });
    // They never answer the goodbye of whoever refuses them.
    const silent = Array.from({ length: LIMITS.socketsPerAddress + 40 }, () =>
      connect(flooded.server.port, "127.0.0.1"),
    );
    const answers = await Promise.all(
      silent.map(async (socket) => {
        socket.on("error", () => {}).write(UPGRADE);
        const [answer] = (await once(socket, "data")) as [Buffer];
        return answer.toString("latin1").split(" ", 2)[1];
      }),
    );
    expect(answers.filter((status) => status === "101").length).toBeGreaterThanOrEqual(LIMITS.socketsPerAddress);
    expect(answers).toContain("429");
    network = "203.0.113.8";
    const [other] = await crowd(flooded.socketUrl, 1);
    expect(other?.readyState).toBe(WebSocket.OPEN);
    for (const socket of silent) socket.destroy();
    other?.terminate();
    await flooded.close();
  });

  test("IPv6 counts by household, IPv4 by address, and this machine, where a proxy may be, not at all", () => {
    expect(networkOf("198.51.100.4")).toBe("198.51.100.4");
    expect(networkOf("::ffff:198.51.100.4")).toBe("198.51.100.4");
    expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2");
    expect(networkOf("2001:db8::6")).toBe("2001:db8:0:0");
    expect(networkOf("fe80::1%eth0")).toBe("fe80:0:0:0");
    for (const own of ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", undefined])
      expect(networkOf(own)).toBeUndefined();
  });
});
