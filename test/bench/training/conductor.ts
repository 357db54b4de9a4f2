/**
 * The server that contestants belong to: hands out data, and speaks with each over its WebSocket, one question at a time.
 * Every question has a limit; a contestant that does not answer in time, or fails, is a sentence from then on.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer, type WebSocket } from "ws";
import type { FromContestant, JobData, ToContestant, ToPage } from "./job.ts";

/** Says in a sentence why a contestant gave no measurement. */
export class ContestantError extends Error {
  override readonly name = "ContestantError";
}

/** Serves what is not data: the page and its modules. */
type Fallback = (request: IncomingMessage, response: ServerResponse) => void;

const CONNECT_LIMIT_MS = 60_000;

export class Conductor {
  readonly url: URL;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #data = new Map<string, Uint8Array>();
  readonly #arrivals = new Map<string, PromiseWithResolvers<WebSocket>>();
  readonly #failures = new Map<number, PromiseWithResolvers<never>>();

  private constructor(server: Server) {
    this.#server = server;
    this.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    this.#sockets = new WebSocketServer({ server, perMessageDeflate: false });
    this.#sockets.on("connection", (socket, request) => this.#arrived(socket, request.url ?? "/"));
  }

  static async open(fallback?: Fallback): Promise<Conductor> {
    let conductor: Conductor | undefined;
    const server = createServer((request, response) => {
      if (conductor?.answerData(request, response)) return;
      if (fallback) fallback(request, response);
      else response.writeHead(404).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    conductor = new Conductor(server);
    return conductor;
  }

  /** What contestants fetch for a workload. */
  setData(workload: string, { images, labels, parameters }: JobData): void {
    this.#data.set(`/data/${workload}/images`, images);
    this.#data.set(`/data/${workload}/labels`, labels);
    this.#data.set(`/data/${workload}/parameters`, new Uint8Array(parameters.buffer));
  }

  answerData({ url }: IncomingMessage, response: ServerResponse): boolean {
    const bytes = this.#data.get(url ?? "");
    if (bytes) response.writeHead(200, { "Content-Type": "application/octet-stream" }).end(bytes);
    return bytes !== undefined;
  }

  /** The page that starts workers, once it is there. */
  page(): Promise<WebSocket> {
    return this.#arrival("/page").promise;
  }

  tell(page: WebSocket, message: ToPage): void {
    page.send(JSON.stringify(message));
  }

  /** A contestant that could not even start, as the page or its process says. */
  fail(id: number, sentence: string): void {
    this.#failure(id).reject(new ContestantError(sentence));
  }

  /** The line to contestant `id`, once it is there. */
  async line(id: number): Promise<Line> {
    const failure = this.#failure(id).promise;
    const socket = await within(
      CONNECT_LIMIT_MS,
      Promise.race([this.#arrival(`/contestant?id=${id}`).promise, failure]),
      "It did not start",
    );
    return new Line(socket, failure);
  }

  close(): void {
    this.#sockets.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #arrived(socket: WebSocket, url: string): void {
    this.#arrival(url).resolve(socket);
    if (url !== "/page") return;
    socket.on("message", (data: Buffer) => {
      const { id, sentence } = JSON.parse(data.toString()) as { id: number; sentence: string };
      this.fail(id, sentence);
    });
  }

  #arrival(url: string): PromiseWithResolvers<WebSocket> {
    const arrival = this.#arrivals.get(url) ?? Promise.withResolvers<WebSocket>();
    this.#arrivals.set(url, arrival);
    return arrival;
  }

  #failure(id: number): PromiseWithResolvers<never> {
    const failure = this.#failures.get(id) ?? Promise.withResolvers<never>();
    // Nobody may be listening.
    failure.promise.catch(() => {});
    this.#failures.set(id, failure);
    return failure;
  }
}

export class Line {
  readonly #socket: WebSocket;
  readonly #failure: Promise<never>;

  constructor(socket: WebSocket, failure: Promise<never>) {
    this.#socket = socket;
    this.#failure = failure;
  }

  /** Rejects with a `ContestantError` where the answer is a failure or does not come in time. */
  async ask<Kind extends FromContestant["kind"]>(
    message: ToContestant,
    expected: Kind,
    limitMs: number,
  ): Promise<Extract<FromContestant, { kind: Kind }>> {
    const reply = once(this.#socket, "message").then(([data]) => JSON.parse(String(data)) as FromContestant);
    const closed = once(this.#socket, "close").then((): never => {
      throw new ContestantError("It ended without a word (its process or its device may have crashed).");
    });
    closed.catch(() => {});
    this.#socket.send(JSON.stringify(message));
    const what = message.kind === "prepare" ? "It was not ready" : "It was not done with its step";
    const answer = await within(limitMs, Promise.race([reply, closed, this.#failure]), what);
    if (answer.kind === "failed") throw new ContestantError(answer.sentence);
    if (answer.kind !== expected) throw new Error(`invariant violation: ${answer.kind} answered ${message.kind}`);
    return answer as Extract<FromContestant, { kind: Kind }>;
  }
}

async function within<T>(limitMs: number, promise: Promise<T>, what: string): Promise<T> {
  const abort = new AbortController();
  const late = sleep(limitMs, undefined, { signal: abort.signal }).then((): never => {
    throw new ContestantError(`${what} within ${Math.round(limitMs / 1000)} s.`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
