/**
 * Drove's own exchange from a program's vector to the answer's: the replica's `Connection` over the link that a volunteer in Node
 * has, and a coordinator in a process of its own. What a replica does beside (steps, and moving by the answer) is left out.
 */

import { Connection, type ConnectionEvent } from "../../../client/replica/connection.ts";
import { Coordinator } from "../../../client/node/coordinator.ts";
import { connectBySocket } from "../../../client/node/socket_link.ts";
import { Random } from "../../../shared/random.ts";
import { encodedBytes, type CodecName } from "../../../shared/wire/codec/codec.ts";
import { encode } from "../../../shared/wire/codec/naive.ts";
import type { CoordinatorTask } from "./coordinator.ts";
import type { Party } from "./party.ts";
import { ServerProcess } from "./server_process.ts";
import type { Size } from "./sizes.ts";

const WELCOME_LIMIT_MS = 30_000;
/** Encoded once and repeated: plain code takes seconds for a large center. A whole number of blocks. */
const PIECE_ELEMENTS = 8192;

export interface Exchanger extends Party {
  /** Payloads up and down so far, and exchanges. */
  readonly sent: { bytesUp: number; bytesDown: number; exchanges: number };
}

export async function exchanger(size: Size, codec: CodecName, vector: Float32Array<ArrayBuffer>): Promise<Exchanger> {
  const task: CoordinatorTask = { size: size.name, codec };
  const server = await ServerProcess.start(new URL("coordinator.ts", import.meta.url), task);
  const replica = new BareReplica(server.url, size, codec, vector);
  await replica.join();
  return {
    server,
    sent: replica.sent,
    exchange: () => replica.exchange(),
    close: async () => {
      replica.leave();
      await server.stop();
    },
  };
}

class BareReplica {
  readonly sent = { bytesUp: 0, bytesDown: 0, exchanges: 0 };
  readonly #connection: Connection;
  readonly #vector: Float32Array<ArrayBuffer>;
  /** As it goes out; of f32 it is filled from the program's vector at every push. */
  readonly #payload: Uint8Array<ArrayBuffer>;
  readonly #isCopied: boolean;
  #base = { version: 0, incarnation: 0 };
  #exchange = 0;
  #settle: (event: ConnectionEvent) => void = () => {};

  constructor(url: string, { layout }: Size, codec: CodecName, vector: Float32Array<ArrayBuffer>) {
    this.#vector = vector;
    this.#isCopied = codec === "f32";
    this.#payload = this.#isCopied ? new Uint8Array(vector.byteLength) : encodedInPieces(codec, vector);
    this.#connection = new Connection({
      connect: connectBySocket(new Coordinator(new URL(url), undefined)),
      nowMs: () => performance.now(),
      random: new Random(1),
      elements: layout.elements,
      fragments: 1,
      introduction: () => ({ layoutHash: layout.hash, backend: "none", device: "benchmark", samplesPerSecond: 1 }),
      vitals: () => ({ samplesPerSecond: 1, steps: 0 }),
      onEvent: (event) => this.#settle(event),
    });
  }

  async join(): Promise<void> {
    const welcomed = this.#next();
    this.#connection.open();
    const limit = setTimeout(() => this.#connection.renew("no welcome came"), WELCOME_LIMIT_MS);
    const event = await welcomed;
    clearTimeout(limit);
    if (event.kind !== "welcomed") throw new Error(`No welcome: ${JSON.stringify(event)}`);
    const { version, incarnation } = event.message.header;
    this.#base = { version, incarnation };
  }

  async exchange(): Promise<void> {
    this.#connection.tick();
    if (this.#isCopied) new Float32Array(this.#payload.buffer).set(this.#vector);
    const answered = this.#next();
    this.#connection.push(
      {
        exchange: ++this.#exchange,
        incarnation: this.#base.incarnation,
        baseVersion: this.#base.version,
        content: "parameters",
        steps: 1,
        samples: 1,
        meanLoss: 0,
      },
      this.#payload,
    );
    const event = await answered;
    if (event.kind !== "received" || event.message.kind !== "answer") {
      const said = event.kind === "received" ? event.message.header : event;
      throw new Error(`Exchange ${this.#exchange} was not answered: ${JSON.stringify(said)}`);
    }
    const { header, payload } = event.message;
    if (header.exchange !== this.#exchange || payload.byteLength === 0) {
      throw new Error(
        `Exchange ${this.#exchange} got the answer ${JSON.stringify(header)} with ${payload.byteLength} bytes.`,
      );
    }
    this.#base = { ...this.#base, version: header.version };
    this.sent.exchanges++;
    this.sent.bytesUp += this.#payload.byteLength;
    this.sent.bytesDown += payload.byteLength;
  }

  leave(): void {
    this.#connection.leave();
  }

  #next(): Promise<ConnectionEvent> {
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }
}

function encodedInPieces(codec: CodecName, vector: Float32Array): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(encodedBytes(codec, vector.length));
  const piece = encode(codec, vector.subarray(0, PIECE_ELEMENTS));
  const rest = vector.length % PIECE_ELEMENTS;
  const restBytes = encodedBytes(codec, rest);
  for (let at = 0; at + piece.byteLength <= payload.byteLength - restBytes; at += piece.byteLength)
    payload.set(piece, at);
  if (rest > 0) payload.set(encode(codec, vector.subarray(0, rest)), payload.byteLength - restBytes);
  return payload;
}
