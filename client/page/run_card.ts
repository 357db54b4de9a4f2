/** The whole run, on the volunteer's page: how far it is, who takes part, how fast it goes together. */

import type { PublicView } from "../../shared/run_view.ts";
import { byId, Fields } from "./dom.ts";
import { DroveStrip } from "./drove_strip.ts";
import { counted, duration, percent, short, whole } from "./format.ts";
import { AccuracyChart } from "./run_charts.ts";
import { RunLossChart } from "./run_loss_chart.ts";
import { STATES } from "./run_states.ts";

export class RunCard {
  readonly #fields = new Fields([
    "run-state",
    "accuracy",
    "accuracy-of",
    "run-connected",
    "run-speed",
    "run-samples",
    "run-version",
    "run-time",
  ]);
  readonly #meter = byId("meter", HTMLElement);
  readonly #fill = byId("meter-fill", HTMLElement);
  readonly #target = byId("meter-target", HTMLElement);
  readonly #accuracyChart = new AccuracyChart(byId("accuracy-chart", HTMLElement), 150);
  readonly #lossChart = new RunLossChart(byId("run-loss-chart", HTMLElement), 120);
  readonly #drove = new DroveStrip(byId("drove", HTMLElement));

  show(view: PublicView): void {
    const { accuracy, targetAccuracy } = view;
    const state = view.isPaused && view.state === "training" ? "paused by its operator" : STATES[view.state];
    this.#fields.write("run-state", state);
    byId("run-state", HTMLElement).dataset["state"] = view.isPaused ? "waiting" : view.state;
    this.#fields.write("accuracy", percent(accuracy, 2));
    const goal = targetAccuracy === null ? "" : `, goal ${percent(targetAccuracy)}`;
    this.#fields.write("accuracy-of", `held-out accuracy${goal}`);
    this.#meter.hidden = accuracy === null;
    this.#fill.style.width = `${(accuracy ?? 0) * 100}%`;
    this.#target.hidden = targetAccuracy === null;
    this.#target.style.left = `${(targetAccuracy ?? 0) * 100}%`;
    const gone = view.left === 0 ? "" : `, ${whole(view.left)} left`;
    this.#fields.write("run-connected", `${counted(view.connected, "machine", "machines")}${gone}`);
    this.#fields.write("run-speed", `${whole(view.samplesPerSecond)} images/s`);
    this.#fields.write("run-samples", short(view.samples));
    this.#fields.write("run-version", whole(view.version));
    this.#fields.write("run-time", duration(view.seconds));
    const { history } = view;
    this.#accuracyChart.show(
      { seconds: history.map((point) => point.seconds), accuracy: history.map((point) => point.accuracy) },
      view,
    );
    this.#lossChart.show(history);
    this.#drove.show(view);
  }

  gone(): void {
    this.#fields.write("run-state", "out of reach");
    byId("run-state", HTMLElement).dataset["state"] = "gone";
  }
}
