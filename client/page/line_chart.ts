/**
 * A line chart over time in the page's colours: uPlot draws, this decides how it looks, keeps it as wide as its box, and keys each
 * line with its newest value, or the value under the pointer.
 */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { make, setText } from "./dom.ts";
import { clock, duration } from "./format.ts";
import { colorOf, onThemeChange } from "./theme.ts";

/** Seconds between two lines of the grid. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];

interface Line {
  readonly label: string;
  /** A custom property, such as `--fir`. */
  readonly color: string;
  readonly width?: number;
  readonly dash?: number[];
}

export interface LineChartOptions {
  /** For those who cannot see it. */
  readonly label: string;
  readonly lines: readonly Line[];
  readonly height: number;
  readonly formatY: (value: number) => string;
  /** As `formatY`, for the axis. */
  readonly tickY: (value: number) => string;
  /** The ends of the y axis for the extremes of the data. */
  readonly rangeY: (min: number, max: number) => [number, number];
}

export class LineChart {
  readonly #options: LineChartOptions;
  readonly #plot: uPlot;
  readonly #host: HTMLElement;
  readonly #drawing: HTMLElement;
  readonly #entries: readonly { readonly entry: HTMLElement; readonly value: HTMLElement }[];
  readonly #time: HTMLElement;

  constructor(host: HTMLElement, options: LineChartOptions) {
    this.#host = host;
    this.#options = options;
    const key = make("div", "chart-key");
    this.#entries = options.lines.map((line) => {
      const entry = make("span", "chart-line");
      const marker = make("i", line.dash === undefined ? "marker" : "marker dashed");
      marker.style.color = `var(${line.color})`;
      const value = make("b");
      entry.append(marker, line.label, value);
      key.append(entry);
      return { entry, value };
    });
    this.#time = make("span", "chart-time");
    key.append(this.#time);
    this.#drawing = make("div", "chart-drawing");
    this.#drawing.setAttribute("role", "img");
    host.append(key, this.#drawing);
    this.#plot = new uPlot(this.#uplotOptions(), [[], ...options.lines.map(() => [])], this.#drawing);
    new ResizeObserver(() => this.#fit()).observe(this.#drawing);
    onThemeChange(() => this.#plot.redraw(true, true));
  }

  /** `data[0]` is x; then one list per line, null where it has no point. */
  show(data: uPlot.AlignedData): void {
    this.#plot.setData(data);
    this.#showKey();
  }

  #fit(): void {
    const width = this.#drawing.clientWidth;
    if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#options.height });
  }

  #showKey(): void {
    const { data, cursor } = this.#plot;
    const pointed =
      cursor.idx !== null && cursor.idx !== undefined && (cursor.left ?? -1) >= 0 ? cursor.idx : undefined;
    const texts = this.#options.lines.map((line, index) => {
      const value = newest(data[index + 1], pointed);
      const text = value === undefined ? "" : this.#options.formatY(value);
      const shown = this.#entries[index];
      if (shown !== undefined) {
        setText(shown.value, text);
        // A run without a target has no such line.
        shown.entry.hidden = text === "" && pointed === undefined && data[0].length > 0;
      }
      return text === "" ? "" : `${line.label} ${text}`;
    });
    const x = pointed === undefined ? undefined : data[0][pointed];
    setText(this.#time, x === undefined ? "" : `at ${duration(x)}`);
    if (pointed === undefined) {
      const known = texts.filter((text) => text !== "").join(", ");
      this.#drawing.setAttribute(
        "aria-label",
        `${this.#options.label}. ${known === "" ? "No values yet" : `Newest: ${known}`}.`,
      );
      this.#host.classList.toggle("empty", data[0].length === 0);
    }
  }

  #uplotOptions(): uPlot.Options {
    const { tickY, rangeY, lines, height } = this.#options;
    const font = "12px system-ui, sans-serif";
    const axis: uPlot.Axis = {
      font,
      stroke: () => colorOf("--muted"),
      grid: { stroke: () => colorOf("--line"), width: 1 },
      ticks: { show: false },
      border: { show: false },
    };
    return {
      width: Math.max(240, this.#drawing.clientWidth),
      height,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: false },
        y: { range: (_plot, min, max) => (min === null || max === null ? [0, 1] : rangeY(min, max)) },
      },
      axes: [
        { ...axis, space: 64, size: 26, incrs: TIME_STEPS, values: (_plot, splits) => splits.map(clock) },
        { ...axis, space: 30, size: 50, values: (_plot, splits) => splits.map(tickY) },
      ],
      series: [
        {},
        ...lines.map((line): uPlot.Series => ({
          label: line.label,
          stroke: () => colorOf(line.color),
          width: line.width ?? 2,
          spanGaps: true,
          // A lone point makes no line.
          points: { show: (plot) => plot.data[0].length < 3, size: 6 },
          dash: line.dash ?? [],
        })),
      ],
      hooks: { setCursor: [() => this.#showKey()] },
    };
  }
}

/** The value at `pointed` or before it, or the last one. */
function newest(values: uPlot.AlignedData[number] | undefined, pointed: number | undefined): number | undefined {
  if (values === undefined) return undefined;
  for (let index = pointed ?? values.length - 1; index >= 0; index--) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return undefined;
}
