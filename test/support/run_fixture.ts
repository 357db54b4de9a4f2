/**
 * A real run over a real center with its applier threads, a ledger in memory, a clock moved by hand, and replicas that
 * speak the wire byte by byte. The link between them is a pair of arrays: the test decides what arrives and when.
 */

import { Center, type Applier } from "../../coordinator/center/center.ts";
import { Run, type RunOptions } from "../../coordinator/run.ts";
import type { LedgerEntry } from "../../coordinator/store/ledger.ts";
import type { RestoredLeases } from "../../coordinator/leases/lease_journal.ts";
import type { RestoredRun } from "../../coordinator/run_record.ts";
import type { Session } from "../../coordinator/session.ts";
import { streamOptionsFor } from "../../coordinator/stream.ts";
import { initialParameters, type ParameterLayout } from "../../shared/model/layout.ts";
import type { LoggedEvent } from "../../shared/run_log.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import type { Link } from "../../shared/wire/link.ts";
import {
  readFromCoordinator,
  TYPE,
  type FromCoordinator,
  type Header,
  type ReplicaMessageName,
} from "../../shared/wire/messages.ts";
import { plainVectors, type VectorWire } from "../../shared/wire/vectors.ts";
import { TINY_LAYOUT, TINY_SETTINGS } from "./tiny_run.ts";

export interface FixtureOptions {
  readonly settings?: Partial<RunSettings>;
  readonly rule?: Partial<SolverSettings>;
  readonly applier?: Applier;
  readonly incarnation?: number;
  readonly initial?: Float32Array;
  readonly version?: number;
  readonly restored?: RestoredRun;
  readonly ledger?: LedgerEntry[];
  /** In place of the tiny one. */
  readonly layout?: ParameterLayout;
  readonly leases?: RestoredLeases;
  /** Published versions, in place of as many as there is room for. */
  readonly keep?: number;
}

/** The numbers of a solver that a run with these settings has. */
export function solverSettings(settings: RunSettings, changes: Partial<SolverSettings> = {}): SolverSettings {
  const { solver, exchange, batch, communicationPeriod, learningRate, momentum } = settings;
  return {
    solver,
    exchange,
    batch,
    communicationPeriod,
    learningRate,
    momentum,
    weightDecay: 0,
    optimizer: "momentum",
    schedule: { kind: "constant" },
    warmUp: 0,
    elasticRate: 0.9,
    movingRate: 0.25,
    staleness: { kind: "none" },
    delayCompensation: 0,
    outerLearningRate: 0.7,
    outerMomentum: 0.9,
    nesterovDelay: null,
    groups: null,
    shares: "speed",
    periods: "equal",
    ...changes,
  };
}

export class RunFixture {
  readonly run: Run;
  readonly center: Center;
  readonly ledger: LedgerEntry[];
  readonly layout: ParameterLayout;
  readonly failures: unknown[] = [];
  /** What the run put into its event log. */
  readonly logged: LoggedEvent[] = [];
  nowMs = 0;

  private constructor(center: Center, layout: ParameterLayout, options: FixtureOptions) {
    this.center = center;
    this.layout = layout;
    this.ledger = options.ledger ?? [];
    const settings: RunSettings = { ...TINY_SETTINGS, layoutHash: layout.hash, ...options.settings };
    const runOptions: RunOptions = {
      settings,
      layout,
      solver: solverSettings(settings, options.rule),
      center,
      ledger: {
        append: (entry) => {
          this.ledger.push(entry);
          return Promise.resolve();
        },
      },
      incarnation: options.incarnation ?? 1,
      secret: new Uint8Array(32).fill(7),
      nowMs: () => this.nowMs,
      nowIso: () => new Date(this.nowMs).toISOString(),
      onFailure: (error) => this.failures.push(error),
      log: (event) => this.logged.push(event),
      ...(options.restored ? { restored: options.restored } : {}),
      ...(options.leases ? { leases: options.leases } : {}),
    };
    this.run = new Run(runOptions);
  }

  static async create(options: FixtureOptions = {}): Promise<RunFixture> {
    const layout = options.layout ?? TINY_LAYOUT;
    const stream = streamOptionsFor(options.settings?.codecDown ?? "f32", layout.elements);
    const center = await Center.create({
      layout,
      initial: options.initial ?? initialParameters(layout, 5),
      version: options.version ?? 0,
      applier: options.applier ?? "lock-free",
      threads: 2,
      maxMagnitude: LIMITS.parameterMagnitude,
      stream: { ...stream, ...(options.keep === undefined ? {} : { keep: options.keep }) },
    });
    return new RunFixture(center, layout, options);
  }

  /** A connection that nothing was said on yet. */
  connect(): Peer {
    return new Peer(this.run);
  }

  /** A replica that said hello and was welcomed. */
  async join(
    resume?: Header<"hello">["resume"],
    samplesPerSecond = 1,
    hello: Partial<Header<"hello">> = {},
  ): Promise<{ peer: Peer; welcome: Received<"welcome"> }> {
    const peer = this.connect();
    peer.send("hello", { ...helloHeader(resume), layoutHash: this.layout.hash, samplesPerSecond, ...hello });
    return { peer, welcome: await peer.receive("welcome") };
  }

  async close(): Promise<void> {
    this.run.finish("stopped", "The test is over.");
    await this.run.settled();
    await this.center.close();
  }
}

export function helloHeader(resume?: Header<"hello">["resume"]): Header<"hello"> {
  const hello = { layoutHash: TINY_LAYOUT.hash, backend: "none", device: "test", samplesPerSecond: 1 } as const;
  return resume ? { ...hello, resume } : hello;
}

export type Received<K extends FromCoordinator["kind"]> = Extract<FromCoordinator, { kind: K }>;

/** The far end of one connection. What the run sends is copied and queued until the test asks for it. */
export class Peer {
  readonly session: Session;
  closed: { readonly code: number; readonly reason: string } | undefined = undefined;
  /** Set by tests that pretend a slow reader. */
  bufferedBytes = 0;
  readonly #inbox: Uint8Array[] = [];
  #wake: () => void = () => {};
  /** As agreed on in the welcome. */
  #vectors: VectorWire;

  constructor(run: Run) {
    this.#vectors = { ...plainVectors(run.elements), fragments: run.settings.fragments };
    const isOpen = (): boolean => this.closed === undefined;
    const buffered = (): number => this.bufferedBytes;
    const link: Link = {
      get isOpen() {
        return isOpen();
      },
      get bufferedBytes() {
        return buffered();
      },
      send: (head, ...payload) => {
        this.#inbox.push(new Uint8Array(Buffer.concat([head, ...payload])));
        this.#wake();
      },
      close: (code, reason) => {
        this.closed ??= { code, reason };
        this.#wake();
      },
    };
    this.session = run.connect(link);
  }

  send<N extends ReplicaMessageName>(name: N, header: Header<N>, payload?: Float32Array | Uint8Array): void {
    this.sendBytes(frameBytes(name, header, payload));
  }

  sendBytes(bytes: Uint8Array): void {
    this.session.receive(bytes);
  }

  /** The connection breaks: what was not received is lost. */
  cut(): void {
    this.closed ??= { code: 1006, reason: "cut" };
    this.#inbox.length = 0;
    this.session.closed();
    this.#wake();
  }

  /** The next message, as bytes; undefined once the connection is closed and empty. */
  async receiveBytes(): Promise<Uint8Array | undefined> {
    while (this.#inbox.length === 0 && !this.closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return this.#inbox.shift();
  }

  async receiveAny(): Promise<FromCoordinator> {
    const bytes = await this.receiveBytes();
    if (!bytes) throw new Error(`closed ${this.closed?.code} ${this.closed?.reason}`);
    const message = readFromCoordinator(bytes, this.#vectors);
    if ("refusal" in message) throw new Error(`the coordinator sent what a replica refuses: ${message.refusal}`);
    if (message.kind === "welcome" && message.header.codecs) {
      this.#vectors = { ...this.#vectors, codecs: message.header.codecs };
    }
    return message;
  }

  async receive<K extends FromCoordinator["kind"]>(kind: K): Promise<Received<K>> {
    const message = await this.receiveAny();
    if (message.kind !== kind) throw new Error(`expected ${kind}, got ${JSON.stringify(message)}`);
    return message as Received<K>;
  }
}

export function frameBytes<N extends ReplicaMessageName>(
  name: N,
  header: Header<N>,
  payload?: Float32Array | Uint8Array,
): Uint8Array<ArrayBuffer> {
  const payloadBytes = payload
    ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)
    : new Uint8Array(0);
  const head = encodeHead(TYPE[name], header, payloadBytes.byteLength);
  const bytes = new Uint8Array(head.byteLength + payloadBytes.byteLength);
  bytes.set(head);
  bytes.set(payloadBytes, head.byteLength);
  return bytes;
}

/** The vector of a welcome, an answer, a center or a refusal. */
export function vectorOf(message: FromCoordinator): Float32Array<ArrayBuffer> {
  return new Float32Array(message.payload.slice().buffer);
}

export function pushHeader(
  fields: Partial<Header<"push">> & { exchange: number; baseVersion: number },
): Header<"push"> {
  return { incarnation: 1, content: "parameters", steps: 10, samples: 640, meanLoss: 1, ...fields };
}
