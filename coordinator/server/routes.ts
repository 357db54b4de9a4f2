/**
 * HTTP: which address answers what. Pages and assets, data shards, published centers, the run's settings and view as JSON, live
 * events, metrics and health. Only GET and HEAD; a handler that fails answers 500 and the process lives.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { EventStream } from "./event_stream.ts";
import { CenterFiles } from "./center_files.ts";
import { COMMON_HEADERS, IMMUTABLE } from "./headers.ts";
import { metricsText } from "./metrics_page.ts";
import type { ServedRun } from "./served_run.ts";
import { JSON_TYPE, sendText } from "./send_text.ts";
import { sendFile, type ServedFile } from "./served_file.ts";

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
  readonly onFailure: (error: unknown) => void;
}

/** How old a view may be: however many ask, it is made at most ten times a second. */
const VIEW_KEPT_MS = 100;

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export class Routes {
  readonly #options: RoutesOptions;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #shards: ReadonlyMap<string, ServedFile>;
  readonly #centers: CenterFiles;
  readonly #events = new EventStream(() => this.#viewText());
  #view = { text: "", atMs: Number.NEGATIVE_INFINITY };

  constructor(options: RoutesOptions) {
    this.#options = options;
    const { exam = [], run } = options;
    this.#centers = new CenterFiles({
      incarnation: run.incarnation,
      elements: run.elements,
      centers: run.stream,
      isOver: () => run.isOver,
    });
    this.#shards = new Map(options.shards.map((shard) => [`/${shard.path}`, shardFile(shard)]));
    this.#handlers = new Map<string, Handler>([
      ["/api/run", (_, response) => sendText(response, 200, JSON.stringify(options.run.settings), JSON_TYPE)],
      ["/api/view", (_, response) => sendText(response, 200, this.#viewText(), JSON_TYPE)],
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
    this.#view = { text: "", atMs: Number.NEGATIVE_INFINITY };
    this.#events.close();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      return sendText(response, 405, "Only GET and HEAD are answered here.\n");
    }
    // Exact addresses only: nothing is looked up on disk, so there is no path to escape from.
    const [address = "/"] = (request.url ?? "/").split("?", 1);
    const handler = this.#handlers.get(address);
    if (handler) return handler(request, response);
    const file = this.#shards.get(address) ?? this.#options.clientFiles.get(address);
    if (file) return sendFile(request, response, file);
    if (await this.#centers.handle(address, request, response)) return;
    sendText(response, 404, "There is nothing at this address; the run's page is at /.\n");
  }

  #streamEvents(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "HEAD") return sendText(response, 200, "", "text/event-stream; charset=utf-8");
    if (!this.#events.add(response)) sendText(response, 503, "Too many live readers; ask /api/view instead.\n");
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    const { run, checkpointAgeSeconds } = this.#options;
    const { text, contentType } = await metricsText({ view: run.view(), checkpointAgeSeconds: checkpointAgeSeconds() });
    sendText(response, 200, text, contentType);
  }

  #viewText(): string {
    const nowMs = performance.now();
    if (nowMs - this.#view.atMs > VIEW_KEPT_MS)
      this.#view = { text: JSON.stringify(this.#options.run.view()), atMs: nowMs };
    return this.#view.text;
  }
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
