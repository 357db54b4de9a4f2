/**
 * A run shown again from its event log (`run_log.ts`): events go in, one line after the other, and for any moment the view comes out that an
 * operator had then. A logged view, one a second, is what the search goes to; only the events after it are played.
 *
 * Where a coordinator was killed and went on from a checkpoint, the run's clock goes back a little: a replay's time stands still until
 * the clock has passed, and what was recorded after the checkpoint and lost is forgotten, as the run itself forgot it.
 */

import type { LoggedSettings, LoggedView, PlainEvent, QuietEvent } from "./run_log_reader.ts";
import { readLoggedEvent, readLoggedView } from "./run_log_reader.ts";
import type { AutotuneDecision, HistoryPoint, RunChange, RunView } from "./run_view.ts";
import { firstView, play, type DraftView } from "./run_replay_view.ts";

/** Something that the run collects, in order, each with the event that brought it. */
class Growing<T extends { readonly seconds: number }> {
  readonly #items: T[] = [];
  readonly #events: number[] = [];

  add(item: T, event: number): void {
    this.#items.push(item);
    this.#events.push(event);
  }

  /** As of that event, itself included. */
  upTo(event: number): readonly T[] {
    return this.#items.slice(0, firstAfter(this.#events, event));
  }

  /** What a run that was set back to `seconds` still knows. */
  keptAt(seconds: number, event: number): Growing<T> {
    const kept = new Growing<T>();
    for (const item of this.#items) if (item.seconds <= seconds) kept.add(item, event);
    return kept;
  }
}

/** One incarnation of the coordinator. */
interface Incarnation {
  readonly points: Growing<HistoryPoint>;
  readonly changes: Growing<RunChange>;
  readonly decisions: Growing<AutotuneDecision>;
}

export interface ReplayOptions {
  /** False where only curves are wanted: of the views the newest alone is kept. */
  readonly keepsViews?: boolean;
}

export class RunReplay {
  readonly #keepsViews: boolean;
  /** Of the replay's clock, never going back. */
  readonly #seconds: number[] = [];
  readonly #events: (PlainEvent | LoggedView | QuietEvent)[] = [];
  /** The events that are views. */
  #views: number[] = [];
  /** Those that people want to step through: not views, not leases. */
  readonly #notable: number[] = [];
  readonly #incarnations: Incarnation[] = [];
  readonly #beginnings: number[] = [];
  #settings: LoggedSettings | undefined;
  #malformed = 0;

  constructor({ keepsViews = true }: ReplayOptions = {}) {
    this.#keepsViews = keepsViews;
  }

  static of(lines: Iterable<string>, options?: ReplayOptions): RunReplay {
    const replay = new RunReplay(options);
    for (const line of lines) replay.add(line);
    return replay;
  }

  /** The next line of the log. One that cannot be read is skipped and counted, an empty one skipped. */
  add(line: string): void {
    if (line.trim() === "") return;
    const event = readLoggedEvent(line);
    // Nothing can be shown of what happened before the run began.
    if (event === undefined || (this.#settings === undefined && event.kind !== "began")) {
      this.#malformed++;
      return;
    }
    const index = this.#events.length;
    this.#events.push(event);
    this.#seconds.push(Math.max(event.seconds, this.#seconds.at(-1) ?? 0));
    if (event.kind === "viewed") this.#addView(index);
    else if (event.kind !== "quiet") this.#addPlain(event, index);
  }

  get events(): number {
    return this.#events.length;
  }

  /** Lines that were skipped. */
  get malformed(): number {
    return this.#malformed;
  }

  /** Seconds from the first event to the last. */
  get duration(): number {
    return this.#seconds.at(-1) ?? 0;
  }

  /** Of the run as it last began; undefined for a log without a beginning, which shows nothing. */
  get settings(): LoggedSettings | undefined {
    return this.#settings;
  }

  secondsOf(event: number): number {
    return this.#seconds[event] ?? 0;
  }

  eventAt(event: number): PlainEvent | undefined {
    const found = this.#events[event];
    return found === undefined || found.kind === "viewed" || found.kind === "quiet" ? undefined : found;
  }

  /** The last event until then; -1 where the log is empty. */
  indexAt(seconds: number): number {
    return Math.max(firstAfter(this.#seconds, seconds) - 1, Math.min(0, this.#events.length - 1));
  }

  /** The next event worth stepping to; undefined at the end. */
  notableAfter(event: number): number | undefined {
    return this.#notable[firstAfter(this.#notable, event)];
  }

  notableBefore(event: number): number | undefined {
    return this.#notable[firstAfter(this.#notable, event - 1) - 1];
  }

  /** As it was at that second of the run; undefined for a log without a beginning. */
  viewAt(seconds: number): RunView | undefined {
    const view = this.viewAfter(this.indexAt(seconds));
    return view && { ...view, seconds: Math.min(Math.max(seconds, view.seconds), this.duration) };
  }

  /** As it was right after that event. */
  viewAfter(event: number): RunView | undefined {
    const incarnation = this.#incarnations[firstAfter(this.#beginnings, event) - 1];
    if (incarnation === undefined || this.#settings === undefined) return undefined;
    const { from, draft } = this.#lastViewAt(event, this.#settings);
    for (let index = from + 1; index <= event; index++) {
      const next = this.eventAt(index);
      if (next !== undefined) play(draft, next);
    }
    const history = incarnation.points.upTo(event);
    const newest = history.at(-1);
    return {
      ...draft,
      ...(newest && { accuracy: newest.accuracy, testLoss: newest.testLoss }),
      seconds: Math.max(draft.seconds, this.#events[event]?.seconds ?? 0),
      history,
      changes: incarnation.changes.upTo(event),
      autotune: incarnation.decisions.upTo(event),
    };
  }

  #addView(index: number): void {
    const last = this.#views.at(-1);
    if (!this.#keepsViews && last !== undefined) {
      const { seconds } = this.#events[last] ?? { seconds: 0 };
      this.#events[last] = { kind: "viewed", seconds, line: "" };
      this.#views = [];
    }
    this.#views.push(index);
  }

  #addPlain(event: PlainEvent, index: number): void {
    if (event.kind === "began") this.#begin(event, index);
    const incarnation = this.#incarnations.at(-1);
    if (event.kind === "evaluated") incarnation?.points.add(event.point, index);
    if (event.kind === "changed") incarnation?.changes.add(event.change, index);
    if (event.kind === "decided") incarnation?.decisions.add(event.decision, index);
    this.#notable.push(index);
  }

  #begin({ settings, seconds }: Extract<PlainEvent, { kind: "began" }>, index: number): void {
    this.#settings = settings;
    const before = this.#incarnations.at(-1);
    this.#beginnings.push(index);
    this.#incarnations.push({
      points: before?.points.keptAt(seconds, index) ?? new Growing(),
      changes: before?.changes.keptAt(seconds, index) ?? new Growing(),
      decisions: before?.decisions.keptAt(seconds, index) ?? new Growing(),
    });
  }

  /** The newest view that can be read; before the first one, the run as it began. */
  #lastViewAt(event: number, settings: LoggedSettings): { readonly from: number; readonly draft: DraftView } {
    for (let at = firstAfter(this.#views, event) - 1; at >= 0; at--) {
      const from = this.#views[at] ?? 0;
      const logged = this.#events[from];
      const view = logged?.kind === "viewed" ? readLoggedView(logged) : undefined;
      if (view !== undefined) return { from, draft: view };
      // A line of JSON that is no view of ours: it shall not be tried again at every step.
      this.#views.splice(at, 1);
      this.#malformed++;
    }
    return { from: -1, draft: firstView(settings) };
  }
}

/** The index of the first entry of an ascending list that is greater. */
function firstAfter(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
