/**
 * What the volunteer's page costs and how fast it obeys: `node test/bench/page.ts [--model lenet] [--backends wasm,webgpu,auto]
 * [--visits 3] [--seconds 8] [--json]`. A coordinator in this process, raw Chromium, a probe in the page. About four minutes; prints
 * a table of goals and measurements as Markdown on standard output. Linux only: what computes is read from /proc.
 */

import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { isModelName } from "../../shared/model/catalogue.ts";
import { gzipBytesOf, loadedBy } from "../support/page_weight.ts";
import { measureFirstStep, measureSession, type FirstStep, type Session } from "./page/measures.ts";
import { openStage } from "./page/stage.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "lenet" },
    backends: { type: "string", default: "wasm,webgpu,auto" },
    /** For the time to the first step: its median counts. */
    visits: { type: "string", default: "3" },
    /** At each power. */
    seconds: { type: "string", default: "8" },
    json: { type: "boolean", default: false },
  },
});

const GOALS = { firstStepMs: 3000, longTaskMs: 50, stopMs: 250, dutyPoints: 10, codeBytes: 150_000 } as const;
const BACKENDS = ["wasm", "webgpu", "auto", "hybrid"];

function usageError(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}

function wholeNumber(flag: "visits" | "seconds"): number {
  const value = Number(flags[flag]);
  if (Number.isSafeInteger(value) && value >= 1 && value <= 600) return value;
  return usageError(`--${flag} is a whole number from 1 to 600; found "${flags[flag]}".`);
}

interface Row {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  readonly isReached: boolean;
}

if (process.platform !== "linux") usageError("This benchmark reads /proc, which only Linux has.");
if (!isModelName(flags.model)) usageError(`--model is the name of a model of the catalogue; found "${flags.model}".`);
const backends = flags.backends.split(",");
const strange = backends.find((backend) => !BACKENDS.includes(backend));
if (strange !== undefined) usageError(`--backends are of ${BACKENDS.join(", ")}; found "${strange}".`);
const visits = wholeNumber("visits");
const seconds = wholeNumber("seconds");

const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
const loadBefore = loadavg()[0] ?? 0;
const stage = await openStage(flags.model);
console.error(
  `page: ${device}, Node ${process.version}, ${stage.adapter}, ${date}; load before ${loadBefore.toFixed(1)}`,
);
const rows: Row[] = [weightRow()];
const firstSteps = new Map<string, readonly FirstStep[]>();
const sessions = new Map<string, Session>();
try {
  for (const backend of backends) {
    const steps: FirstStep[] = [];
    for (let visit = 0; visit < visits; visit++) steps.push(await measureFirstStep(stage, backend));
    firstSteps.set(backend, steps);
    add(firstStepRow(backend, steps));
  }
  for (const backend of backends.filter((name) => name === "wasm" || name === "webgpu")) {
    const session = await measureSession(stage, backend, 1000 * seconds);
    sessions.set(backend, session);
    for (const row of sessionRows(backend, session)) add(row);
  }
} finally {
  await stage.close();
}
console.log(`| what | goal | measured |\n| --- | --- | --- |`);
for (const { what, goal, measured, isReached } of rows) {
  console.log(`| ${what} | ${goal} | ${isReached ? "" : "**missed:** "}${measured} |`);
}
const found = { firstSteps: Object.fromEntries(firstSteps), sessions: Object.fromEntries(sessions) };
if (flags.json) console.log(JSON.stringify({ bench: "page", device, date, loadBefore, goals: GOALS, ...found }));

function add(row: Row): void {
  rows.push(row);
  console.error(`  ${row.what.padEnd(60)} ${row.measured} (goal ${row.goal})`);
}

function weightRow(): Row {
  const volunteer = gzipBytesOf(loadedBy("index.html"));
  const operator = gzipBytesOf(loadedBy("operator.html"));
  return {
    what: "page code before Start, compressed (volunteer; operator)",
    goal: `≤ ${GOALS.codeBytes / 1000} kB`,
    measured: `${kB(volunteer)}; ${kB(operator)}`,
    isReached: Math.max(volunteer, operator) <= GOALS.codeBytes,
  };
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function firstStepRow(backend: string, steps: readonly FirstStep[]): Row {
  const without = median(steps.map(({ withoutMeasuringMs }) => withoutMeasuringMs));
  const total = median(steps.map(({ totalMs }) => totalMs));
  const start = median(steps.map(({ startMs }) => startMs));
  return {
    what: `link to first local step, tuning excluded, ${backend} (median of ${steps.length})`,
    goal: `< ${GOALS.firstStepMs / 1000} s`,
    measured: `${ms(without)} (Start pressed after ${ms(start)}; with measuring backends ${ms(total)})`,
    isReached: without < GOALS.firstStepMs,
  };
}

function sessionRows(backend: string, { longTasks, duty, stopShownMs, stopIdleMs }: Session): Row[] {
  const { loading, training, trainedMs } = longTasks;
  const farthest = Math.max(...duty.map(({ asked, computed }) => 100 * Math.abs(asked - computed)));
  return [
    {
      what: `tasks over ${GOALS.longTaskMs} ms on the page's thread while training, ${backend}`,
      goal: "none",
      measured: `${listed(training)} in ${Math.round(trainedMs / 1000)} s (before Start: ${listed(loading)})`,
      isReached: training.length === 0,
    },
    {
      what: `Stop until the device is idle, ${backend}`,
      goal: `≤ ${GOALS.stopMs} ms`,
      measured: `${ms(stopIdleMs)} (said after ${ms(stopShownMs)})`,
      isReached: stopIdleMs <= GOALS.stopMs,
    },
    {
      what: `duty cycle 75 / 50 / 25 %, ${backend}`,
      goal: `± ${GOALS.dutyPoints} points`,
      measured: duty.map(({ computed }) => percent(computed)).join(" / "),
      isReached: farthest <= GOALS.dutyPoints,
    },
  ];
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function listed(durations: readonly number[]): string {
  return durations.length === 0 ? "none" : `${durations.length} (${durations.map(ms).join(", ")})`;
}
