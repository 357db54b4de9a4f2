/**
 * How long the members of a group take to average a vector: by ring, by the two butterflies, and up and down through one server,
 * in turn in one run, each member a process of its own on this machine: `node test/bench/peers.ts [--members 4]
 * [--elements 1024,431080] [--rounds 15] [--json]`. Compare ratios; between machines latency and bandwidth are others.
 */

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WebSocketServer, type WebSocket } from "ws";
import { cheapestAlgorithm, isPowerOfTwo } from "../../client/replica/peers/schedule.ts";
import type { FromMember, ToMember, Way } from "./peers/messages.ts";

const MEMBER = fileURLToPath(new URL("peers/member.ts", import.meta.url));

const { values: flags } = parseArgs({
  options: {
    members: { type: "string", default: "4" },
    elements: { type: "string", default: "1024,16384,431080" },
    rounds: { type: "string", default: "15" },
    json: { type: "boolean", default: false },
  },
});
const members = Number(flags.members);
const rounds = Number(flags.rounds);
const sizes = flags.elements.split(",").map(Number);
if (!(members >= 2 && members <= 8) || !(rounds >= 1) || !sizes.every((size) => size >= members)) {
  console.error(
    "--members is from 2 to 8, --rounds from 1 on, --elements a list of numbers that are not less than the members.",
  );
  process.exit(2);
}

interface Figure {
  readonly way: Way;
  readonly medianMs: number;
  /** That one member sent. */
  readonly sentBytes: number;
  /** Of all members together; the server's own is not in it. */
  readonly cpuMs: number;
}

/** Sums what as many members send as there are, and answers all of them with the mean. */
function startRelay(): WebSocketServer {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, maxPayload: 1 << 30 });
  let waiting: { readonly socket: WebSocket; readonly vector: Float32Array }[] = [];
  server.on("connection", (socket) => {
    socket.on("message", (data: Buffer) => {
      const aligned = data.byteOffset % 4 === 0 ? data : Buffer.from(data);
      waiting.push({ socket, vector: new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4) });
      if (waiting.length < members) return;
      const mean = new Float32Array(waiting[0]?.vector.length ?? 0);
      for (const { vector } of waiting)
        for (let index = 0; index < mean.length; index++) mean[index]! += vector[index]! / members;
      for (const one of waiting) one.socket.send(new Uint8Array(mean.buffer));
      waiting = [];
    });
  });
  return server;
}

class Group {
  readonly #children: ChildProcess[] = [];
  #told: (message: FromMember) => void = () => {};
  #round = 0;

  async start(elements: number, relayUrl: string): Promise<void> {
    const ids = Array.from({ length: members }, (_, at) => `m${at}`);
    for (const self of ids) {
      const child = fork(MEMBER, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      this.#children.push(child);
      child.on("message", (message: FromMember) => {
        if (message.kind !== "signal") return this.#told(message);
        const to = this.#children[ids.indexOf(message.header.peer)];
        to?.send({ kind: "signal", header: { ...message.header, peer: self } } satisfies ToMember);
      });
    }
    await this.#ask(() => ids.map((self) => ({ kind: "begin", self, members: ids, elements, relayUrl })));
  }

  async average(way: Way): Promise<Omit<Figure, "way" | "medianMs"> & { readonly ms: number }> {
    const round = ++this.#round;
    const beganMs = performance.now();
    const told = await this.#ask(() => this.#children.map(() => ({ kind: "average", round, way })));
    const ms = performance.now() - beganMs;
    const done = told.flatMap((message) => (message.kind === "averaged" ? [message] : []));
    const cpuMs = done.reduce((sum, one) => sum + one.cpuMs, 0);
    return { ms, cpuMs, sentBytes: Math.max(...done.map(({ sentBytes }) => sentBytes)) };
  }

  async stop(): Promise<void> {
    const ended = this.#children.map((child) => once(child, "exit"));
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(ended);
  }

  /** Something of every member, and waits until all have said something. */
  #ask(messages: () => ToMember[]): Promise<FromMember[]> {
    return new Promise((resolve) => {
      const answers: FromMember[] = [];
      this.#told = (message) => {
        answers.push(message);
        if (answers.length === members) resolve(answers);
      };
      for (const [at, message] of messages().entries()) this.#children[at]?.send(message);
    });
  }
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function measure(elements: number, relayUrl: string): Promise<Figure[]> {
  const group = new Group();
  await group.start(elements, relayUrl);
  const ways: Way[] = ["ring", ...(isPowerOfTwo(members) ? (["halving", "doubling"] as const) : []), "relay"];
  const seen = new Map<Way, Awaited<ReturnType<Group["average"]>>[]>(ways.map((way) => [way, []]));
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const way of ways) {
      const one = await group.average(way);
      if (round > 0) seen.get(way)?.push(one);
    }
  }
  await group.stop();
  return [...seen].map(([way, all]) => ({
    way,
    medianMs: medianOf(all.map(({ ms }) => ms)),
    sentBytes: all[0]?.sentBytes ?? 0,
    cpuMs: medianOf(all.map(({ cpuMs }) => cpuMs)),
  }));
}

const relay = startRelay();
await once(relay, "listening");
const address = relay.address();
const relayUrl = `ws://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
console.error(`peers: ${members} members, ${device}, Node ${process.version}, ${date}`);
const reports = [];
for (const elements of sizes) {
  const figures = await measure(elements, relayUrl);
  reports.push({ elements, chosen: cheapestAlgorithm(members, elements), figures });
  console.error(`${elements} elements (chosen: ${cheapestAlgorithm(members, elements)})`);
  for (const { way, medianMs, sentBytes, cpuMs } of figures) {
    const cells = [
      `${medianMs.toFixed(1)} ms`,
      `${(sentBytes / 1e6).toFixed(3)} MB sent`,
      `${cpuMs.toFixed(0)} ms of CPU`,
    ];
    console.error(`  ${way.padEnd(10)}${cells.map((cell) => cell.padStart(16)).join("")}`);
  }
}
if (flags.json) console.log(JSON.stringify({ bench: "peers", device, date, members, rounds, sizes: reports }));
relay.close();
process.exit(0);
