/** The charts of a whole run: held-out accuracy against its target, and the losses. */

import type { RunView } from "../../shared/run_view.ts";
import type { Curves } from "./run_series.ts";
import { LineChart } from "./line_chart.ts";
import { loss, percent, percentTick, tick } from "./format.ts";

/** As much of the upper end as the run has reached: the last percents are the interesting ones. */
function rangeOfAccuracy(min: number, max: number): [number, number] {
  const low = Math.max(0, Math.min(min, max - 0.02));
  return [Math.max(0, low - (1 - low) * 0.06), 1];
}

/** From zero, with some air above. */
export function rangeOfLoss(_min: number, max: number): [number, number] {
  return [0, Math.max(0.1, max * 1.06)];
}

export class AccuracyChart {
  readonly #chart: LineChart;

  constructor(host: HTMLElement, height: number) {
    this.#chart = new LineChart(host, {
      label: "Held-out accuracy over time",
      lines: [
        { label: "Accuracy", color: "--fir", width: 2.5 },
        { label: "Target", color: "--muted", width: 1.5, dash: [5, 5] },
      ],
      height,
      formatY: (value) => percent(value, 1),
      tickY: percentTick,
      rangeY: rangeOfAccuracy,
    });
  }

  show(curves: Pick<Curves, "seconds" | "accuracy">, view: Pick<RunView, "targetAccuracy">): void {
    this.#chart.show([curves.seconds, curves.accuracy, curves.seconds.map(() => view.targetAccuracy)]);
  }
}

export class RunLossChart {
  readonly #chart: LineChart;

  constructor(host: HTMLElement, height: number) {
    this.#chart = new LineChart(host, {
      label: "Loss over time",
      lines: [
        { label: "Training", color: "--chanterelle", width: 1.5 },
        { label: "Held-out", color: "--bilberry", width: 2.5 },
      ],
      height,
      formatY: loss,
      tickY: tick,
      rangeY: rangeOfLoss,
    });
  }

  show(curves: Curves): void {
    this.#chart.show([curves.seconds, curves.trainLoss, curves.testLoss]);
  }
}
