import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { METRICS } from "../../shared/metrics.ts";

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly query: { readonly query: string } }[] };
}

const dashboard = JSON.parse(
  await readFile(new URL("../../docs/grafana/drove.json", import.meta.url), "utf8"),
) as Dashboard;
const expressions = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.map(({ expr }) => expr),
  ...dashboard.templating.list.map(({ query }) => query.query),
];

/** Under every name that Prometheus has for it, with its kind. */
const SERIES = new Map<string, string>(
  Object.values(METRICS).flatMap(({ name, kind }): [string, string][] =>
    kind === "histogram" ? ["bucket", "sum", "count"].map((part) => [`${name}_${part}`, "counter"]) : [[name, kind]],
  ),
);

test("Every expression of the dashboard asks for metrics that there are", () => {
  const asked = expressions.flatMap((expression) => expression.match(/drove_\w+/g) ?? []);
  expect(asked.filter((name) => !SERIES.has(name))).toEqual([]);
  expect(expressions.filter((expression) => !expression.includes("drove_"))).toEqual([]);
});

test("Every metric is somewhere on the dashboard", () => {
  const text = expressions.join("\n");
  expect([...SERIES.keys()].filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
});

test("Rates are taken of counters and of nothing else, and a counter's whole is shown where it is meant to be", () => {
  for (const expression of expressions) {
    for (const [, name = ""] of expression.matchAll(/\b(?:rate|increase)\((drove_\w+)/g)) {
      expect([expression, SERIES.get(name)]).toEqual([expression, "counter"]);
    }
  }
});

test("Labels in legends and sums are those of the metrics", () => {
  const labels = new Set([
    "instance",
    "le",
    ...Object.values(METRICS).flatMap((metric): readonly string[] => ("labels" in metric ? metric.labels : [])),
  ]);
  const targets = dashboard.panels.flatMap(({ targets: own = [] }) => own);
  for (const { expr, legendFormat } of targets) {
    const inLegend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
    const inSums = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(/,\s*/));
    for (const label of [...inLegend, ...inSums]) expect(labels).toContain(label);
  }
});

test("Panels have ids of their own and do not lie over each other", () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const [index, { gridPos: a, title }] of panels.entries()) {
    expect([title, a.x + a.w]).toEqual([title, Math.min(24, a.x + a.w)]);
    for (const { gridPos: b } of panels.slice(index + 1)) {
      const overlaps = a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
      expect([title, overlaps]).toEqual([title, false]);
    }
  }
});
