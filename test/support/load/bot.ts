/**
 * A replica without a device, for load: it speaks the protocol over a real WebSocket, sends heartbeats, and pushes an encoded
 * payload that was made before. What comes back passes the replica's own door; numbers and versions are checked here.
 */

import { WebSocket } from "ws";
import { CODEC_NAMES } from "../../../shared/wire/codec/codec.ts";
import { LIMITS } from "../../../shared/wire/codes.ts";
import { encodeHead, frameIn, lengthOf } from "../../../shared/wire/frame.ts";
import {
  readFromCoordinator,
  TYPE,
  type FromCoordinator,
  type Header,
  type ReplicaMessageName,
} from "../../../shared/wire/messages.ts";
import { plainVectors, PLAIN_CODECS, type VectorWire } from "../../../shared/wire/vectors.ts";

export interface BotOptions {
  readonly socketUrl: string;
  readonly layoutHash: string;
  readonly elements: number;
  /** Of a push, by what the welcome agreed on. */
  readonly payloadFor: (vectors: VectorWire) => Uint8Array<ArrayBuffer>;
  /** Of every exchange that was answered, in milliseconds. */
  readonly onAnswer: (elapsedMs: number) => void;
  readonly onRefusal: (code: string) => void;
  /** Anything that should not happen. */
  readonly onProblem: (sentence: string) => void;
}

type Answer = Extract<FromCoordinator, { kind: "answer" }>;

const HEARTBEAT_MS = LIMITS.leaseMs / 3;
const SAMPLES = 64;

export class Bot {
  readonly #options: BotOptions;
  readonly #socket: WebSocket;
  #vectors: VectorWire;
  #payload: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #base = { version: 0, incarnation: 0 };
  #exchange = 0;
  #pushedMs: number | undefined;
  #welcomed = Promise.withResolvers<void>();
  #heartbeat: NodeJS.Timeout | undefined;
  #isLeaving = false;
  bytesUp = 0;
  bytesDown = 0;

  constructor(options: BotOptions) {
    this.#options = options;
    this.#vectors = plainVectors(options.elements);
    this.#socket = new WebSocket(options.socketUrl, { perMessageDeflate: false });
    this.#socket.binaryType = "fragments";
    this.#socket.on("message", (data) => this.#receive(data as Buffer[]));
    this.#socket.on("open", () => this.#sayHello());
    this.#socket.on("error", ({ message }) => options.onProblem(`A socket failed: ${message}`));
    this.#socket.on("close", (code) => this.#closed(code));
  }

  /** Whether an exchange is under way. */
  get isExchanging(): boolean {
    return this.#pushedMs !== undefined;
  }

  get codecs(): VectorWire["codecs"] {
    return this.#vectors.codecs;
  }

  /** Resolves with the welcome. */
  welcomed(): Promise<void> {
    return this.#welcomed.promise;
  }

  push(): void {
    this.#pushedMs = performance.now();
    const header: Header<"push"> = {
      exchange: ++this.#exchange,
      incarnation: this.#base.incarnation,
      baseVersion: this.#base.version,
      content: "parameters",
      steps: 1,
      samples: SAMPLES,
      meanLoss: 1,
    };
    this.#send("push", header, this.#payload);
  }

  leave(): void {
    this.#isLeaving = true;
    clearInterval(this.#heartbeat);
    this.#socket.terminate();
  }

  #sayHello(): void {
    const { layoutHash } = this.#options;
    this.#send("hello", {
      layoutHash,
      backend: "none",
      device: "load",
      samplesPerSecond: SAMPLES,
      codecs: CODEC_NAMES,
    });
  }

  #receive(fragments: readonly Buffer[]): void {
    const frame = frameIn(fragments);
    this.bytesDown += lengthOf(frame);
    const message = readFromCoordinator(frame, this.#vectors);
    if ("refusal" in message)
      return this.#options.onProblem(`The coordinator sent what is refused ${message.refusal}.`);
    switch (message.kind) {
      case "welcome": {
        const { version, incarnation, codecs } = message.header;
        this.#base = { version, incarnation };
        this.#vectors = { ...this.#vectors, codecs: codecs ?? PLAIN_CODECS };
        this.#payload = this.#options.payloadFor(this.#vectors);
        this.#heartbeat = setInterval(
          () => this.#send("heartbeat", { samplesPerSecond: SAMPLES, steps: 1 }),
          HEARTBEAT_MS,
        );
        this.#welcomed.resolve();
        return;
      }
      case "answer":
        return this.#answered(message);
      case "refusal":
        this.#pushedMs = undefined;
        this.#base = { ...this.#base, version: message.header.version };
        return this.#options.onRefusal(message.header.code);
      default:
        return this.#options.onProblem(`A ${message.kind} came unasked.`);
    }
  }

  #answered({ header, payload }: Answer): void {
    const { onProblem, onAnswer } = this.#options;
    const pushedMs = this.#pushedMs;
    this.#pushedMs = undefined;
    if (pushedMs === undefined || header.exchange !== this.#exchange) {
      return onProblem(`An answer to exchange ${header.exchange} came instead of ${this.#exchange}.`);
    }
    if (header.repeated) return onProblem(`Exchange ${header.exchange} was taken for a retry.`);
    if (header.version < this.#base.version)
      return onProblem(`Version ${header.version} came after ${this.#base.version}.`);
    if (payload.byteLength === 0 && header.version !== this.#base.version)
      return onProblem("An answer came without a center.");
    this.#base = { ...this.#base, version: header.version };
    onAnswer(performance.now() - pushedMs);
  }

  #send<N extends ReplicaMessageName>(name: N, header: Header<N>, payload?: Uint8Array<ArrayBuffer>): void {
    const head = encodeHead(TYPE[name], header, payload?.byteLength ?? 0);
    this.bytesUp += head.byteLength + (payload?.byteLength ?? 0);
    this.#socket.send(head, { binary: true, fin: payload === undefined });
    if (payload) this.#socket.send(payload, { binary: true, fin: true });
  }

  #closed(code: number): void {
    clearInterval(this.#heartbeat);
    if (this.#isLeaving) return;
    this.#options.onProblem(`A connection was closed with ${code}.`);
    this.#welcomed.reject(new Error(`closed with ${code} before the welcome`));
  }
}
