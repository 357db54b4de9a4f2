/**
 * Drove's own exchange from a program's vector to the answer's: the replica's `Connection` over the links that a volunteer in Node
 * has, and a coordinator in a process of its own. What a replica does beside (steps, encoding, moving by the answer) is left out.
 */

import { Connection, type ConnectionEvent } from "../../../client/replica/connection.ts";
import { Coordinator } from "../../../client/node/coordinator.ts";
import { nodePeers } from "../../../client/node/node_peer.ts";
import { connectBySocket } from "../../../client/node/socket_link.ts";
import { Exchange, type InFlight, type Work } from "../../../client/replica/exchange.ts";
import { Random } from "../../../shared/random.ts";
import { encodedBytes, type CodecName } from "../../../shared/wire/codec/codec.ts";
import { encode } from "../../../shared/wire/codec/naive.ts";
import type { FromCoordinator } from "../../../shared/wire/messages.ts";
import type { CoordinatorTask } from "./coordinator.ts";
import type { Party } from "./party.ts";
import { ServerProcess } from "./server_process.ts";
import type { Size } from "./sizes.ts";

export type Path = "websocket" | "webrtc";

const ROUTE_LIMIT_MS = 30_000;
const TICK_MS = 50;
const WORK: Work = { steps: 1, samples: 1, lossSum: 0 };
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
  const replica = new BareReplica(await travelBy(path, server.url), path, size, codec, vector);
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

type Answer = Extract<FromCoordinator, { kind: "answer" }>;
type Ways = Pick<ConstructorParameters<typeof Connection>[0], "connect" | "travel">;

async function travelBy(path: Path, url: string): Promise<Ways> {
  const connect = connectBySocket(new Coordinator(new URL(url), undefined));
  if (path === "websocket") return { connect };
  return { connect, travel: { wish: "webrtc", lossy: false, iceServers: [], openPeer: nodePeers(console.error) } };
}

/** As much of a replica as an exchange takes. */
class BareReplica {
  readonly sent: Sent = { bytesUp: 0, bytesDown: 0, exchanges: 0 };
  readonly #connection: Connection;
  readonly #exchange: Exchange;
  readonly #path: Path;
  readonly #codec: CodecName;
  /** As a program hands it out. */
  readonly #payload: Uint8Array<ArrayBuffer>;
  readonly #ticker: NodeJS.Timeout;
  #settle: (event: ConnectionEvent) => void = () => {};

  constructor(ways: Ways, path: Path, { layout }: Size, codec: CodecName, vector: Float32Array<ArrayBuffer>) {
    this.#path = path;
    this.#codec = codec;
    this.#payload = codec === "f32" ? new Uint8Array(vector.buffer) : encodedInPieces(codec, vector);
    this.#exchange = new Exchange(layout.elements, 1);
    this.#connection = new Connection({
      ...ways,
      nowMs: () => performance.now(),
      random: new Random(1),
      elements: layout.elements,
      fragments: 1,
      introduction: () => ({ layoutHash: layout.hash, backend: "none", device: "benchmark", samplesPerSecond: 1 }),
      vitals: () => ({ samplesPerSecond: 1, steps: 0 }),
      profile: () => ({ isHidden: false, dutyCycle: 1 }),
      onEvent: (event) => this.#settle(event),
    });
    this.#ticker = setInterval(() => this.#connection.tick(), TICK_MS);
  }

  async join(): Promise<void> {
    const welcomed = this.#next();
    this.#connection.open();
    const event = await welcomed;
    if (event.kind !== "welcomed") throw new Error(`No welcome: ${JSON.stringify(event)}`);
    const { version, incarnation, lastExchange } = event.message.header;
    this.#exchange.rejoin({ version, incarnation }, lastExchange);
    await this.#routed();
  }

  async exchange(): Promise<void> {
    const cargo = { content: "parameters", codec: this.#codec, payload: this.#payload, work: WORK } as const;
    const inFlight = this.#exchange.begin(cargo, this.#connection.bufferedBytes > 0);
    const { header, payload } = await this.#answerTo(inFlight);
    if (this.#exchange.settle(header.exchange) !== inFlight || payload.byteLength === 0) {
      const found = `${JSON.stringify(header)} with ${payload.byteLength} bytes`;
      throw new Error(`Exchange ${inFlight.header.exchange} got the answer ${found}.`);
    }
    this.#exchange.rebaseFragment(inFlight, header.version);
    this.sent.exchanges++;
    this.sent.bytesUp += inFlight.payload.byteLength;
    this.sent.bytesDown += payload.byteLength;
  }

  leave(): void {
    clearInterval(this.#ticker);
    this.#connection.leave();
  }

  async #answerTo(inFlight: InFlight): Promise<Answer> {
    const { header, payload } = inFlight;
    const answered = this.#next();
    this.#connection.push(header, payload);
    const event = await answered;
    if (event.kind === "received" && event.message.kind === "answer") return event.message;
    if (event.kind !== "rerouted") {
      const said = event.kind === "received" ? event.message.header : event;
      throw new Error(`Exchange ${header.exchange} was not answered: ${JSON.stringify(said)}`);
    }
    // A machine that is busy with other things for seconds makes a channel seem dead.
    await this.#routed();
    return this.#answerTo(inFlight);
  }

  /** Until exchanges go by the path that is to be measured. */
  async #routed(): Promise<void> {
    const untilMs = performance.now() + ROUTE_LIMIT_MS;
    while (this.#connection.route !== this.#path) {
      if (performance.now() > untilMs) throw new Error(`Exchanges do not go by ${this.#path}.`);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
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
