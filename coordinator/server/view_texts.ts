/**
 * A run's views as text, made at most ten times a second however many ask: everybody's, with a part of one's own, and the
 * operator's. The history is a text of its own, because it is long and seldom changes: streams leave it out while it is the same.
 */

import type { HistoryPoint, ReplicaView, RunView } from "../../shared/run_view.ts";
import { ownRowOf, publicViewOf } from "./public_view.ts";

/** A view for readers who get it again and again. `replica`: who asks, where that is of interest. */
export interface LiveText {
  /** Another one says that the history is another. */
  historyKey(): string;
  /** One line of JSON. */
  text(isWithHistory: boolean, replica?: string): string;
}

/** How old a view may be. */
const VIEW_KEPT_MS = 100;
/** The run keeps more than a chart can show. */
const HISTORY_POINTS = 500;

interface Made {
  readonly atMs: number;
  readonly view: RunView;
  readonly historyKey: string;
  /** Of the public view and of the operator's, without history and without the closing brace; made when first asked for. */
  publicHead?: string;
  operatorHead?: string;
  byId?: ReadonlyMap<string, ReplicaView>;
}

export class ViewTexts {
  readonly #view: () => RunView;
  #made: Made | undefined;
  #history = { key: "", text: "" };

  constructor(view: () => RunView) {
    this.#view = view;
  }

  readonly public: LiveText = {
    historyKey: () => this.#newest().historyKey,
    text: (isWithHistory, replica) => {
      const made = this.#newest();
      made.publicHead ??= headOf(publicViewOf(made.view));
      made.byId ??= new Map(made.view.replicas.map((row) => [row.id, row]));
      const own = ownRowOf(replica === undefined ? undefined : made.byId.get(replica));
      return `${made.publicHead},"own":${JSON.stringify(own)}${this.#historyPart(made, isWithHistory)}}`;
    },
  };

  readonly operator: LiveText = {
    historyKey: () => this.#newest().historyKey,
    text: (isWithHistory) => {
      const made = this.#newest();
      made.operatorHead ??= headOf(made.view);
      return `${made.operatorHead}${this.#historyPart(made, isWithHistory)}}`;
    },
  };

  /** The next one asked for is made anew. */
  forget(): void {
    this.#made = undefined;
  }

  #newest(): Made {
    const atMs = performance.now();
    if (this.#made && atMs - this.#made.atMs <= VIEW_KEPT_MS) return this.#made;
    const view = this.#view();
    const { history } = view;
    // Points are added, and now and then every second one is dropped.
    this.#made = { atMs, view, historyKey: `${history.length} ${history.at(-1)?.seconds ?? 0}` };
    return this.#made;
  }

  #historyPart({ view, historyKey }: Made, isWithHistory: boolean): string {
    if (!isWithHistory) return "";
    if (this.#history.key !== historyKey) {
      this.#history = { key: historyKey, text: `,"history":${JSON.stringify(thinned(view.history))}` };
    }
    return this.#history.text;
  }
}

function headOf({ history: _history, ...view }: Pick<RunView, "history">): string {
  return JSON.stringify(view).slice(0, -1);
}

/** As evenly as whole places allow, the first and the last one among them. */
function thinned(history: readonly HistoryPoint[]): readonly HistoryPoint[] {
  if (history.length <= HISTORY_POINTS) return history;
  const last = history.length - 1;
  return Array.from({ length: HISTORY_POINTS }, (_, place) => {
    const point = history[Math.round((place * last) / (HISTORY_POINTS - 1))];
    if (!point) throw new Error("invariant violation: a place beyond the history");
    return point;
  });
}
