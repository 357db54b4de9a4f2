/** The chart of a whole run for volunteers: held-out accuracy against its target. */

import type { RunView } from "../../shared/run_view.ts";
import { LineChart } from "./line_chart.ts";
import { percent, percentTick } from "./format.ts";

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

  show(
    curves: { readonly seconds: number[]; readonly accuracy: (number | null)[] },
    view: Pick<RunView, "targetAccuracy">,
  ): void {
    this.#chart.show([curves.seconds, curves.accuracy, curves.seconds.map(() => view.targetAccuracy)]);
  }
}
