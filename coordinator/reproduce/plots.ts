/**
 * The figures of a report, by Vega-Lite into SVG: lines with intervals, bars with intervals, and intervals against a border.
 * On white, so that they can be read on a dark page too.
 */

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

export interface Figure {
  /** Of its file, without the ending. */
  readonly name: string;
  /** What is seen, and what to look for. */
  readonly caption: string;
  readonly spec: TopLevelSpec;
}

interface Axis {
  readonly title: string;
  readonly log?: boolean;
}

interface Named {
  readonly name: string;
  readonly title: string;
  readonly caption: string;
}

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

export interface LineFigure extends Named {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly { readonly name: string; readonly points: readonly Point[] }[];
  readonly rules?: readonly { readonly y: number; readonly label: string }[];
}

export interface BarFigure extends Named {
  readonly y: Axis;
  readonly bars: readonly {
    readonly name: string;
    /** Bars of one group stand together. */
    readonly group?: string;
    readonly value: number;
    readonly low?: number;
    readonly high?: number;
  }[];
  readonly rules?: readonly { readonly y: number; readonly label: string }[];
}

export interface IntervalFigure extends Named {
  readonly x: Axis;
  readonly rows: readonly {
    readonly name: string;
    readonly group?: string;
    readonly value: number;
    readonly low: number;
    readonly high: number;
  }[];
  readonly rules?: readonly { readonly x: number; readonly label: string }[];
}

type Layer = object;

/** Okabe and Ito's colours, told apart by most eyes. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6d3b"];
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "stroke"];

export function lineFigure({ name, title, caption, x, y, series, rules = [] }: LineFigure): Figure {
  const values = series.flatMap(({ name: seriesName, points }) =>
    points.filter(isFinitePoint).map(({ x: at, y: value, low, high }) => {
      return { series: seriesName, x: at, y: value, low: finite(low), high: finite(high) };
    }),
  );
  const order = series.map((one) => one.name);
  const colour = {
    field: "series",
    type: "nominal",
    sort: order,
    title: null,
    scale: { domain: order, range: coloursOf(order) },
  };
  const horizontal = { field: "x", type: "quantitative", ...axisOf(x) };
  const vertical = { field: "y", type: "quantitative", ...axisOf(y) };
  const layer: Layer[] = [
    { mark: { type: "line", strokeWidth: 2 }, encoding: { x: horizontal, y: vertical, color: colour } },
    {
      mark: { type: "point", filled: true, size: 45 },
      encoding: {
        x: horizontal,
        y: vertical,
        color: colour,
        shape: { field: "series", sort: order, title: null, scale: { domain: order, range: shapesOf(order) } },
      },
    },
    {
      transform: [{ filter: "isValid(datum.low) && isValid(datum.high)" }],
      mark: { type: "rule", strokeWidth: 1.5 },
      encoding: {
        x: horizontal,
        y: { field: "low", type: "quantitative", ...axisOf(y) },
        y2: { field: "high" },
        color: colour,
      },
    },
    ...rules.flatMap(({ y: at, label }) => horizontalRule(at, label, y)),
  ];
  return figureOf(name, title, caption, { width: 520, height: 320, data: { values }, layer });
}

export function barFigure({ name, title, caption, y, bars, rules = [] }: BarFigure): Figure {
  const names = unique(bars.map((bar) => bar.name));
  const groups = unique(bars.map((bar) => bar.group ?? ""));
  const isGrouped = groups.length > 1;
  const values = bars
    .filter(({ value }) => Number.isFinite(value))
    .map(({ name: barName, group = "", value, low, high }) => {
      return { name: barName, group, value, low: finite(low), high: finite(high) };
    });
  const along = isGrouped
    ? {
        x: { field: "group", type: "nominal", sort: groups, title: null, axis: { labelAngle: 0 } },
        xOffset: { field: "name", sort: names },
      }
    : { x: { field: "name", type: "nominal", sort: names, title: null, axis: { labelAngle: -25, labelLimit: 240 } } };
  const colour = {
    field: "name",
    type: "nominal",
    sort: names,
    title: null,
    scale: { domain: names, range: coloursOf(names) },
    ...(isGrouped ? {} : { legend: null }),
  };
  const layer: Layer[] = [
    {
      mark: { type: "bar" },
      encoding: { ...along, y: { field: "value", type: "quantitative", ...axisOf(y) }, color: colour },
    },
    {
      transform: [{ filter: "isValid(datum.low) && isValid(datum.high)" }],
      mark: { type: "rule", strokeWidth: 1.5, color: "#333333" },
      encoding: { ...along, y: { field: "low", type: "quantitative", ...axisOf(y) }, y2: { field: "high" } },
    },
    ...rules.flatMap(({ y: at, label }) => horizontalRule(at, label, y)),
  ];
  return figureOf(name, title, caption, {
    width: Math.max(360, 34 * bars.length),
    height: 300,
    data: { values },
    layer,
  });
}

export function intervalFigure({ name, title, caption, x, rows, rules = [] }: IntervalFigure): Figure {
  const names = unique(rows.map((row) => row.name));
  const groups = unique(rows.map((row) => row.group ?? ""));
  const values = rows
    .filter(({ value, low, high }) => [value, low, high].every((one) => Number.isFinite(one)))
    .map(({ name: rowName, group = "", value, low, high }) => ({ name: rowName, group, value, low, high }));
  const vertical = {
    y: { field: "name", type: "nominal", sort: names, title: null, axis: { labelLimit: 320 } },
    ...(groups.length > 1 ? { yOffset: { field: "group", sort: groups } } : {}),
  };
  const colour = {
    field: "group",
    type: "nominal",
    sort: groups,
    title: null,
    scale: { domain: groups, range: coloursOf(groups) },
    ...(groups.length > 1 ? {} : { legend: null }),
  };
  const layer: Layer[] = [
    {
      mark: { type: "rule", strokeWidth: 2 },
      encoding: {
        ...vertical,
        x: { field: "low", type: "quantitative", ...axisOf(x) },
        x2: { field: "high" },
        color: colour,
      },
    },
    {
      mark: { type: "point", filled: true, size: 60 },
      encoding: { ...vertical, x: { field: "value", type: "quantitative", ...axisOf(x) }, color: colour },
    },
    ...rules.flatMap(({ x: at, label }) => verticalRule(at, label, x)),
  ];
  return figureOf(name, title, caption, {
    width: 480,
    height: { step: groups.length > 1 ? 14 : 24 },
    data: { values },
    layer,
  });
}

export async function svgOf({ spec }: Figure): Promise<string> {
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

function figureOf(name: string, title: string, caption: string, rest: object): Figure {
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "#ffffff",
    padding: 14,
    title: { text: title, anchor: "start", fontSize: 14, offset: 10 },
    ...rest,
    config: {
      font: "sans-serif",
      axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", gridColor: "#e6e6e6" },
      legend: { labelFontSize: 11, labelLimit: 260 },
      view: { stroke: "#cccccc" },
    },
  };
  // Put together from parts whose types Vega-Lite would only know as a whole.
  return { name, caption, spec: spec as unknown as TopLevelSpec };
}

function axisOf({ title, log = false }: Axis): object {
  return { title, scale: log ? { type: "log", nice: false, padding: 14 } : { zero: false } };
}

function horizontalRule(at: number, label: string, y: Axis): Layer[] {
  const data = { values: [{ at, label }] };
  const encoding = { y: { field: "at", type: "quantitative", ...axisOf(y) } };
  return [
    { data, mark: { type: "rule", strokeDash: [5, 4], color: "#555555" }, encoding },
    {
      data,
      mark: { type: "text", align: "right", dy: -6, fontSize: 11, color: "#333333" },
      encoding: { ...encoding, x: { value: "width" }, text: { field: "label" } },
    },
  ];
}

function verticalRule(at: number, label: string, x: Axis): Layer[] {
  const data = { values: [{ at, label }] };
  const encoding = { x: { field: "at", type: "quantitative", ...axisOf(x) } };
  return [
    { data, mark: { type: "rule", strokeDash: [5, 4], color: "#555555" }, encoding },
    {
      data,
      mark: { type: "text", align: "left", dx: 4, dy: 8, fontSize: 11, color: "#333333" },
      encoding: { ...encoding, y: { value: 0 }, text: { field: "label" } },
    },
  ];
}

/** An interval's end that cannot be drawn is left out. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function isFinitePoint({ x, y }: Point): boolean {
  return Number.isFinite(x) && Number.isFinite(y);
}

function coloursOf(names: readonly string[]): string[] {
  return names.map((_, index) => COLOURS[index % COLOURS.length] ?? "");
}

function shapesOf(names: readonly string[]): string[] {
  return names.map((_, index) => SHAPES[index % SHAPES.length] ?? "");
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
