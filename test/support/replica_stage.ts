/**
 * A real replica on a stage where the test plays everybody else: the coordinator (message by message), the network (a
 * socket pair per connection), the clock and the device (a quadratic loss).
 */

import type { Phase, ReplicaProgress } from "../../client/messages.ts";
import type { ConnectLink } from "../../client/replica/connection.ts";
import type { Device } from "../../client/replica/local_training.ts";
import { Replica, type Ending } from "../../client/replica/replica.ts";
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
import { plainVectors } from "../../shared/wire/vectors.ts";
import { ruleOf, type RefusalCode } from "../../shared/wire/codes.ts";
import { HandClock, settled } from "./hand_clock.ts";
import { QuadraticProgram } from "./quadratic_program.ts";
import { TINY_LAYOUT, TINY_MODEL, TINY_SETTINGS } from "./tiny_run.ts";
import { SocketPair } from "./socket_pair.ts";

const ELEMENTS = TINY_LAYOUT.elements;
export const TAU = 3;
const BATCH = 4;
const EXAMPLES = 20;

export function filled(value: number): Float32Array<ArrayBuffer> {
  return new Float32Array(ELEMENTS).fill(value);
}

export interface StageOptions {
  readonly dutyCycle?: number;
  /** In which the device does the batch. */
  readonly parts?: number;
}

export type Got<K extends FromReplica["kind"]> = Extract<FromReplica, { kind: K }>;

export class ReplicaStage {
  readonly clock = new HandClock();
  readonly pairs: SocketPair[] = [];
  readonly phases: { readonly phase: Phase; readonly detail: string | undefined }[] = [];
  readonly program: QuadraticProgram;
  readonly replica: Replica;
  /** Comes with every welcome, answer and center from now on. */
  assignment: Assignment;
  progress: ReplicaProgress | undefined;
  ending: Ending | undefined;
  /** Devices for replacement, and what was said of the loss. */
  readonly spares: QuadraticProgram[] = [];
  readonly losses: string[] = [];
  readonly loseDevice: (sentence: string) => void;

  constructor(changes: Partial<RunSettings> = {}, { dutyCycle, parts = 1 }: StageOptions = {}) {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.loseDevice = resolve;
    this.program = new QuadraticProgram(TINY_MODEL, EXAMPLES, parts);
    const step = { batch: BATCH, communicationPeriod: TAU, learningRate: 0.5 };
    const settings: RunSettings = { ...TINY_SETTINGS, ...step, ...changes };
    const { communicationPeriod, learningRate, momentum } = settings;
    this.assignment = { communicationPeriod, samples: settings.batch, learningRate, momentum, movingRate: 0.25 };
    this.replica = new Replica({
      settings,
      ...(dutyCycle === undefined ? {} : { dutyCycle }),
      device: deviceOf(this.program, promise),
      clock: this.clock,
      random: new Random(3),
      connect: this.#connect,
      replaceDevice: async (sentence) => {
        this.losses.push(sentence);
        const program = this.spares.shift();
        if (!program) throw new Error("no other device");
        return deviceOf(program, new Promise(() => {}));
      },
      onPhase: (phase, detail) => this.phases.push({ phase, detail }),
      onProgress: (progress) => (this.progress = progress),
    });
  }

  readonly #connect: ConnectLink = (events) => {
    const pair = new SocketPair(events);
    this.pairs.push(pair);
    return pair.near;
  };

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
    return { replica: "r1", token: "t1", incarnation: 1, version: 10, resumed: false, lastExchange: 0, assignment };
  }

  answerHeader(exchange: number): Header<"answer"> {
    const { assignment } = this;
    return { exchange, version: 10 + exchange, staleness: 2, pull: 0.25, repeated: false, assignment };
  }

  /** The next message of the replica; fails where there is none or another one. */
  receive<K extends FromReplica["kind"]>(kind: K): Got<K> {
    const bytes = this.pair.toFar.shift();
    if (!bytes) throw new Error(`expected ${kind}, and the replica said nothing`);
    const message = readFromReplica(bytes, plainVectors(ELEMENTS));
    if ("refusal" in message) throw new Error(`the replica sent what a coordinator refuses: ${message.refusal}`);
    if (message.kind !== kind) throw new Error(`expected ${kind}, and the replica said ${message.kind}`);
    return message as Got<K>;
  }

  expectSilence(): void {
    if (this.pair.toFar.length > 0) throw new Error("the replica said something");
  }

  /** Sends and delivers. */
  async say<N extends CoordinatorMessageName>(name: N, header: Header<N>, vector?: Float32Array): Promise<void> {
    this.send(name, header, vector);
    this.pair.deliverToNear();
    await settled();
  }

  /** Sends; the test delivers, drops or doubles it. */
  send<N extends CoordinatorMessageName>(name: N, header: Header<N>, vector?: Float32Array): void {
    const payload = vector ? [new Uint8Array(vector.slice().buffer)] : [];
    this.pair.far.send(encodeHead(TYPE[name], header, payload[0]?.byteLength ?? 0), ...payload);
  }

  async answer(
    exchange: number,
    center: Float32Array | undefined,
    header: Partial<Header<"answer">> = {},
  ): Promise<void> {
    await this.say("answer", { ...this.answerHeader(exchange), ...header }, center);
  }

  /** Answers a pull. */
  async give(center: Float32Array, header: Partial<Header<"center">> = {}): Promise<void> {
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

export function spareProgram(parts = 1): QuadraticProgram {
  return new QuadraticProgram(TINY_MODEL, EXAMPLES, parts);
}

export function vectorIn(message: FromReplica): Float32Array<ArrayBuffer> {
  return new Float32Array(message.payload.slice().buffer);
}

function deviceOf(program: QuadraticProgram, lost: Promise<string>): Device {
  return {
    backend: "wasm",
    description: "paper and pencil",
    samplesPerSecond: 5,
    program,
    lost,
    stepsPerLook: 1,
    loaded: [{ first: 0, count: EXAMPLES }],
  };
}
