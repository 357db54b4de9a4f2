/** What this replica does and has done: its numbers, its refusals in words, and its curves, since Start. */

import type { ReplicaProgress } from "../messages.ts";
import type { ReplicaView } from "../../shared/run_view.ts";
import { isRefusalCode, ruleOf } from "../../shared/wire/codes.ts";
import { byId, Fields, make, setText } from "./dom.ts";
import { bytes, counted, decimal, duration, loss, percent, short, tick, whole } from "./format.ts";
import { LineChart } from "./line_chart.ts";
import { rangeOfLoss } from "./run_charts.ts";
import { SmoothSeries } from "./smooth_series.ts";
import { wayOf } from "./travel.ts";

const FIELDS = [
  "loss",
  "speed",
  "samples",
  "share",
  "time",
  "exchanges",
  "verdicts",
  "staleness",
  "staleness-spread",
  "data-used",
  "data-ways",
  "travel",
] as const;

const EMPTY_AT_FIRST: ReadonlySet<string> = new Set(["samples", "verdicts", "staleness-spread", "data-ways", "travel"]);

export class OwnNumbers {
  readonly #fields = new Fields(FIELDS);
  readonly #section = byId("own", HTMLElement);
  readonly #assigned = byId("assigned", HTMLElement);
  readonly #refusals = byId("refusals", HTMLElement);
  readonly #refusalsBox = byId("refusals-box", HTMLElement);
  readonly #about = byId("about", HTMLDetailsElement);
  #lossChart: LineChart | undefined;
  #stalenessChart: LineChart | undefined;
  #losses = new SmoothSeries();
  #staleness = new SmoothSeries();
  #exchanges = 0;
  #refused = "";

  /** A new start: a new replica, new curves. */
  begin(): void {
    this.#section.hidden = false;
    this.#about.open = false;
    this.#losses = new SmoothSeries();
    this.#staleness = new SmoothSeries();
    this.#exchanges = 0;
    this.#refused = "";
    this.#refusalsBox.hidden = true;
    this.#assigned.hidden = true;
    for (const name of FIELDS) this.#fields.write(name, EMPTY_AT_FIRST.has(name) ? "" : "–");
    this.#lossChart ??= new LineChart(byId("loss-chart", HTMLElement), {
      label: "Loss of your replica over time",
      lines: [
        { label: "Each exchange", color: "--fir-pale", width: 1 },
        { label: "Smoothed", color: "--fir", width: 2.5 },
      ],
      height: 200,
      formatY: loss,
      tickY: tick,
      rangeY: rangeOfLoss,
    });
    this.#stalenessChart ??= new LineChart(byId("staleness-chart", HTMLElement), {
      label: "Staleness of your pushes over time",
      lines: [
        { label: "Each push", color: "--bilberry-pale", width: 1 },
        { label: "Smoothed", color: "--bilberry", width: 2.5 },
      ],
      height: 110,
      formatY: (value) => decimal(value, 1),
      tickY: tick,
      rangeY: (_min, max) => [0, Math.max(2, max * 1.06)],
    });
    this.#draw();
  }

  show(progress: ReplicaProgress, seconds: number): void {
    const { staleness, applied, refused } = progress;
    this.#fields.write("loss", loss(progress.loss));
    this.#fields.write("speed", whole(progress.samplesPerSecond));
    const busy = progress.busyShare === undefined ? "" : `, computing ${percent(progress.busyShare, 0)} of the time`;
    this.#fields.write("samples", `${short(progress.samples)} so far${busy}`);
    this.#fields.write("exchanges", whole(progress.exchanges));
    const { stepsPerExchange } = progress;
    const every = stepsPerExchange === undefined ? "" : `, every ${decimal(stepsPerExchange, 1)} steps`;
    this.#fields.write("verdicts", `${whole(applied)} accepted, ${whole(refused)} refused${every}`);
    this.#fields.write("staleness", whole(progress.lastStaleness));
    this.#fields.write(
      "staleness-spread",
      `mean ${decimal(staleness.mean, 1)}, 99th percentile ${decimal(staleness.p99, 0)}`,
    );
    const { bytesUp, bytesDown, bytesFetched } = progress;
    this.#fields.write("data-used", bytes(bytesUp + bytesDown + bytesFetched));
    this.#fields.write(
      "data-ways",
      `${bytes(bytesUp)} up, ${bytes(bytesDown)} down, ${bytes(bytesFetched)} images and files`,
    );
    this.#fields.write("travel", `now by ${wayOf(progress)}`);
    this.#showRefusals(progress);
    this.#extendCurves(progress, seconds);
  }

  /** How the coordinator counts it. */
  share(replica: ReplicaView | null): void {
    if (replica !== null) this.#fields.write("share", percent(replica.share));
  }

  /** What the coordinator asks of this replica, where it is something else than of everybody. */
  assigned(words: string | undefined): void {
    this.#assigned.hidden = words === undefined;
    setText(this.#assigned, words ?? "");
  }

  time(seconds: number): void {
    this.#fields.write("time", `${duration(seconds)} of training`);
  }

  #showRefusals({ refused, refusals, lastRefusal }: ReplicaProgress): void {
    this.#refusalsBox.hidden = refused === 0;
    const drawn = JSON.stringify(refusals);
    if (refused === 0 || drawn === this.#refused) return;
    this.#refused = drawn;
    setText(byId("refusals-title", HTMLElement), `${counted(refused, "exchange was", "exchanges were")} refused`);
    const byCode = Object.entries(refusals).toSorted(([, one], [, other]) => other - one);
    const lines = byCode.map(
      ([code, count]) => `${whole(count)} × ${isRefusalCode(code) ? ruleOf(code).sentence : code}`,
    );
    if (lines.length === 0 && lastRefusal !== undefined) lines.push(lastRefusal);
    this.#refusals.replaceChildren(...lines.map((line) => make("li", "", line)));
  }

  #extendCurves({ exchanges, loss: newestLoss, lastStaleness }: ReplicaProgress, seconds: number): void {
    if (exchanges <= this.#exchanges) return;
    this.#exchanges = exchanges;
    if (newestLoss !== undefined) this.#losses.add(seconds, newestLoss);
    if (lastStaleness !== undefined) this.#staleness.add(seconds, lastStaleness);
    this.#draw();
  }

  #draw(): void {
    this.#lossChart?.show(this.#losses.lines());
    this.#stalenessChart?.show(this.#staleness.lines());
  }
}
