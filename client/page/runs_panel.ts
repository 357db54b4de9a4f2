/**
 * The runs of the coordinator's folder: a list to choose from, and of those that are chosen curves in the charts and a table side by side.
 * A run that another coordinator has goes on meanwhile, and is read on.
 */

import type { RunSummary } from "../../shared/run_list.ts";
import type { RunView } from "../../shared/run_view.ts";
import { byId, make, setText } from "./dom.ts";
import { duration, percent, short } from "./format.ts";
import type { OperatorApi } from "./operator_api.ts";
import type { ComparedCurves } from "./operator_charts.ts";
import { comparisonOf, type ComparedRun } from "./run_comparison.ts";
import { readRunList } from "./run_list_reader.ts";
import { RunLog } from "./run_log.ts";
import { pointsOf } from "./run_series.ts";
import { say } from "./said_answer.ts";

const ASK_AGAIN_MS = 10_000;
/** More curves than this nobody tells apart. */
const MOST_COMPARED = 6;

const STATE_WORDS: Record<RunSummary["state"], string> = {
  running: "running",
  reached: "target reached",
  stopped: "stopped",
  unfinished: "not finished",
};

export interface RunsListener {
  /** Other runs than the one that is shown. */
  compared(runs: readonly ComparedCurves[]): void;
  replay(name: string): void;
}

interface Row {
  readonly element: HTMLTableRowElement;
  readonly box: HTMLInputElement;
  readonly swatch: HTMLElement;
  readonly cells: Readonly<Record<"what" | "solver" | "state" | "accuracy" | "samples" | "seconds", HTMLElement>>;
}

export class RunsPanel {
  readonly #api: OperatorApi;
  readonly #listener: RunsListener;
  readonly #box = byId("runs-box", HTMLElement);
  readonly #body = byId("run-rows", HTMLTableSectionElement);
  readonly #answer = byId("runs-answer", HTMLElement);
  readonly #comparison = byId("comparison", HTMLElement);
  readonly #rows = new Map<string, Row>();
  /** Chosen, in the order in which they were. */
  readonly #chosen = new Map<string, RunLog>();
  #runs: readonly RunSummary[] = [];
  #view: RunView | undefined;
  #timer = 0;
  #abort = new AbortController();
  #drawn = "";

  constructor(api: OperatorApi, listener: RunsListener) {
    this.#api = api;
    this.#listener = listener;
  }

  start(): void {
    this.stop();
    this.#abort = new AbortController();
    void this.#again(this.#abort.signal);
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  /** The run whose curves are the page's own. */
  show(view: RunView): void {
    const isOther = this.#view?.run !== view.run;
    this.#view = view;
    if (isOther && this.#chosen.size > 0) this.#compare();
    else if (this.#chosen.get(view.run) !== undefined) this.#drawTable();
  }

  async #again(signal: AbortSignal): Promise<void> {
    await this.#ask(signal).catch(() => {});
    if (signal.aborted) return;
    this.#timer = window.setTimeout(() => void this.#again(signal), ASK_AGAIN_MS);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const response = await this.#api.ask("api/operator/runs", { signal });
    const runs = response.ok ? readRunList(await response.json()) : undefined;
    if (runs === undefined) {
      say(this.#answer, { problem: "The coordinator did not say which runs there are; reload the page." });
      return;
    }
    this.#runs = runs;
    this.#draw();
    const growing = runs.flatMap(({ name, state }) => {
      const log = this.#chosen.get(name);
      return state === "running" && log !== undefined ? [log] : [];
    });
    for (const log of growing) await log.read(() => {}, signal);
    if (growing.length > 0) this.#compare();
  }

  #draw(): void {
    this.#box.hidden = this.#runs.length === 0;
    const names = new Set(this.#runs.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    this.#runs.forEach((run, index) => {
      const row = this.#rowOf(run.name);
      setText(row.cells.what, `${run.model} on ${run.data}`);
      setText(row.cells.solver, run.solver);
      setText(row.cells.state, run.isCurrent ? `${STATE_WORDS[run.state]} here` : STATE_WORDS[run.state]);
      setText(row.cells.accuracy, percent(run.accuracy, 2));
      setText(row.cells.samples, short(run.samples));
      setText(row.cells.seconds, duration(run.seconds));
      if (this.#body.children.item(index) !== row.element)
        this.#body.insertBefore(row.element, this.#body.children.item(index));
    });
  }

  #rowOf(name: string): Row {
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const element = make("tr");
    const head = make("th");
    head.scope = "row";
    const label = make("label", "choose");
    const box = make("input");
    box.type = "checkbox";
    const swatch = make("i", "swatch");
    label.append(box, swatch, make("span", "", name));
    head.append(label);
    box.addEventListener("change", () => void this.#choose(name, box));
    const cells = {
      what: cellOf("Model and data"),
      solver: cellOf("Solver"),
      state: cellOf("State"),
      accuracy: cellOf("Accuracy", true),
      samples: cellOf("Images", true),
      seconds: cellOf("Time", true),
    };
    const replay = make("button", "quiet", "Replay");
    replay.type = "button";
    replay.setAttribute("aria-label", `Replay ${name}`);
    replay.addEventListener("click", () => this.#listener.replay(name));
    const last = make("td");
    last.append(replay);
    element.append(head, ...Object.values(cells), last);
    const row = { element, box, swatch, cells };
    this.#rows.set(name, row);
    return row;
  }

  async #choose(name: string, box: HTMLInputElement): Promise<void> {
    if (!box.checked) {
      this.#chosen.delete(name);
      this.#compare();
      return;
    }
    if (this.#chosen.size >= MOST_COMPARED) {
      box.checked = false;
      say(this.#answer, { problem: `At most ${MOST_COMPARED} runs can be told apart; leave one out first.` });
      return;
    }
    const log = new RunLog(this.#api, name, { keepsViews: false });
    this.#chosen.set(name, log);
    say(this.#answer, { done: `Reading the event log of ${name}…` });
    const problem = await log.read((share) => {
      say(this.#answer, { done: `Reading the event log of ${name}: ${percent(share, 0)}` });
    }, this.#abort.signal);
    if (this.#chosen.get(name) !== log) return;
    const isEmpty = log.replay.settings === undefined;
    // The run that is shown needs no log to be compared.
    const isShown = this.#view?.run === name;
    if ((problem !== undefined || isEmpty) && !isShown) {
      this.#chosen.delete(name);
      box.checked = false;
      say(this.#answer, { problem: problem ?? `The event log of ${name} has no beginning that this page can read.` });
    } else {
      const skipped = log.replay.malformed;
      say(this.#answer, {
        done: skipped === 0 ? "" : `${skipped} lines of the event log of ${name} cannot be read and were skipped.`,
      });
    }
    this.#compare();
  }

  #compare(): void {
    let color = 1;
    const curves: ComparedCurves[] = [];
    for (const [name, row] of this.#rows) row.swatch.style.color = this.#chosen.has(name) ? "var(--fir)" : "";
    for (const { name, view } of this.#compared()) {
      if (name === this.#view?.run) continue;
      const property = `--run-${color++}`;
      curves.push({ name, color: property, points: pointsOf(view.history) });
      const swatch = this.#rows.get(name)?.swatch;
      if (swatch !== undefined) swatch.style.color = `var(${property})`;
    }
    this.#listener.compared(curves);
    this.#drawTable();
  }

  #compared(): ComparedRun[] {
    return [...this.#chosen].flatMap(([name, log]): ComparedRun[] => {
      const { settings } = log.replay;
      if (name === this.#view?.run) return [{ name, view: this.#view, settings }];
      const view = log.replay.viewAt(Infinity);
      return view === undefined ? [] : [{ name, view, settings }];
    });
  }

  #drawTable(): void {
    const runs = this.#compared();
    this.#comparison.hidden = runs.length < 2;
    if (runs.length < 2) return;
    const rows = comparisonOf(runs);
    const drawn = JSON.stringify([runs.map(({ name }) => name), rows]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const heads = ["", ...runs.map(({ name }) => name)].map((text, index) => {
      const head = make(index === 0 ? "td" : "th", "", text);
      if (head instanceof HTMLTableCellElement && index > 0) head.scope = "col";
      return head;
    });
    byId("comparison-head", HTMLTableRowElement).replaceChildren(...heads);
    byId("comparison-rows", HTMLTableSectionElement).replaceChildren(
      ...rows.map(({ title, kind, values, isDifferent }) => {
        const row = make("tr", `of-${kind}${isDifferent ? " different" : ""}`);
        const head = make("th", "", title);
        head.scope = "row";
        if (isDifferent) head.append(make("span", "differs", "differs"));
        row.append(head, ...values.map((value) => make("td", "", value)));
        return row;
      }),
    );
  }
}

function cellOf(title: string, isNumber = false): HTMLElement {
  const cell = make("td", isNumber ? "number" : "");
  cell.dataset["label"] = title;
  return cell;
}
