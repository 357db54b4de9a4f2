/**
 * A chart of any number of curves, each with its own x values, and marks where something was changed: uPlot draws, this decides how it
 * looks, keeps it as wide as its box, and keys each curve with its newest value, or the value under the pointer.
 */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { AXES, type AxisKind } from "./chart_axis.ts";
import { make, setText } from "./dom.ts";
import { colorOf, onThemeChange } from "./theme.ts";

export interface Curve {
  readonly label: string;
  /** A custom property, such as `--fir`. */
  readonly color: string;
  readonly width?: number;
  readonly dash?: number[];
  /** Ascending. */
  readonly x: readonly number[];
  /** As many; null where it has no point. */
  readonly y: readonly (number | null)[];
}

export interface Mark {
  readonly x: number;
  readonly text: string;
  readonly color: string;
}

export interface CurveChartOptions {
  /** For those who cannot see it. */
  readonly label: string;
  readonly height: number;
  readonly formatY: (value: number) => string;
  /** As `formatY`, for the axis. */
  readonly tickY: (value: number) => string;
  /** The ends of the y axis for the extremes of the data. */
  readonly rangeY: (min: number, max: number) => [number, number];
}

export interface Drawing {
  readonly axis: AxisKind;
  readonly curves: readonly Curve[];
  readonly marks: readonly Mark[];
  /** Where the x axis ends at least: a replay's whole length. */
  readonly endX?: number | undefined;
}

/** From a mark to the pointer, to tell what it is. */
const NEAR_PX = 7;

export class CurveChart {
  readonly #options: CurveChartOptions;
  readonly #host: HTMLElement;
  readonly #key = make("div", "chart-key");
  readonly #drawingBox = make("div", "chart-drawing");
  readonly #place = make("span", "chart-time");
  #entries: { readonly entry: HTMLElement; readonly value: HTMLElement }[] = [];
  #plot: uPlot | undefined;
  #drawn = "";
  #drawing: Drawing = { axis: "seconds", curves: [], marks: [] };

  constructor(host: HTMLElement, options: CurveChartOptions) {
    this.#host = host;
    this.#options = options;
    this.#drawingBox.setAttribute("role", "img");
    host.append(this.#key, this.#drawingBox);
    new ResizeObserver(() => this.#fit()).observe(this.#drawingBox);
    onThemeChange(() => this.#plot?.redraw(true, true));
    this.show(this.#drawing);
  }

  show(drawing: Drawing): void {
    this.#drawing = drawing;
    const shape = JSON.stringify(drawing.curves.map(({ label, color, width, dash }) => [label, color, width, dash]));
    const data = aligned(drawing.curves);
    if (this.#plot === undefined || shape !== this.#drawn) {
      this.#drawn = shape;
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#uplotOptions(drawing.curves), data, this.#drawingBox);
      this.#makeKey(drawing.curves);
    } else {
      this.#plot.setData(data);
    }
    this.#showKey();
  }

  #fit(): void {
    const width = this.#drawingBox.clientWidth;
    if (this.#plot !== undefined && width > 0 && width !== this.#plot.width)
      this.#plot.setSize({ width, height: this.#options.height });
  }

  #makeKey(curves: readonly Curve[]): void {
    this.#entries = curves.map(({ label, color, dash }) => {
      const entry = make("span", "chart-line");
      const marker = make("i", dash === undefined ? "marker" : "marker dashed");
      marker.style.color = `var(${color})`;
      const value = make("b");
      entry.append(marker, label, value);
      return { entry, value };
    });
    this.#key.replaceChildren(...this.#entries.map(({ entry }) => entry), this.#place);
  }

  #showKey(): void {
    const plot = this.#plot;
    if (plot === undefined) return;
    const { data, cursor } = plot;
    const left = cursor.left ?? -1;
    const pointed = cursor.idx !== null && cursor.idx !== undefined && left >= 0 ? cursor.idx : undefined;
    const texts = this.#drawing.curves.map((curve, index) => {
      const value = newest(data[index + 1], pointed);
      const text = value === undefined ? "" : this.#options.formatY(value);
      const shown = this.#entries[index];
      if (shown !== undefined) {
        setText(shown.value, text);
        // A run without a target has no such line.
        shown.entry.hidden = text === "" && pointed === undefined && data[0].length > 0;
      }
      return text === "" ? "" : `${curve.label} ${text}`;
    });
    const x = pointed === undefined ? undefined : data[0][pointed];
    setText(this.#place, x === undefined ? "" : this.#placeWords(plot, x, left));
    if (pointed !== undefined) return;
    const known = texts.filter((text) => text !== "").join(", ");
    this.#drawingBox.setAttribute(
      "aria-label",
      `${this.#options.label}. ${known === "" ? "No values yet" : `Newest: ${known}`}.`,
    );
    this.#host.classList.toggle("empty", data[0].length === 0);
  }

  /** Where the pointer is, and what was changed there. */
  #placeWords(plot: uPlot, x: number, left: number): string {
    const near = this.#drawing.marks
      .map((mark) => ({ mark, px: Math.abs(plot.valToPos(mark.x, "x") - left) }))
      .filter(({ px }) => px <= NEAR_PX)
      .toSorted((a, b) => a.px - b.px)[0];
    return near === undefined ? `at ${AXES[this.#drawing.axis].place(x)}` : near.mark.text;
  }

  #uplotOptions(curves: readonly Curve[]): uPlot.Options {
    const { tickY, rangeY, height } = this.#options;
    const axis: uPlot.Axis = {
      font: "12px system-ui, sans-serif",
      stroke: () => colorOf("--muted"),
      grid: { stroke: () => colorOf("--line"), width: 1 },
      ticks: { show: false },
      border: { show: false },
    };
    return {
      width: Math.max(240, this.#drawingBox.clientWidth),
      height,
      padding: [12, 12, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: false, range: (_plot, min, max) => this.#rangeX(min, max) },
        y: { range: (_plot, min, max) => (min === null || max === null ? [0, 1] : rangeY(min, max)) },
      },
      axes: [
        {
          ...axis,
          space: 64,
          size: 26,
          incrs: (plot, index, min, max, dim, space) => this.#steps(plot, index, min, max, dim, space),
          values: (_plot, splits) => splits.map((value) => AXES[this.#drawing.axis].tick(value)),
        },
        { ...axis, space: 30, size: 54, values: (_plot, splits) => splits.map(tickY) },
      ],
      series: [{}, ...curves.map(seriesOf)],
      hooks: { setCursor: [() => this.#showKey()], drawAxes: [(plot) => this.#drawMarks(plot)] },
    };
  }

  #rangeX(min: number | null, max: number | null): [number, number] {
    const { endX = 0, axis } = this.#drawing;
    const last = Math.max(max ?? 0, endX);
    // Of times and counts the beginning is part of the picture, unless a run is looked at late in a long life.
    const first = min === null || min < last / 2 ? 0 : min;
    return [first, last > first ? last : first + (axis === "seconds" ? 10 : 1000)];
  }

  #steps(_plot: uPlot, _index: number, min: number, max: number, _dim: number, _space: number): number[] {
    const { steps } = AXES[this.#drawing.axis];
    if (steps !== undefined) return steps;
    const decades: number[] = [];
    for (let ten = 10 ** Math.floor(Math.log10((max - min) / 100 || 1)); ten <= max - min; ten *= 10)
      decades.push(ten, 2 * ten, 5 * ten);
    return decades;
  }

  #drawMarks(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const { min = 0, max = 0 } = plot.scales["x"] ?? {};
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    for (const { x, color } of this.#drawing.marks) {
      if (x < (min ?? 0) || x > (max ?? 0)) continue;
      const left = Math.round(plot.valToPos(x, "x", true));
      ctx.strokeStyle = colorOf(color);
      ctx.fillStyle = colorOf(color);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(left - 4 * ratio, bbox.top - 7 * ratio);
      ctx.lineTo(left + 4 * ratio, bbox.top - 7 * ratio);
      ctx.lineTo(left, bbox.top);
      ctx.fill();
    }
    ctx.restore();
  }
}

function seriesOf(curve: Curve): uPlot.Series {
  return {
    label: curve.label,
    stroke: () => colorOf(curve.color),
    width: curve.width ?? 2,
    spanGaps: true,
    // A lone point makes no line.
    points: { show: (plot) => plot.data[0].length < 3, size: 6 },
    dash: curve.dash ?? [],
  };
}

/** All curves over one list of x values, as uPlot wants them. */
function aligned(curves: readonly Curve[]): uPlot.AlignedData {
  const [first] = curves;
  if (first === undefined) return [[]];
  if (curves.every(({ x }) => x === first.x)) return [[...first.x], ...curves.map(({ y }) => [...y])];
  return uPlot.join(curves.map(({ x, y }) => [[...x], [...y]]));
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
