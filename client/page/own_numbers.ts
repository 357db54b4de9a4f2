/** What this replica does and has done: its numbers and its loss curve, since Start. */

import type { ReplicaProgress } from "../messages.ts";
import type { ReplicaView } from "../../shared/run_view.ts";
import { byId, Fields, setText } from "./dom.ts";
import { bytes, counted, decimal, duration, loss, percent, short, tick, whole } from "./format.ts";
import { LineChart } from "./line_chart.ts";
import { LossSeries } from "./loss_series.ts";
import { rangeOfLoss } from "./run_charts.ts";
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
  "sent",
  "received",
  "travel",
] as const;

export class OwnNumbers {
  readonly #fields = new Fields(FIELDS);
  readonly #section = byId("own", HTMLElement);
  readonly #assigned = byId("assigned", HTMLElement);
  readonly #refusal = byId("refusal", HTMLElement);
  readonly #about = byId("about", HTMLDetailsElement);
  #chart: LineChart | undefined;
  #losses = new LossSeries();
  #exchanges = 0;

  /** A new start: a new replica, a new curve. */
  begin(): void {
    this.#section.hidden = false;
    this.#about.open = false;
    this.#losses = new LossSeries();
    this.#exchanges = 0;
    this.#refusal.hidden = true;
    this.#assigned.hidden = true;
    for (const name of FIELDS) this.#fields.write(name, name === "samples" || name === "verdicts" ? "" : "–");
    this.#fields.write("staleness-spread", "");
    this.#fields.write("received", "");
    this.#fields.write("travel", "");
    this.#chart ??= new LineChart(byId("loss-chart", HTMLElement), {
      label: "Loss of your replica over time",
      lines: [
        { label: "Each exchange", color: "--fir-pale", width: 1 },
        { label: "Smoothed", color: "--fir", width: 2.5 },
      ],
      height: 220,
      formatY: loss,
      tickY: tick,
      rangeY: rangeOfLoss,
    });
    this.#chart.show(this.#losses.lines());
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
    this.#fields.write("verdicts", `${whole(applied)} applied, ${whole(refused)} refused${every}`);
    this.#fields.write("staleness", whole(progress.lastStaleness));
    this.#fields.write(
      "staleness-spread",
      `mean ${decimal(staleness.mean, 1)}, 99th percentile ${decimal(staleness.p99, 0)}`,
    );
    this.#fields.write("sent", bytes(progress.bytesUp));
    this.#fields.write("received", `${bytes(progress.bytesDown)} received`);
    this.#fields.write("travel", `now by ${wayOf(progress)}`);
    this.#refusal.hidden = progress.lastRefusal === undefined;
    if (progress.lastRefusal !== undefined) {
      setText(this.#refusal, `Newest of ${counted(refused, "refusal", "refusals")}: ${progress.lastRefusal}`);
    }
    if (progress.loss === undefined || progress.exchanges <= this.#exchanges) return;
    this.#exchanges = progress.exchanges;
    this.#losses.add(seconds, progress.loss);
    this.#chart?.show(this.#losses.lines());
  }

  /** How the coordinator counts it. */
  share(replica: ReplicaView | undefined): void {
    if (replica !== undefined) this.#fields.write("share", percent(replica.share));
  }

  /** What the coordinator asks of this replica, where it is something else than of everybody. */
  assigned(words: string | undefined): void {
    this.#assigned.hidden = words === undefined;
    setText(this.#assigned, words ?? "");
  }

  time(seconds: number): void {
    this.#fields.write("time", `${duration(seconds)} of training`);
  }
}
