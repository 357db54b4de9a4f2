/**
 * The WebSocket end of the server, at `/ws`: who may connect, how long a message may be, and a guard around everything
 * that a peer can cause, so that no bytes end the process (SPEC L1, L2). Each message goes to the run's session.
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { LIMITS } from "../../shared/wire/codes.ts";
import { frameIn, longestFrameBytes, type FrameBytes } from "../../shared/wire/frame.ts";
import { isOwnPage, networkOf as networkOfAddress } from "./origin.ts";
import { Peers, type ChannelFaults } from "./peers.ts";
import type { ServedRun } from "./served_run.ts";
import { SocketLink } from "./socket_link.ts";

const SOCKET_PATH = "/ws";

/** A replica sends a frame as one message or as head and payload; browsers may cut each once more. */
const MAX_FRAGMENTS = 64;
/** More than the replicas that a run takes, so that the ones too many can be told `RUN_FULL`. */
const MAX_SOCKETS = LIMITS.replicas + 64;
/** From one address, beyond those that are told why they are refused. */
const MAX_REFUSED = 32;
/** How long a closed peer may take to say goodbye before its socket is cut. */
const CLOSE_TIMEOUT_MS = 5000;
/** Two answers: what a replica can have asked for without having read any of it. */
const QUEUED_FRAMES = 2;
/** How `ws` names a message beyond `maxPayload`, and every other breach of RFC 6455 (unmasked, bad opcode, …). */
const UNSUPPORTED_LENGTH = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";
const PROTOCOL_ERRORS = "WS_ERR_";

export interface SocketsOptions {
  readonly onFailure: (error: unknown) => void;
  /** Of data channels, for tests. */
  readonly channelFaults?: ChannelFaults | undefined;
  /** In place of the usual one, for tests, whose connections all come from this machine. */
  readonly networkOf?: ((address: string | undefined) => string | undefined) | undefined;
}

export class Sockets {
  readonly #run: ServedRun;
  readonly #server: WebSocketServer;
  readonly #peers: Peers;
  readonly #longestQueueBytes: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #networkOf: (address: string | undefined) => string | undefined;
  /** Open now, by the network that they come from: the only place where addresses are kept, and no longer than that. */
  readonly #byNetwork = new Map<string, number>();

  constructor(run: ServedRun, { onFailure, channelFaults: faults, networkOf = networkOfAddress }: SocketsOptions) {
    this.#run = run;
    this.#onFailure = onFailure;
    this.#networkOf = networkOf;
    this.#longestQueueBytes = QUEUED_FRAMES * longestFrameBytes(run.payloadBytes);
    this.#peers = new Peers({
      settings: run.settings,
      longestPayloadBytes: run.payloadBytes,
      longestQueueBytes: this.#longestQueueBytes,
      countRefusal: (code) => run.countRefusal(code),
      onFailure,
      faults,
    });
    const options = {
      noServer: true,
      perMessageDeflate: false,
      clientTracking: true,
      maxPayload: longestFrameBytes(run.payloadBytes),
      maxFragments: MAX_FRAGMENTS,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    this.#server = new WebSocketServer(options);
    this.#server.on("wsClientError", (_error, socket) =>
      refuseUpgrade(socket, 400, "The WebSocket request is malformed."),
    );
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const [address] = (request.url ?? "").split("?", 1);
    if (address !== SOCKET_PATH) return refuseUpgrade(socket, 404, `WebSockets are at ${SOCKET_PATH}.`);
    if (!isOwnPage(request)) return refuseUpgrade(socket, 403, "Only this coordinator's own pages may connect.");
    if (this.#server.clients.size >= MAX_SOCKETS)
      return refuseUpgrade(socket, 503, "Too many connections; try again later.");
    const network = this.#networkOf(request.socket.remoteAddress);
    if (network !== undefined && (this.#byNetwork.get(network) ?? 0) >= LIMITS.socketsPerAddress + MAX_REFUSED)
      return refuseUpgrade(socket, 429, "Too many connections come from this network address; try again later.");
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const isCrowded = network !== undefined && this.#count(network, webSocket) > LIMITS.socketsPerAddress;
      this.#connected(webSocket, isCrowded);
    });
  }

  /** Tells every peer that the coordinator goes away, and cuts those that do not answer. */
  close(): void {
    for (const socket of this.#server.clients) {
      socket.close(1001, "the coordinator stops");
      setTimeout(() => socket.terminate(), 1000).unref();
    }
    this.#server.close();
    this.#peers.close();
  }

  /** How many of this network there are now, this one included. */
  #count(network: string, socket: WebSocket): number {
    const change = (by: number): number => {
      const count = (this.#byNetwork.get(network) ?? 0) + by;
      if (count > 0) this.#byNetwork.set(network, count);
      else this.#byNetwork.delete(network);
      return count;
    };
    socket.on("close", () => change(-1));
    return change(1);
  }

  #connected(socket: WebSocket, isCrowded: boolean): void {
    const link = new SocketLink(socket, this.#longestQueueBytes);
    const session = this.#run.connect(link, this.#peers.pathFor);
    if (isCrowded) session.refuse("CROWDED");
    const guarded = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        this.#onFailure(error);
        socket.close(1011, "the coordinator failed");
      }
    };
    // A message as it was sent: joined, every push would be copied once more.
    socket.binaryType = "fragments";
    socket.on("message", (data) => guarded(() => session.receive(frameOf(data))));
    socket.on("ping", pingLimit(socket));
    // The socket closes itself after an error, with the close code that says what the peer did wrong.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === UNSUPPORTED_LENGTH) this.#run.countRefusal("FRAME_TOO_LONG");
      else if (error.code?.startsWith(PROTOCOL_ERRORS)) this.#run.countRefusal("NOT_A_FRAME");
    });
    socket.on("close", () => guarded(() => session.closed()));
  }
}

/** Not a Buffer, whose `slice` is a view where every other typed array's is a copy. */
function frameOf(data: RawData): FrameBytes {
  const fragments = Array.isArray(data) ? data : [data];
  return frameIn(
    fragments.map((fragment) =>
      fragment instanceof ArrayBuffer
        ? new Uint8Array(fragment)
        : new Uint8Array(fragment.buffer, fragment.byteOffset, fragment.byteLength),
    ),
  );
}

/** Protocol pings pass below the session's frame limit, so they have their own. */
function pingLimit(socket: WebSocket): () => void {
  let pings = 0;
  let sinceMs = 0;
  return () => {
    const nowMs = performance.now();
    if (nowMs - sinceMs > 1000) {
      pings = 0;
      sinceMs = nowMs;
    }
    if (++pings > LIMITS.frameBurst) socket.close(1008, "too many pings");
  };
}

function refuseUpgrade(socket: Duplex, status: number, sentence: string): void {
  const body = `${sentence}\n`;
  const head = `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n`;
  socket.once("finish", () => socket.destroy());
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
