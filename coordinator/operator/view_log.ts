/**
 * Puts the run's view into its event log, so that the run can be shown again: once a second at most, and seldom enough that a view of a
 * thousand replicas does not fill the disk. A run in which nothing happens adds nothing.
 */

import type { LoggedEvent, ViewedRun } from "../../shared/run_log.ts";
import type { RunView } from "../../shared/run_view.ts";

export interface ViewLogOptions {
  readonly view: () => RunView;
  readonly append: (event: LoggedEvent) => void;
  readonly nowMs: () => number;
}

const INTERVAL_MS = 1000;
/** On average. */
const BYTES_PER_SECOND = 4000;
/** Of the log, of one view: those that are here, and of those that left the ones that did most. */
const MOST_REPLICAS = 1000;

export class ViewLog {
  readonly #options: ViewLogOptions;
  #dueMs = Number.NEGATIVE_INFINITY;
  #lastKey = "";

  constructor(options: ViewLogOptions) {
    this.#options = options;
  }

  /** Many times a second. */
  tick(): void {
    const { view, nowMs } = this.#options;
    if (nowMs() < this.#dueMs) return;
    const now = view();
    const key = keyOf(now);
    if (key === this.#lastKey) this.#dueMs = nowMs() + INTERVAL_MS;
    else this.#append(now, key);
  }

  /** The run as it ended. */
  end(): void {
    const now = this.#options.view();
    this.#append(now, keyOf(now));
  }

  #append(now: RunView, key: string): void {
    const { append, nowMs } = this.#options;
    const view = viewedOf(now);
    append({ kind: "viewed", view });
    this.#lastKey = key;
    this.#dueMs = nowMs() + Math.max(INTERVAL_MS, (1000 * JSON.stringify(view).length) / BYTES_PER_SECOND);
  }
}

function viewedOf({ history: _history, autotune: _autotune, changes: _changes, ...view }: RunView): ViewedRun {
  if (view.replicas.length <= MOST_REPLICAS) return view;
  const replicas = view.replicas.toSorted((a, b) => Number(b.connected) - Number(a.connected) || b.samples - a.samples);
  return { ...view, replicas: replicas.slice(0, MOST_REPLICAS) };
}

/** Changes with whatever people would want to see; not with time alone. */
function keyOf({ version, exchanges, refused, state, isPaused, replicas, epoch }: RunView): string {
  const connected = replicas.filter((replica) => replica.connected).length;
  return JSON.stringify([version, exchanges, refused, state, isPaused, connected, replicas.length, epoch]);
}
