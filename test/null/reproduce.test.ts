import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findingOf } from "../../coordinator/reproduce/findings.ts";
import type { Experiment, Paper } from "../../coordinator/reproduce/paper.ts";
import { PAPER_NAMES, paperOf } from "../../coordinator/reproduce/papers.ts";
import { barFigure, intervalFigure, lineFigure, svgOf } from "../../coordinator/reproduce/plots.ts";
import { reproduce } from "../../coordinator/reproduce/reproduction.ts";
import { runNames } from "../../coordinator/store/run_folder.ts";
import { meanOf } from "../../coordinator/reproduce/statistics.ts";
import { runDrove, type Ended } from "../support/drove_command.ts";

const TASK = new URL("../support/square_task.ts", import.meta.url);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-reproduce-"));
});
afterAll(() => rm(folder, { recursive: true }));

function drove(...args: string[]): Promise<Ended> {
  return runDrove(folder, args);
}

/** Every tag that is opened is closed, in order. */
function expectSvg(svg: string): void {
  const open: string[] = [];
  for (const [, closing, name, rest] of svg.matchAll(/<(\/?)([a-zA-Z][\w:-]*)([^>]*)>/g)) {
    if (closing === "/") expect(open.pop()).toBe(name);
    else if (!rest?.endsWith("/")) open.push(name ?? "");
  }
  expect(open).toEqual([]);
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
}

/** Squares of the seeds: the mean of 1, 4 and 9 is 4.67, and its interval reaches from -5.4 to 14.7. */
const SQUARES: Experiment = {
  name: "squares",
  title: "Squares of the seeds",
  method: "Each seed is squared in a thread.",
  claims: [
    { id: "large", statement: "Squares are above -100", paperValue: "above", unit: "on average" },
    { id: "above-nought", statement: "Squares are above 0", paperValue: "above", unit: "on average" },
    { id: "left-out", statement: "A reduced run leaves this out", paperValue: "-", unit: "" },
  ],
  run: async ({ pool, seeds, record, figure, table }) => {
    const squares = await Promise.all(seeds.map((value) => pool.run<number>(TASK, { value, delayMs: 0 })));
    record("squares", squares);
    table({ title: "Squares", columns: ["seed", "square"], rows: seeds.map((seed, at) => [seed, squares[at] ?? 0]) });
    figure(barFigure({ name: "bars", title: "Squares", caption: "All.", y: { title: "square" }, bars: [] }));
    return [
      findingOf("large", meanOf(squares), { kind: "above", border: -100 }),
      findingOf("above-nought", meanOf(squares), { kind: "above", border: 0 }),
    ];
  },
};

const SLOW: Experiment = {
  ...SQUARES,
  name: "slow",
  claims: [{ id: "slow", statement: "This ends", paperValue: "in time", unit: "" }],
  run: async ({ pool }) => {
    await pool.run<number>(TASK, { value: 1, delayMs: 60_000 });
    return [];
  },
};

const PAPER: Paper = {
  name: "tiny",
  title: "A tiny paper",
  summary: "Nothing is simulated.",
  seeds: { quick: 2, full: 3 },
  experiments: [SQUARES, SLOW],
};

const REQUEST = { paper: PAPER, isQuick: false, seeds: undefined, only: undefined, maxSeconds: 2, note: () => {} };

test("A paper's claims end with verdicts, an experiment that takes too long with none, and the report has it all", async () => {
  const { folder: path, claims } = await reproduce({ ...REQUEST, runsFolder: folder });
  expect(path).toBe(join(folder, ".reproductions", "tiny-1"));
  expect(claims).toMatchObject([
    { id: "large", verdict: "reproduced", seeds: 3, seedsToDecide: null },
    // Deviation 4.04 around 4.67: t(0.975, 5) 4.04 / sqrt(6) = 4.24 is the first to leave 0.
    { id: "above-nought", verdict: "inconclusive", measured: 14 / 3, seeds: 3, seedsToDecide: 6 },
    { id: "slow", verdict: "inconclusive", measured: null, interval: null, seeds: 0 },
  ]);
  expect((await readdir(path)).toSorted()).toEqual(["report.md", "results.json", "squares-bars.svg"]);
  const results = JSON.parse(await readFile(join(path, "results.json"), "utf8")) as Record<string, unknown>;
  expect(results).toMatchObject({ paper: "tiny", claims, experiments: { squares: { squares: [1, 4, 9] } } });
  const report = await readFile(join(path, "report.md"), "utf8");
  expect(report).toContain("| Squares are above 0 | above | 4.67 on average (-5.37 to 14.7, n = 3) |");
  expect(report).toContain("**inconclusive; n = 6 would decide it**");
  expect(report).toContain("![All.](squares-bars.svg)");
  expect(report).toContain("| 3 | 9 |");
  expect(report).toContain("Not finished in the time of this reproduction.");
});

test("Seeds and experiments can be chosen, and each reproduction has a folder of its own, which is no run", async () => {
  const chosen = { ...REQUEST, runsFolder: folder, seeds: 5, only: "squares" };
  const [first, second] = [await reproduce(chosen), await reproduce(chosen)];
  expect(first.claims.map(({ seeds }) => seeds)).toEqual([5, 5]);
  expect(second.claims).toEqual(first.claims);
  expect(first.folder).not.toBe(second.folder);
  expect(await runNames(folder)).toEqual([]);
  await expect(reproduce({ ...chosen, only: "none" })).rejects.toThrow(
    '--only is "none"; accepted for tiny is squares or slow.',
  );
});

test("An experiment's own fault is no verdict", async () => {
  const broken = { ...SQUARES, run: () => Promise.reject(new Error("broken")) };
  const paper = { ...PAPER, experiments: [broken] };
  await expect(reproduce({ ...REQUEST, paper, runsFolder: folder })).rejects.toThrow("broken");
});

test("Figures are well-formed SVG with what they show, on white", async () => {
  const named = { name: "x", title: "Time & more", caption: "" };
  const lines = lineFigure({
    ...named,
    x: { title: "tau", log: true },
    y: { title: "error" },
    series: [
      { name: "first", points: [1, 10].map((x) => ({ x, y: x / 2, low: x / 3, high: Infinity })) },
      { name: "second", points: [{ x: 1, y: Number.NaN }] },
    ],
    rules: [{ y: 1, label: "border" }],
  });
  const bars = barFigure({
    ...named,
    y: { title: "seconds" },
    bars: ["one", "two"].map((name, at) => ({ name, group: `P = ${at}`, value: at + 1, low: at, high: at + 2 })),
  });
  const intervals = intervalFigure({
    ...named,
    x: { title: "ratio" },
    rows: [{ name: "one", value: 1, low: 0.5, high: 1.5 }],
    rules: [{ x: 1, label: "equal" }],
  });
  for (const [figure, words] of [
    [lines, ["Time &amp; more", "tau", "error", "first", "second", "border"]],
    [bars, ["seconds", "P = 0", "P = 1", "two"]],
    [intervals, ["ratio", "one", "equal"]],
  ] as const) {
    const svg = await svgOf(figure);
    expectSvg(svg);
    for (const word of words) expect(svg).toContain(`>${word}</text>`);
    expect(svg).toContain('fill="#ffffff"');
  }
});

test("Every paper has a name, claims with ids of their own, and experiments whose names fit file names", async () => {
  for (const name of PAPER_NAMES) {
    const paper = await paperOf(name);
    expect(paper?.name).toBe(name);
    const { experiments = [], summary = "" } = paper ?? {};
    const ids = experiments.flatMap(({ claims }) => claims.map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(0);
    expect(new Set(ids).size).toBe(ids.length);
    expect(summary.length).toBeGreaterThan(40);
    for (const experiment of experiments) expect(experiment.name).toMatch(/^[a-z0-9-]+$/);
  }
});

test("The command writes the report and ends with one JSON object: packed messages against one for each tensor", async () => {
  const flags = ["--only", "messages", "--quick", "--seeds", "2", "--json"];
  const { exitCode, stdout, stderr } = await drove("reproduce", "sc17", ...flags);
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining("verdict")]);
  const result = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    paper: string;
    report: string;
    claims: Record<string, unknown>[];
  };
  expect(result.paper).toBe("sc17");
  expect(result.claims.map(({ id }) => id)).toEqual(["packed-faster", "packed-saving"]);
  for (const claim of result.claims) {
    expect(Object.keys(claim)).toEqual(
      expect.arrayContaining(["id", "statement", "paperValue", "measured", "interval", "seeds", "verdict"]),
    );
    expect(["reproduced", "not reproduced", "inconclusive"]).toContain(claim["verdict"]);
    expect(claim["seeds"]).toBe(2);
    expect(claim["measured"]).toBeGreaterThan(0);
  }
  const files = join(folder, result.report, "..");
  expect(await readFile(join(folder, result.report), "utf8")).toContain("(messages-times.svg)");
  expectSvg(await readFile(join(files, "messages-times.svg"), "utf8"));
});

test("A paper that nobody has is refused with the names of those there are", async () => {
  const { exitCode, stdout, stderr } = await drove("reproduce", "cct");
  expect([exitCode, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^drove: The paper is "cct"; accepted is .*sc17.* or [a-z0-9-]+\.\n$/);
  const seeds = await drove("reproduce", "sc17", "--seeds", "many");
  expect(seeds.stderr).toBe('drove: --seeds is "many"; accepted is a whole number from 1 to 1000.\n');
});
