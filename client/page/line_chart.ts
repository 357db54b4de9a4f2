/**
 * A chart of lines over time that all have the same times, such as a replica's loss and its mean: `curve_chart.ts` draws them.
 */

import type uPlot from "uplot";
import { CurveChart, type Curve, type CurveChartOptions } from "./curve_chart.ts";

export interface LineChartOptions extends CurveChartOptions {
  readonly lines: readonly Omit<Curve, "x" | "y">[];
}

export class LineChart {
  readonly #lines: LineChartOptions["lines"];
  readonly #chart: CurveChart;

  constructor(host: HTMLElement, options: LineChartOptions) {
    this.#lines = options.lines;
    this.#chart = new CurveChart(host, options);
  }

  /** `data[0]` is the seconds; then one list per line, null where it has no point. */
  show([seconds, ...values]: uPlot.AlignedData): void {
    const x = [...seconds];
    const curves = this.#lines.map((line, index) => ({ ...line, x, y: [...(values[index] ?? [])].map(orNull) }));
    this.#chart.show({ axis: "seconds", curves, marks: [] });
  }
}

function orNull(value: number | null | undefined): number | null {
  return value ?? null;
}
