/** The run's losses over time, on the volunteer's page: of training, and on images that nobody trains on. */

import type { HistoryPoint } from "../../shared/run_view.ts";
import { loss, tick } from "./format.ts";
import { LineChart } from "./line_chart.ts";
import { rangeOfLoss } from "./run_charts.ts";

export class RunLossChart {
  readonly #chart: LineChart;

  constructor(host: HTMLElement, height: number) {
    this.#chart = new LineChart(host, {
      label: "Loss of the run over time",
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

  show(history: readonly HistoryPoint[]): void {
    this.#chart.show([
      history.map((point) => point.seconds),
      // The evaluation before the first exchange knows of no training yet.
      history.map((point) => (point.samples === 0 ? null : point.trainLoss)),
      history.map((point) => point.testLoss),
    ]);
  }
}
