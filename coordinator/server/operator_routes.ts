/**
 * The addresses below `/api/operator/`, for whoever has the run's token (SPEC O1): the whole view, once or live, what the operator
 * orders, the runs of the folder with their events, and exports. Nothing is told to anybody else, not even which of them exist.
 */

import { createReadStream } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { readOperatorRequest, type OperatorAnswer, type OperatorRequest } from "../../shared/operator.ts";
import type { RunSummary } from "../../shared/run_list.ts";
import type { ExportedFile } from "../export/formats.ts";
import { isSameToken } from "../operator/token.ts";
import { EventStream } from "./event_stream.ts";
import { NOT_KEPT } from "./headers.ts";
import { isOwnPage } from "./origin.ts";
import { bodyOf } from "./request_body.ts";
import { JSON_TYPE, sendText } from "./send_text.ts";
import type { LiveText } from "./view_texts.ts";

/** What an operator may do, as the coordinator offers it. */
export interface OperatorPort {
  readonly token: string;
  obey(request: OperatorRequest): Promise<Obeyed>;
  runs(): Promise<readonly RunSummary[]>;
  /** Where the events of a run lie, as far as they are written; undefined where there is no such run, or no events of it. */
  eventsOf(run: string): Promise<{ readonly path: string; readonly bytes: number } | undefined>;
  export(format: string): Promise<Exported>;
}

/** `done`, or a problem of one of two kinds: there is no such replica, or it does not go. */
export interface Obeyed {
  readonly status: 200 | 404 | 409;
  readonly answer: OperatorAnswer;
}

/** A problem is a sentence: there is no such format, or nothing to export. */
export type Exported =
  | { readonly status: 200; readonly file: ExportedFile }
  | { readonly status: 404 | 409; readonly problem: string };

export const OPERATOR_PREFIX = "/api/operator/";

const MOST_BODY_BYTES = 4096;
const MOST_READERS = 32;
const RUN_EVENTS = /^runs\/([^/]+)\/events$/;
const EXPORT = /^export\/([a-z]+)$/;

export class OperatorRoutes {
  readonly #port: OperatorPort;
  readonly #view: LiveText;
  readonly #events: EventStream;

  constructor(port: OperatorPort, view: LiveText) {
    this.#port = port;
    this.#view = view;
    this.#events = new EventStream(view, MOST_READERS);
  }

  close(): void {
    this.#events.close();
  }

  /** `path` is what follows the prefix. */
  async handle(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isOperator(request, this.#port.token)) {
      response.setHeader("WWW-Authenticate", 'Bearer realm="drove"');
      return sendText(
        response,
        401,
        "This is for the run's operator; open the link with the token that the coordinator printed when it started.\n",
      );
    }
    const wanted = path === "control" ? ["POST"] : ["GET", "HEAD"];
    if (!wanted.includes(request.method ?? "")) {
      response.setHeader("Allow", wanted.join(", "));
      return sendText(response, 405, `Only ${wanted.join(" and ")} is answered here.\n`);
    }
    return this.#route(path, request, response);
  }

  async #route(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (path) {
      case "view":
        return sendText(response, 200, this.#view.text(true), JSON_TYPE);
      case "events":
        return this.#stream(request, response);
      case "control":
        return this.#control(request, response);
      case "runs":
        return sendText(response, 200, JSON.stringify(await this.#port.runs()), JSON_TYPE);
      default: {
        const [, run] = RUN_EVENTS.exec(path) ?? [];
        if (run !== undefined) return this.#sendEvents(run, request, response);
        const [, format] = EXPORT.exec(path) ?? [];
        if (format !== undefined) return this.#sendExport(format, request, response);
        return sendText(response, 404, "There is nothing for operators at this address.\n");
      }
    }
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "HEAD") return sendText(response, 200, "", "text/event-stream; charset=utf-8");
    if (!this.#events.add(response)) sendText(response, 503, "Too many live readers; ask for the view instead.\n");
  }

  async #control(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, answer } = await this.#obey(request);
    // What was not read of a body that is too long must not be taken for the next request.
    if (status === 413) response.setHeader("Connection", "close");
    sendText(response, status, JSON.stringify(answer), JSON_TYPE);
  }

  async #obey(request: IncomingMessage): Promise<{ readonly status: number; readonly answer: OperatorAnswer }> {
    if (!isOwnPage(request)) return refused(403, "Only this coordinator's own pages may control the run.");
    if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
      return refused(415, "The request has another Content-Type than application/json; send JSON.");
    }
    const body = await bodyOf(request, MOST_BODY_BYTES);
    if (body === undefined) return refused(413, `The request is longer than ${MOST_BODY_BYTES} bytes.`);
    const value = parsed(body);
    if (value === undefined) return refused(400, 'The request is no JSON; accepted is such as {"kind": "pause"}.');
    const order = readOperatorRequest(value);
    return "problem" in order ? refused(400, order.problem) : this.#port.obey(order);
  }

  async #sendEvents(run: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const events = await this.#port.eventsOf(run);
    if (!events) return sendText(response, 404, "There is no run of this name here, or it has no event log.\n");
    const { path, bytes } = events;
    // Who follows a run that goes on asks for what it does not have yet.
    const start = startOf(request.headers.range);
    response.setHeader("Cache-Control", NOT_KEPT);
    if (start !== undefined && start >= bytes) {
      response.setHeader("Content-Range", `bytes */${bytes}`);
      return sendText(response, 416, "There are no events beyond those yet.\n");
    }
    if (start !== undefined) response.setHeader("Content-Range", `bytes ${start}-${bytes - 1}/${bytes}`);
    const from = start ?? 0;
    response.writeHead(start === undefined ? 200 : 206, {
      "Content-Type": "application/x-ndjson; charset=utf-8",
      "Content-Length": bytes - from,
    });
    if (request.method === "HEAD" || bytes === 0) {
      response.end();
      return;
    }
    // Whoever reads may go away in the middle.
    await pipeline(createReadStream(path, { start: from, end: bytes - 1 }), response).catch(() => response.destroy());
  }

  async #sendExport(format: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exported = await this.#port.export(format);
    if (exported.status !== 200) return sendText(response, exported.status, `${exported.problem}\n`);
    const { fileName, contentType, byteLength, parts } = exported.file;
    response.setHeader("Cache-Control", NOT_KEPT);
    response.writeHead(200, {
      "Content-Type": contentType,
      "Content-Length": byteLength,
      "Content-Disposition": `attachment; filename="${fileName}"`,
    });
    if (request.method !== "HEAD") for (const part of parts) response.write(part);
    response.end();
  }
}

function isOperator({ headers }: IncomingMessage, token: string): boolean {
  const [, given] = /^Bearer +([A-Za-z0-9._~+/=-]{1,200})$/i.exec(headers.authorization ?? "") ?? [];
  return given !== undefined && isSameToken(given, token);
}

/** Of "bytes=N-", the one kind of range that is answered by a part; any other by all. */
function startOf(range: string | undefined): number | undefined {
  const [, start] = /^bytes=(\d{1,15})-$/.exec(range ?? "") ?? [];
  return start === undefined ? undefined : Number(start);
}

function refused(status: number, problem: string): { readonly status: number; readonly answer: OperatorAnswer } {
  return { status, answer: { problem } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
