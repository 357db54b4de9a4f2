/**
 * The run as it goes, from the coordinator's server-sent events: a whole view each time. A lost connection is said at
 * once and retried until it is back; a connection that has gone quiet is tested with one request.
 */

import type { RunView } from "../../shared/run_view.ts";
import { addressOf } from "./addresses.ts";
import { readRunView } from "./run_view_reader.ts";

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;
const QUIET_MS = 15_000;

export interface RunFeedListener {
  view(view: RunView): void;
  /** The coordinator answers (again). */
  live(): void;
  /** It does not; called at every failed try. */
  gone(): void;
  /** It answers, but with something that this page does not understand. */
  unreadable(): void;
}

export class RunFeed {
  readonly #listener: RunFeedListener;
  #events: EventSource | undefined;
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;

  constructor(listener: RunFeedListener) {
    this.#listener = listener;
    this.#connect();
    // A tab that comes back does not wait for the rest of its retry.
    window.addEventListener("online", () => this.#connect());
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#connect();
    });
  }

  #connect(): void {
    this.#close();
    const events = new EventSource(addressOf("api/events"));
    this.#events = events;
    events.addEventListener("open", () => {
      this.#listener.live();
      this.#expectSomething();
    });
    events.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (typeof event.data === "string") this.#take(event.data);
    });
    events.addEventListener("error", () => this.#lost());
  }

  #take(text: string): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.#expectSomething();
    const view = readRunView(text);
    if (view === undefined) this.#listener.unreadable();
    else this.#listener.view(view);
  }

  #expectSomething(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#test(), QUIET_MS);
  }

  /** Quiet may mean an idle run or a dead network: one request tells which. */
  async #test(): Promise<void> {
    const events = this.#events;
    try {
      const response = await fetch(addressOf("api/view"), { signal: AbortSignal.timeout(5000), cache: "no-store" });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const text = await response.text();
      if (events === this.#events) this.#take(text);
    } catch {
      if (events === this.#events) this.#lost();
    }
  }

  /** The browser's own reconnecting gives up after an HTTP error, hence ours. */
  #lost(): void {
    this.#close();
    this.#listener.gone();
    this.#timer = window.setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = undefined;
  }
}
