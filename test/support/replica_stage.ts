/**
 * A real replica on a stage where the test plays everybody else: the coordinator (message by message), the network (a
 * socket pair per connection), the clock and the device (a quadratic loss).
 */

import type { Phase, ReplicaProgress } from "../../client/messages.ts";
import type { ConnectLink } from "../../client/replica/connection.ts";
import type { HeldCenter } from "../../client/replica/held_center.ts";
import type { Device } from "../../client/replica/local_training.ts";
import type { OpenPeer } from "../../client/replica/peer_port.ts";
import { Replica, type Ending } from "../../client/replica/replica.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { ExampleRange } from "../../shared/sampler.ts";
import { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { Assignment } from "../../shared/solver/assignment.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import {
  readFromReplica,
  TYPE,
  type CoordinatorMessageName,
  type FromReplica,
  type Header,
} from "../../shared/wire/messages.ts";
import { PLAIN_CODECS, type Codecs, type VectorWire } from "../../shared/wire/vectors.ts";
import { ruleOf, type RefusalCode } from "../../shared/wire/codes.ts";
import { HandClock, settled } from "./hand_clock.ts";
import { QuadraticProgram } from "./quadratic_program.ts";
import { TINY_LAYOUT, TINY_MODEL, TINY_SETTINGS } from "./tiny_run.ts";
import { SocketPair } from "./socket_pair.ts";

export const TAU = 3;
const BATCH = 4;
const EXAMPLES = 20;

/** 448 elements, which are three and a half blocks (SPEC C1). */
export const BLOCKS_MODEL: ModelDescription = {
  name: "blocks",
  input: { height: 2, width: 2, channels: 1 },
  classes: 80,
  layers: [{ kind: "dense", name: "fc", units: 80 }],
};

export function filled(
  value: number,
  { elements }: { readonly elements: number } = TINY_LAYOUT,
): Float32Array<ArrayBuffer> {
  return new Float32Array(elements).fill(value);
}

export interface StageOptions {
  readonly dutyCycle?: number;
  readonly name?: string;
  /** In which the device does the batch. */
  readonly parts?: number;
  readonly model?: ModelDescription;
  readonly openPeer?: OpenPeer;
  readonly held?: HeldCenter;
  /** What the coordinator's welcomes agree on; nothing, which is f32, where left out. */
  readonly codecs?: Codecs;
}

/** Values, or what a codec made. */
type Payload = Float32Array | Uint8Array;

export type Got<K extends FromReplica["kind"]> = Extract<FromReplica, { kind: K }>;

export class ReplicaStage {
  readonly clock = new HandClock();
  readonly pairs: SocketPair[] = [];
  /** What the replica told of its volunteer; apart, because it comes at any time. */
  readonly profiles: Header<"profile">[] = [];
  readonly phases: { readonly phase: Phase; readonly detail: string | undefined }[] = [];
  /** Examples in the device, and those that were asked for. */
  readonly loaded: ExampleRange[] = [{ first: 0, count: EXAMPLES }];
  readonly wanted: ExampleRange[] = [];
  readonly program: QuadraticProgram;
  readonly replica: Replica;
  /** Comes with every welcome, answer and center from now on. */
  assignment: Assignment;
  progress: ReplicaProgress | undefined;
  ending: Ending | undefined;
  /** Devices for replacement, and what was said of the loss. */
  readonly spares: QuadraticProgram[] = [];
  readonly losses: string[] = [];
  loseDevice: (sentence: string) => void;
  /** As agreed on. */
  vectors: VectorWire;

  constructor(
    changes: Partial<RunSettings> = {},
    { dutyCycle, name, parts = 1, model = TINY_MODEL, openPeer, codecs, held }: StageOptions = {},
  ) {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.loseDevice = resolve;
    this.program = new QuadraticProgram(model, EXAMPLES, parts);
    const { elements, hash } = this.program.plan.layout;
    const step = { model, layoutHash: hash, batch: BATCH, communicationPeriod: TAU, learningRate: 0.5 };
    const settings: RunSettings = { ...TINY_SETTINGS, ...step, ...changes };
    this.vectors = { elements, codecs: codecs ?? PLAIN_CODECS, fragments: settings.fragments };
    const { communicationPeriod, learningRate, momentum } = settings;
    this.assignment = { communicationPeriod, samples: settings.batch, learningRate, momentum, movingRate: 0.25 };
    this.replica = new Replica({
      settings,
      ...(dutyCycle === undefined ? {} : { dutyCycle }),
      ...(openPeer ? { openPeer } : {}),
      name,
      ...(held ? { held } : {}),
      device: this.#deviceOf(this.program, promise),
      clock: this.clock,
      random: new Random(3),
      connect: this.#connect,
      replaceDevice: async (sentence) => {
        this.losses.push(sentence);
        const program = this.spares.shift();
        if (!program) throw new Error("no other device");
        const lost = Promise.withResolvers<string>();
        this.loseDevice = lost.resolve;
        return this.#deviceOf(program, lost.promise);
      },
      onPhase: (phase, detail) => this.phases.push({ phase, detail }),
      onProgress: (progress) => (this.progress = progress),
    });
  }

  #deviceOf(program: QuadraticProgram, lost: Promise<string>): Device {
    return {
      backend: "wasm",
      description: "paper and pencil",
      samplesPerSecond: 5,
      program,
      lost,
      stepsPerLook: 1,
      loaded: this.loaded,
      load: (wanted) => this.wanted.push(...wanted),
    };
  }

  readonly #connect: ConnectLink = (events) => {
    const pair = new SocketPair(events, (bytes) => this.#isProfile(bytes));
    this.pairs.push(pair);
    return pair.near;
  };

  #isProfile(bytes: Uint8Array): boolean {
    const message = readFromReplica(bytes, this.vectors);
    if ("refusal" in message || message.kind !== "profile") return false;
    this.profiles.push(message.header);
    return true;
  }

  /** The newest connection. */
  get pair(): SocketPair {
    return this.pairs.at(-1)!;
  }

  get phase(): Phase | undefined {
    return this.phases.at(-1)?.phase;
  }

  async begin(): Promise<void> {
    void this.replica.run().then((ending) => (this.ending = ending));
    await settled();
  }

  /** Runs the replica up to its hello, answers it, and leaves it before its first local step. */
  async join(center = filled(0), header: Partial<Header<"welcome">> = {}): Promise<Got<"hello">> {
    await this.begin();
    return this.welcome(center, header);
  }

  async welcome(center: Float32Array | undefined, header: Partial<Header<"welcome">> = {}): Promise<Got<"hello">> {
    this.pair.open();
    const hello = this.receive("hello");
    await this.say("welcome", { ...this.welcomeHeader, ...header }, center);
    return hello;
  }

  get welcomeHeader(): Header<"welcome"> {
    const { assignment } = this;
    const { codecs } = this.vectors;
    return {
      replica: "r1",
      token: "t1",
      incarnation: 1,
      version: 10,
      resumed: false,
      lastExchange: 0,
      assignment,
      ...(codecs === PLAIN_CODECS ? {} : { codecs }),
    };
  }

  answerHeader(exchange: number): Header<"answer"> {
    const { assignment } = this;
    return { exchange, version: 10 + exchange, staleness: 2, pull: 0.25, repeated: false, assignment };
  }

  /** The next message of the replica; fails where there is none or another one. */
  receive<K extends FromReplica["kind"]>(kind: K): Got<K> {
    const bytes = this.pair.toFar.shift();
    if (!bytes) throw new Error(`expected ${kind}, and the replica said nothing`);
    const message = readFromReplica(bytes, this.vectors);
    if ("refusal" in message) throw new Error(`the replica sent what a coordinator refuses: ${message.refusal}`);
    if (message.kind !== kind) throw new Error(`expected ${kind}, and the replica said ${message.kind}`);
    return message as Got<K>;
  }

  expectSilence(): void {
    if (this.pair.toFar.length > 0) throw new Error("the replica said something");
  }

  /** Sends and delivers. */
  async say<N extends CoordinatorMessageName>(name: N, header: Header<N>, vector?: Payload): Promise<void> {
    this.send(name, header, vector);
    this.pair.deliverToNear();
    await settled();
  }

  /** Sends; the test delivers, drops or doubles it. */
  send<N extends CoordinatorMessageName>(name: N, header: Header<N>, vector?: Payload): void {
    const payload = vector ? [Uint8Array.from(bytesOf(vector))] : [];
    this.pair.far.send(encodeHead(TYPE[name], header, payload[0]?.byteLength ?? 0), ...payload);
  }

  async answer(exchange: number, center: Payload | undefined, header: Partial<Header<"answer">> = {}): Promise<void> {
    await this.say("answer", { ...this.answerHeader(exchange), ...header }, center);
  }

  /** Answers a pull. */
  async give(center: Payload, header: Partial<Header<"center">> = {}): Promise<void> {
    await this.say("center", { version: 30, incarnation: 1, assignment: this.assignment, ...header }, center);
  }

  async refuse(
    code: RefusalCode,
    center: Float32Array | undefined,
    header: Partial<Header<"refusal">> = {},
  ): Promise<void> {
    const { recovery, sentence } = ruleOf(code);
    await this.say("refusal", { code, sentence, recovery, version: 50, incarnation: 1, ...header }, center);
  }

  /** Lets the replica train until it has taken `steps` local steps in all. */
  async trainTo(steps: number, program = this.program): Promise<void> {
    for (let tries = 0; program.steps < steps; tries++) {
      if (tries > 100 + 2 * steps) throw new Error(`the replica does not train (${program.steps} of ${steps} steps)`);
      await this.turn();
    }
  }

  /** Trains up to the next push. */
  async nextPush(): Promise<Got<"push">> {
    for (let tries = 0; this.pair.toFar.length === 0; tries++) {
      if (tries > 20 * TAU) throw new Error("the replica does not push");
      await this.turn();
    }
    return this.receive("push");
  }

  /** Lets time pass until the replica has connected once more. */
  async reconnected(): Promise<void> {
    const before = this.pairs.length;
    for (let tries = 0; this.pairs.length === before; tries++) {
      if (tries > 2000) throw new Error("the replica does not come back");
      await this.clock.advance(50);
      await this.clock.letBreathe();
    }
  }

  /** The replica's numbers as they are now; it tells them four times a second. */
  async numbers(): Promise<ReplicaProgress> {
    await this.clock.advance(300);
    await this.turn();
    if (!this.progress) throw new Error("the replica told no numbers");
    return this.progress;
  }

  /** Lets what arrived take effect: the loop looks between two steps. */
  async turn(): Promise<void> {
    if (!(await this.clock.letBreathe())) await this.clock.advance(500, 500);
  }
}

export function spareProgram(parts = 1, model = TINY_MODEL): QuadraticProgram {
  return new QuadraticProgram(model, EXAMPLES, parts);
}

function bytesOf({ buffer, byteOffset, byteLength }: Payload): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

export function vectorIn(message: FromReplica): Float32Array<ArrayBuffer> {
  return new Float32Array(message.payload.slice().buffer);
}
