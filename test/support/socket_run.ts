/**
 * A run of the fixture behind a real server on a free port: replicas speak to it over real sockets, byte by byte, as the test
 * decides. Their parameters go where the test's own numbers lead, not where training would.
 */

import { once } from "node:events";
import { rm } from "node:fs/promises";
import { WebSocket } from "ws";
import { start, type RunningServer } from "../../coordinator/server/server.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import {
  readFromCoordinator,
  type FromCoordinator,
  type Header,
  type ReplicaMessageName,
} from "../../shared/wire/messages.ts";
import { plainVectors } from "../../shared/wire/vectors.ts";
import { makeClientFolder } from "../null/server_harness.ts";
import {
  frameBytes,
  helloHeader,
  pushHeader,
  RunFixture,
  vectorOf,
  type FixtureOptions,
  type Received,
} from "./run_fixture.ts";

export class SocketRun {
  readonly fixture: RunFixture;
  readonly #server: RunningServer;
  readonly #clientFolder: string;
  readonly #sockets: WebSocket[] = [];

  private constructor(fixture: RunFixture, server: RunningServer, clientFolder: string) {
    this.fixture = fixture;
    this.#server = server;
    this.#clientFolder = clientFolder;
  }

  static async create(options: FixtureOptions): Promise<SocketRun> {
    const fixture = await RunFixture.create(options);
    const clientFolder = await makeClientFolder();
    const server = await start({
      run: fixture.run,
      host: "127.0.0.1",
      port: 0,
      tls: null,
      clientFolder,
      shards: [],
      onFailure: (error) => fixture.failures.push(error),
    });
    return new SocketRun(fixture, server, clientFolder);
  }

  /** A replica that was welcomed; `samplesPerSecond` is what it says of itself. */
  async join(samplesPerSecond = 100): Promise<ScriptedReplica> {
    const socket = new WebSocket(`${this.#server.url.replace("http", "ws")}/ws`);
    this.#sockets.push(socket);
    await once(socket, "open");
    const replica = new ScriptedReplica(socket, this.fixture.run.payloadBytes);
    await replica.introduce(samplesPerSecond);
    return replica;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    await this.#server.close();
    await this.fixture.close();
    await rm(this.#clientFolder, { recursive: true });
    if (this.fixture.failures.length > 0) throw new Error("the run failed", { cause: this.fixture.failures });
  }
}

/** A replica as SPEC X2, X4 and X11 have it. */
export class ScriptedReplica {
  readonly #socket: WebSocket;
  readonly #payloadBytes: number;
  readonly #inbox: FromCoordinator[] = [];
  #wake: () => void = () => {};
  #exchange = 0;
  #baseVersion = 0;
  #sent = new Float32Array();
  id = "";
  parameters = new Float32Array();
  base = new Float32Array();
  assignment!: Header<"welcome">["assignment"];

  constructor(socket: WebSocket, payloadBytes: number) {
    this.#socket = socket;
    this.#payloadBytes = payloadBytes;
    socket.on("message", (data) => {
      const message = readFromCoordinator(new Uint8Array(data as Buffer), plainVectors(this.#payloadBytes / 4));
      if ("refusal" in message) throw new Error(`the coordinator sent what a replica refuses: ${message.refusal}`);
      this.#inbox.push(message);
      this.#wake();
    });
  }

  async introduce(samplesPerSecond: number): Promise<void> {
    this.#send("hello", { ...helloHeader(), samplesPerSecond });
    const welcome = await this.receive("welcome");
    this.id = welcome.header.replica;
    this.assignment = welcome.header.assignment;
    this.#baseVersion = welcome.header.version;
    this.base = vectorOf(welcome);
    this.parameters = this.base.slice();
  }

  get baseVersion(): number {
    return this.#baseVersion;
  }

  /** The current center as base, as before a two-round-trip push. */
  async pull(): Promise<void> {
    this.#send("pull", {});
    const center = await this.receive("center");
    this.#baseVersion = center.header.version;
    this.base = vectorOf(center);
  }

  /** Sends the gradient, the difference, or the way that `parameters` are from the base. */
  push(content: PushContent, vector?: Float32Array, samples = this.assignment.samples): void {
    this.#sent = this.parameters.slice();
    const payload = vector ?? this.parameters.map((value, at) => value - (this.base[at] ?? 0));
    const header = pushHeader({ exchange: ++this.#exchange, baseVersion: this.#baseVersion, content, samples });
    this.#send("push", header, Float32Array.from(payload));
  }

  /** The answer to the last push, and what the replica becomes by it. */
  async answered(content: PushContent): Promise<Received<"answer">> {
    const answer = await this.receive("answer");
    this.#baseVersion = answer.header.version;
    this.assignment = answer.header.assignment;
    if (content === "difference") return answer;
    this.base = vectorOf(answer);
    const { pull } = answer.header;
    if (content === "gradient") this.parameters = this.base.slice();
    else this.parameters = this.parameters.map((x, at) => x - pull * ((this.#sent[at] ?? 0) - (this.base[at] ?? 0)));
    return answer;
  }

  /** The refusal of the last push; the replica restarts from the center that came with it. */
  async refused(): Promise<Received<"refusal">> {
    const refusal = await this.receive("refusal");
    this.#baseVersion = refusal.header.version;
    this.base = vectorOf(refusal);
    this.parameters = this.base.slice();
    return refusal;
  }

  /** Whether nothing has come for `ms`. */
  async isSilentFor(ms: number): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return this.#inbox.length === 0;
  }

  leave(): void {
    this.#send("leave", {});
  }

  async receive<K extends FromCoordinator["kind"]>(kind: K): Promise<Received<K>> {
    while (this.#inbox.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#inbox.shift();
    if (message?.kind !== kind) throw new Error(`expected ${kind}, got ${JSON.stringify(message?.header)}`);
    return message as Received<K>;
  }

  #send<N extends ReplicaMessageName>(name: N, header: Header<N>, payload?: Float32Array): void {
    this.#socket.send(frameBytes(name, header, payload));
  }
}
