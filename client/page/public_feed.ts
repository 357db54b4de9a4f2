/**
 * The run as everybody may see it, as it goes: the coordinator's server-sent events, a whole view each time but for a history
 * that did not change. Where the stream is refused (the coordinator serves a limited number of them) single views are asked for
 * instead; where nothing is answered, that is said at once and retried until it is.
 */

import type { HistoryPoint, PublicView } from "../../shared/run_view.ts";
import { addressOf } from "./addresses.ts";
import { readSentPublicView } from "./public_view_reader.ts";

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;
/** Events come twice a second; a silence this long may be a dead network. */
const QUIET_MS = 15_000;
const ASK_TIMEOUT_MS = 5000;
/** Between two views where there is no stream. */
const ASK_EVERY_MS = 3000;

export interface PublicFeedListener {
  view(view: PublicView): void;
  /** The coordinator answers (again). */
  live(): void;
  /** It does not; called at every failed try. */
  gone(): void;
  /** It answers, but with something that this page does not understand. */
  unreadable(): void;
}

export class PublicFeed {
  readonly #listener: PublicFeedListener;
  #replica: string | undefined;
  #events: EventSource | undefined;
  #history: readonly HistoryPoint[] = [];
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  /** Grows with every connection, so that late answers to an older one are told apart. */
  #attempt = 0;
  #bytes = 0;

  /** `replica` is one's own, whose numbers come along; undefined: none yet. */
  constructor(replica: string | undefined, listener: PublicFeedListener) {
    this.#replica = replica;
    this.#listener = listener;
  }

  /** That came in events and answers. */
  get bytes(): number {
    return this.#bytes;
  }

  start(): void {
    this.#connect();
    window.addEventListener("online", () => this.#connect());
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#connect();
    });
  }

  /** From now on the view tells of this replica. */
  follow(replica: string | undefined): void {
    if (replica === this.#replica) return;
    this.#replica = replica;
    this.#connect();
  }

  #address(path: string): string {
    const address = new URL(addressOf(path));
    if (this.#replica !== undefined) address.searchParams.set("replica", this.#replica);
    return address.href;
  }

  #connect(): void {
    this.#close();
    const events = new EventSource(this.#address("api/events"));
    this.#events = events;
    events.addEventListener("open", () => {
      this.#listener.live();
      this.#expectSomething();
    });
    events.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (typeof event.data === "string") this.#take(event.data);
      this.#expectSomething();
    });
    // The browser's own reconnecting gives up after an HTTP error, hence ours.
    events.addEventListener("error", () => {
      this.#close();
      void this.#ask();
    });
  }

  #take(text: string): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.#bytes += text.length;
    const view = readSentPublicView(text);
    if (view === undefined) return this.#listener.unreadable();
    this.#history = view.history ?? this.#history;
    this.#listener.view({ ...view, history: this.#history });
  }

  #expectSomething(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#close();
      void this.#ask();
    }, QUIET_MS);
  }

  /** One view without the stream, and then another try at it. */
  async #ask(): Promise<void> {
    const attempt = this.#attempt;
    const text = await this.#askOnce();
    if (attempt !== this.#attempt) return;
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

  async #askOnce(): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
      const response = await fetch(this.#address("api/view"), { signal, cache: "no-store" });
      return response.ok ? await response.text() : undefined;
    } catch {
      return undefined;
    }
  }

  #connectIn(delayMs: number): void {
    this.#timer = window.setTimeout(() => this.#connect(), delayMs);
  }

  #close(): void {
    this.#attempt++;
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = undefined;
  }
}
