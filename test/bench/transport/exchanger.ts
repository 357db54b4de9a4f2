/**
 * Drove's own exchange from a program's vector to the answer's: the replica's `Connection` over the links that a volunteer in Node
 * has, and a coordinator in a process of its own. What a replica does beside (steps, encoding, moving by the answer) is left out.
 */

import { Connection, type ConnectionEvent } from "../../../client/replica/connection.ts";
import { Coordinator } from "../../../client/node/coordinator.ts";
import { loadPeers } from "../../../client/node/node_peer.ts";
import { connectBySocket } from "../../../client/node/socket_link.ts";
import { Random } from "../../../shared/random.ts";
import { encodedBytes, type CodecName } from "../../../shared/wire/codec/codec.ts";
import { encode } from "../../../shared/wire/codec/naive.ts";
import type { CoordinatorTask } from "./coordinator.ts";
import type { Party } from "./party.ts";
import { ServerProcess } from "./server_process.ts";
import type { Size } from "./sizes.ts";

export type Path = "websocket" | "webrtc";

const JOIN_LIMIT_MS = 20_000;
const TICK_MS = 50;
/** Encoded once and repeated: plain code takes seconds for a large center. A whole number of blocks. */
const PIECE_ELEMENTS = 8192;

/** Bytes of payloads, and the exchanges that carried them. */
interface Sent {
  bytesUp: number;
  bytesDown: number;
  exchanges: number;
}

export interface Exchanger extends Party {
  readonly sent: Readonly<Sent>;
}

/** A replica whose exchanges go by `path`, and a coordinator of its own. */
export async function exchangerFor(
  size: Size,
  codec: CodecName,
  path: Path,
  vector: Float32Array<ArrayBuffer>,
): Promise<Exchanger> {
  const task: CoordinatorTask = { size: size.name, codec };
  const server = await ServerProcess.start(new URL("coordinator.ts", import.meta.url), task);
  const replica = new BareReplica(await travelBy(path, server.url), size, codec, vector);
  await replica.join(path);
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

type Ways = Pick<ConstructorParameters<typeof Connection>[0], "connect" | "travel">;

async function travelBy(path: Path, url: string): Promise<Ways> {
  const connect = connectBySocket(new Coordinator(new URL(url), undefined));
  if (path === "websocket") return { connect };
  return { connect, travel: { wish: "webrtc", lossy: false, iceServers: [], openPeer: await loadPeers() } };
}

class BareReplica {
  readonly sent: Sent = { bytesUp: 0, bytesDown: 0, exchanges: 0 };
  readonly #connection: Connection;
  readonly #vector: Float32Array<ArrayBuffer>;
  /** As it goes out; of f32 it is filled from the program's vector at every push. */
  readonly #payload: Uint8Array<ArrayBuffer>;
  readonly #isCopied: boolean;
  readonly #ticker: NodeJS.Timeout;
  #base = { version: 0, incarnation: 0 };
  #exchange = 0;
  #settle: (event: ConnectionEvent) => void = () => {};

  constructor(ways: Ways, { layout }: Size, codec: CodecName, vector: Float32Array<ArrayBuffer>) {
    this.#vector = vector;
    this.#isCopied = codec === "f32";
    this.#payload = this.#isCopied ? new Uint8Array(vector.byteLength) : encodedInPieces(codec, vector);
    this.#connection = new Connection({
      ...ways,
      nowMs: () => performance.now(),
      random: new Random(1),
      elements: layout.elements,
      fragments: 1,
      introduction: () => ({ layoutHash: layout.hash, backend: "none", device: "benchmark", samplesPerSecond: 1 }),
      vitals: () => ({ samplesPerSecond: 1, steps: 0 }),
      onEvent: (event) => this.#settle(event),
    });
    this.#ticker = setInterval(() => this.#connection.tick(), TICK_MS);
  }

  /** Until exchanges go by `path`. */
  async join(path: Path): Promise<void> {
    const untilMs = performance.now() + JOIN_LIMIT_MS;
    const welcomed = this.#next();
    this.#connection.open();
    const event = await welcomed;
    if (event.kind !== "welcomed") throw new Error(`No welcome: ${JSON.stringify(event)}`);
    const { version, incarnation } = event.message.header;
    this.#base = { version, incarnation };
    while (this.#connection.route !== path) {
      if (performance.now() > untilMs) throw new Error(`Exchanges do not go by ${path}.`);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  async exchange(): Promise<void> {
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
      const found = `${JSON.stringify(header)} with ${payload.byteLength} bytes`;
      throw new Error(`Exchange ${this.#exchange} got the answer ${found}.`);
    }
    this.#base = { ...this.#base, version: header.version };
    this.sent.exchanges++;
    this.sent.bytesUp += this.#payload.byteLength;
    this.sent.bytesDown += payload.byteLength;
  }

  leave(): void {
    clearInterval(this.#ticker);
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
  const end = payload.byteLength - encodedBytes(codec, rest);
  for (let at = 0; at < end; at += piece.byteLength) payload.set(piece, at);
  if (rest > 0) payload.set(encode(codec, vector.subarray(0, rest)), end);
  return payload;
}
