/**
 * The run as it goes, for the operator: views from the coordinator's stream of events, which is read with `fetch` because it needs the
 * token. Where the stream is refused (the coordinator serves a limited number of them) single views are asked for instead; where
 * nothing is answered, that is said at once and retried until it is.
 */

import { EventStreamText } from "../../shared/event_stream_text.ts";
import type { HistoryPoint, RunView } from "../../shared/run_view.ts";
import { TokenRefused, type OperatorApi } from "./operator_api.ts";
import { readSentRunView } from "./run_view_reader.ts";

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;
/** Events come twice a second; a silence this long may be a dead network. */
const QUIET_MS = 15_000;
const ASK_TIMEOUT_MS = 5000;
/** Between two views where there is no stream. */
const ASK_EVERY_MS = 3000;

export interface OperatorFeedListener {
  view(view: RunView): void;
  /** The coordinator answers (again). */
  live(): void;
  /** It does not; called at every failed try. */
  gone(): void;
  /** It answers, but with something that this page does not understand. */
  unreadable(): void;
}

export class OperatorFeed {
  readonly #api: OperatorApi;
  readonly #listener: OperatorFeedListener;
  #abort = new AbortController();
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  #watch = 0;
  /** Grows with every connection, so that late answers to an older one are told apart. */
  #attempt = 0;
  #isStarted = false;
  #history: readonly HistoryPoint[] = [];

  constructor(api: OperatorApi, listener: OperatorFeedListener) {
    this.#api = api;
    this.#listener = listener;
    window.addEventListener("online", () => this.#again());
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#again();
    });
  }

  /** With the token that the API has now. */
  start(): void {
    this.#isStarted = true;
    this.#again();
  }

  /** Until another token is there. */
  stop(): void {
    this.#isStarted = false;
    this.#close();
  }

  #again(): void {
    if (!this.#isStarted) return;
    this.#close();
    void this.#follow(this.#attempt);
  }

  /** One stream until its end, and what comes after it. */
  async #follow(attempt: number): Promise<void> {
    const { signal } = this.#abort;
    try {
      this.#expectSomething();
      const response = await this.#api.ask("api/operator/events", { signal });
      if (response.ok && response.body !== null) await this.#read(response.body, attempt);
    } catch (error) {
      if (error instanceof TokenRefused) return;
      // The connection broke, or was ended by us: either way a single view is asked for next.
    }
    if (attempt === this.#attempt) await this.#askOnce(attempt);
  }

  async #read(body: ReadableStream<Uint8Array>, attempt: number): Promise<void> {
    const text = new EventStreamText();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    this.#listener.live();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || attempt !== this.#attempt) return;
      this.#expectSomething();
      // Of several that came together only the newest is worth drawing, but the history may be in any of them.
      for (const event of text.add(decoder.decode(value, { stream: true }))) this.#take(event);
    }
  }

  #take(text: string): void {
    this.#retryMs = FIRST_RETRY_MS;
    const view = readSentRunView(text);
    if (view === undefined) {
      this.#listener.unreadable();
      return;
    }
    this.#history = view.history ?? this.#history;
    this.#listener.view({ ...view, history: this.#history });
  }

  /** A silence ends the stream; what follows is in `#follow`. */
  #expectSomething(): void {
    clearTimeout(this.#watch);
    this.#watch = window.setTimeout(() => this.#abort.abort(), QUIET_MS);
  }

  /** One view without the stream, and then another try at it. */
  async #askOnce(attempt: number): Promise<void> {
    const text = await this.#viewText();
    if (attempt !== this.#attempt || text === "refused") return;
    if (text === undefined) {
      this.#listener.gone();
      this.#connectIn(this.#retryMs);
      this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
      return;
    }
    this.#listener.live();
    this.#take(text);
    this.#connectIn(ASK_EVERY_MS);
  }

  async #viewText(): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
      const response = await this.#api.ask("api/operator/view", { signal });
      return response.ok ? await response.text() : undefined;
    } catch (error) {
      return error instanceof TokenRefused ? "refused" : undefined;
    }
  }

  #connectIn(delayMs: number): void {
    clearTimeout(this.#watch);
    this.#timer = window.setTimeout(() => this.#again(), delayMs);
  }

  #close(): void {
    this.#attempt++;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#abort.abort();
    this.#abort = new AbortController();
  }
}
