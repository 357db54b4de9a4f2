/**
 * HTTP: which address answers what. Pages and assets, data shards, published centers, the run's settings and public view as JSON, live
 * events, metrics and health. Only GET and HEAD, but for what the operator orders; a handler that fails answers 500 and the process lives.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { LIMITS } from "../../shared/wire/codes.ts";
import { EventStream } from "./event_stream.ts";
import { CenterFiles } from "./center_files.ts";
import { COMMON_HEADERS, IMMUTABLE } from "./headers.ts";
import { metricsText } from "./metrics_page.ts";
import { OPERATOR_PREFIX, OperatorRoutes, type OperatorPort } from "./operator_routes.ts";
import type { ServedRun } from "./served_run.ts";
import { JSON_TYPE, sendText } from "./send_text.ts";
import { sendFile, type ServedFile } from "./served_file.ts";
import { ViewTexts } from "./view_texts.ts";

/** A piece of the data set; `Shard` of the data folder is one. */
export interface ServedShard {
  /** Relative to the coordinator's address, named by content. */
  readonly path: string;
  readonly parts: readonly Uint8Array[];
}

/** The answers to the entrance exam for one number of parts of the batch. */
export interface ServedAnswers {
  /** Relative to the coordinator's address, named by what they answer. */
  readonly path: string;
  /** Undefined until they are computed. */
  readonly bytes: Uint8Array | undefined;
  /** True where they could not be computed. */
  readonly hasFailed: boolean;
  /** Begins computing them, where that has not begun. */
  begin(): Promise<void>;
}

export interface RoutesOptions {
  readonly run: ServedRun;
  readonly clientFiles: ReadonlyMap<string, ServedFile>;
  readonly shards: readonly ServedShard[];
  readonly exam?: readonly ServedAnswers[] | undefined;
  readonly checkpointAgeSeconds: () => number | null;
  /** Without one nobody may control the run. */
  readonly operator?: OperatorPort | undefined;
  readonly onFailure: (error: unknown) => void;
}

/** A page of every replica, and some that look on. */
const MOST_READERS = LIMITS.replicas + 256;

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export class Routes {
  readonly #options: RoutesOptions;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #shards: ReadonlyMap<string, ServedFile>;
  readonly #centers: CenterFiles;
  readonly #views: ViewTexts;
  readonly #events: EventStream;
  readonly #operator: OperatorRoutes | undefined;

  constructor(options: RoutesOptions) {
    this.#options = options;
    const { exam = [], run, operator } = options;
    this.#views = new ViewTexts(() => run.view());
    this.#events = new EventStream(this.#views.public, MOST_READERS);
    this.#operator = operator && new OperatorRoutes(operator, this.#views.operator);
    this.#centers = new CenterFiles({
      incarnation: run.incarnation,
      elements: run.elements,
      centers: run.stream,
      isOver: () => run.isOver,
    });
    this.#shards = new Map(options.shards.map((shard) => [`/${shard.path}`, shardFile(shard)]));
    this.#handlers = new Map<string, Handler>([
      ["/api/run", (_, response) => sendText(response, 200, JSON.stringify(options.run.settings), JSON_TYPE)],
      ["/api/view", (request, response) => this.#sendView(request, response)],
      ["/api/events", (request, response) => this.#streamEvents(request, response)],
      ["/metrics", (_, response) => this.#sendMetrics(response)],
      ...exam.map((answers) => [`/${answers.path}`, answersHandler(answers)] as const),
      ["/healthz", (_, response) => sendText(response, 200, "ok\n")],
    ]);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      for (const [name, value] of Object.entries(COMMON_HEADERS)) response.setHeader(name, value!);
      await this.#route(request, response);
    } catch (error) {
      this.#options.onFailure(error);
      if (response.headersSent) response.destroy();
      else sendText(response, 500, "The coordinator failed; it says why in its log.\n");
    }
  }

  close(): void {
    // The last events say how the run ended.
    this.#views.forget();
    this.#events.close();
    this.#operator?.close();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Exact addresses only: nothing is looked up on disk, so there is no path to escape from.
    const [address = "/"] = (request.url ?? "/").split("?", 1);
    if (this.#operator && address.startsWith(OPERATOR_PREFIX)) {
      return this.#operator.handle(address.slice(OPERATOR_PREFIX.length), request, response);
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      return sendText(response, 405, "Only GET and HEAD are answered here.\n");
    }
    const handler = this.#handlers.get(address);
    if (handler) return handler(request, response);
    const file = this.#shards.get(address) ?? this.#options.clientFiles.get(address);
    if (file) return sendFile(request, response, file);
    if (await this.#centers.handle(address, request, response)) return;
    sendText(response, 404, "There is nothing at this address; the run's page is at /.\n");
  }

  #streamEvents(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "HEAD") return sendText(response, 200, "", "text/event-stream; charset=utf-8");
    if (!this.#events.add(response, replicaIn(request))) {
      sendText(response, 503, "Too many live readers; ask /api/view instead.\n");
    }
  }

  #sendView(request: IncomingMessage, response: ServerResponse): void {
    sendText(response, 200, this.#views.public.text(true, replicaIn(request)), JSON_TYPE);
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    const { run, checkpointAgeSeconds } = this.#options;
    const { text, contentType } = await metricsText({ view: run.view(), checkpointAgeSeconds: checkpointAgeSeconds() });
    sendText(response, 200, text, contentType);
  }
}

/** Whose own part of the view is asked for. */
function replicaIn({ url = "" }: IncomingMessage): string | undefined {
  const [, query = ""] = url.split("?", 2);
  return new URLSearchParams(query).get("replica") ?? undefined;
}

function answersHandler(answers: ServedAnswers): Handler {
  return (request, response) => {
    void answers.begin();
    const { bytes, path } = answers;
    if (bytes) {
      const file = {
        contentType: "application/octet-stream",
        cacheControl: IMMUTABLE,
        etag: `"${path}"`,
        parts: [bytes],
      };
      return sendFile(request, response, file);
    }
    if (answers.hasFailed) {
      return sendText(response, 500, "The coordinator could not answer the entrance exam; it says why in its log.\n");
    }
    response.setHeader("Retry-After", "1");
    return sendText(response, 503, "The answers to the entrance exam are being computed; ask again.\n");
  };
}

function shardFile({ path, parts }: ServedShard): ServedFile {
  // The path is made of the content's hash, so it is the tag too.
  return { contentType: "application/octet-stream", cacheControl: IMMUTABLE, etag: `"${path}"`, parts };
}
