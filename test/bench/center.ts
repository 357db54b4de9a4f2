/**
 * How fast the center applies, against copying memory and against its locked twin: `node test/bench/center.ts [--quick]
 * [--elements 431080] [--minutes 20] [--json]`. Two raw threads run the coordinator's own kernels over one shared memory. In every round all variants run
 * once, close together, so that a neighbour's load meets all alike; a round counts only if two threads that own a half
 * each are at least 1.7 times as fast as one, because otherwise there were no two processors to measure with.
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { compileKernels } from "../../coordinator/center/kernels.ts";
import type { WasmModule } from "../../coordinator/center/wasm_api.ts";
import { codecReport, printCodecs, type CodecReport } from "./center/codec_report.ts";
import { openRig, type Rig } from "./center/open_rig.ts";
import { VARIANTS, type Variant } from "./center/rig.ts";

const SIZES = [
  { elements: 431_080, areas: 8, roundsAtOnce: 50 },
  { elements: 25_000_000, areas: 2, roundsAtOnce: 4 },
];
const GOALS = { lockFreeOverLocked: 1.5, fractionOfMemcpy: 0.8 };
const LEAST_SCALING = 1.7;
/** Until then V8 has compiled every kernel with its optimiser, in a thread that a busy machine holds up. */
const WARM_UP_MS = 2000;
const ADD_ONES_PASSES = 60;

interface Effort {
  /** Rounds to count. */
  readonly pairs: number;
  /** Rounds to try at most, and for how long, at each size. */
  readonly attempts: number;
  readonly timeLimitMs: number;
}

const FULL: Effort = { pairs: 1000, attempts: 5000, timeLimitMs: 20 * 60_000 };
const QUICK: Effort = { pairs: 100, attempts: 500, timeLimitMs: 60_000 };

interface SizeReport {
  readonly elements: number;
  readonly roundsCounted: number;
  readonly rounds: number;
  readonly lockFreeOverLocked: number;
  /** One thread, elements/s over elements/s. */
  readonly fractionOfMemcpy: number;
  /** One thread, bytes touched/s: an apply reads and writes two vectors (16 bytes an element), a copy one of each (8). */
  readonly bandwidthOfMemcpy: number;
  readonly lockFreeOverOneThread: number;
  readonly halvesScaling: number;
  /** Adding without keeping what was there (12 bytes an element with the read for ownership, like a copy). */
  readonly leanFractionOfMemcpy: number;
  readonly lostUpdateFraction: number;
  readonly lostUpdateFractionSameStart: number;
  /** Always 0, from the same start too. */
  readonly lostUpdateFractionCas: number;
  readonly casOverLocked: number;
  readonly gradientFractionOfMemcpy: number;
  /** Three vectors are read and written. */
  readonly momentumFractionOfMemcpy: number;
  readonly gradientLockFreeOverLocked: number;
  readonly gradientCasOverLocked: number;
  readonly elementsPerSecond: Record<Variant, number>;
  readonly codecs: CodecReport;
}

type Round = Record<Variant, number>;

/** Elements per second of every variant: each moves two vectors' worth. */
function roundOf(timesMs: readonly number[], elements: number): Round {
  const speeds = VARIANTS.map((variant, k) => [variant, (2 * elements) / (timesMs[k]! / 1000)]);
  return Object.fromEntries(speeds) as Round;
}

async function countedRounds(
  rig: Rig,
  elements: number,
  roundsAtOnce: number,
  effort: Effort,
): Promise<{ counted: Round[]; rounds: number }> {
  const warmUntilMs = performance.now() + WARM_UP_MS;
  do await rig.run({ kind: "rounds", rounds: roundsAtOnce, of: "moves" });
  while (performance.now() < warmUntilMs);
  const counted: Round[] = [];
  let rounds = 0;
  const deadlineMs = performance.now() + effort.timeLimitMs;
  while (counted.length < effort.pairs && rounds < effort.attempts && performance.now() < deadlineMs) {
    for (const timesMs of await rig.run({ kind: "rounds", rounds: roundsAtOnce, of: "moves" })) {
      rounds++;
      const round = roundOf(timesMs, elements);
      if (round.swapHalves >= LEAST_SCALING * round.swapOne) counted.push(round);
    }
    progress(`${elements} elements: ${counted.length} of ${effort.pairs} rounds counted, ${rounds} tried`);
  }
  progress("");
  return { counted, rounds };
}

/** The part of "add one to every element" that two racing threads did not leave in the center. */
async function lostUpdateFraction(
  rig: Rig,
  elements: number,
  how: { readonly staggered: boolean; readonly isAtomic: boolean },
): Promise<number> {
  const center = rig.memory.values(rig.memory.layout.center);
  center.fill(0);
  await rig.run({ kind: "add-ones", passes: ADD_ONES_PASSES, ...how, ones: rig.ones });
  let arrived = 0;
  for (let k = 0; k < elements; k++) arrived += center[k]!;
  return 1 - arrived / (2 * ADD_ONES_PASSES * elements);
}

async function measureSize(module: WasmModule, size: (typeof SIZES)[number], effort: Effort): Promise<SizeReport> {
  const { elements } = size;
  const rig = await openRig(module, elements, size.areas);
  const { counted, rounds } = await countedRounds(rig, elements, size.roundsAtOnce, effort);
  const of = (value: (round: Round) => number): number => median(counted.map(value));
  const report: SizeReport = {
    elements,
    roundsCounted: counted.length,
    rounds,
    lockFreeOverLocked: of((round) => round.swapLockFree / round.swapLocked),
    fractionOfMemcpy: of((round) => round.swapOne / round.copyOne),
    bandwidthOfMemcpy: of((round) => (16 * round.swapOne) / (8 * round.copyOne)),
    lockFreeOverOneThread: of((round) => round.swapLockFree / round.swapOne),
    halvesScaling: of((round) => round.swapHalves / round.swapOne),
    leanFractionOfMemcpy: of((round) => round.leanOne / round.copyOne),
    lostUpdateFraction: await lostUpdateFraction(rig, elements, { staggered: true, isAtomic: false }),
    lostUpdateFractionSameStart: await lostUpdateFraction(rig, elements, { staggered: false, isAtomic: false }),
    lostUpdateFractionCas: await lostUpdateFraction(rig, elements, { staggered: false, isAtomic: true }),
    casOverLocked: of((round) => round.swapCas / round.swapLocked),
    gradientFractionOfMemcpy: of((round) => round.descendOne / round.copyOne),
    momentumFractionOfMemcpy: of((round) => round.momentumOne / round.copyOne),
    gradientLockFreeOverLocked: of((round) => round.descendLockFree / round.descendLocked),
    gradientCasOverLocked: of((round) => round.descendCas / round.descendLocked),
    elementsPerSecond: Object.fromEntries(
      VARIANTS.map((variant) => [variant, of((round) => round[variant])]),
    ) as SizeReport["elementsPerSecond"],
    codecs: await codecReport(rig, {
      roundsAtOnce: size.roundsAtOnce,
      rounds: effort.pairs,
      timeLimitMs: effort.timeLimitMs,
    }),
  };
  await rig.close();
  return report;
}

function median(values: number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`);
}

const ROW_NAMES: Record<Variant, string> = {
  copyOne: "memcpy, 1 thread",
  swapOne: "apply, 1 thread",
  leanOne: "add only, 1 thread",
  swapLocked: "apply, 2 threads locked",
  swapLockFree: "apply, 2 threads lock-free",
  swapCas: "apply, 2 threads compare-and-swap",
  swapHalves: "apply, 2 threads own halves",
  descendOne: "gradient, 1 thread",
  momentumOne: "gradient with momentum, 1 thread",
  descendLocked: "gradient, 2 threads locked",
  descendLockFree: "gradient, 2 threads lock-free",
  descendCas: "gradient, 2 threads compare-and-swap",
};

const RATIOS = [
  "lockFreeOverOneThread",
  "halvesScaling",
  "leanFractionOfMemcpy",
  "casOverLocked",
  "gradientFractionOfMemcpy",
  "momentumFractionOfMemcpy",
  "gradientLockFreeOverLocked",
  "gradientCasOverLocked",
] as const;

function line(name: string, text: string): void {
  console.error(`  ${name.padEnd(48)} ${text}`);
}

function print(report: SizeReport, effort: Effort): void {
  console.error(`\n${report.elements.toLocaleString("en")} elements`);
  const short = report.roundsCounted < effort.pairs ? `, fewer than the ${effort.pairs} asked for` : "";
  line("rounds counted", `${report.roundsCounted} of ${report.rounds}${short}`);
  printCodecs(report.codecs, line);
  if (report.roundsCounted === 0) return line("no result", "the machine had no two free processors; try again");
  for (const variant of VARIANTS) {
    line(ROW_NAMES[variant], `${(report.elementsPerSecond[variant] / 1e9).toFixed(2)} billion elements/s`);
  }
  for (const goal of ["lockFreeOverLocked", "fractionOfMemcpy"] as const) {
    const [value, least] = [report[goal], GOALS[goal]];
    line(goal, `${value.toFixed(2)}   goal ${least.toFixed(2)}   ${value >= least ? "reached" : "MISSED"}`);
  }
  line("bandwidthOfMemcpy (16 B against 8 B an element)", report.bandwidthOfMemcpy.toFixed(2));
  for (const ratio of RATIOS) line(ratio, report[ratio].toFixed(2));
  line("lostUpdateFraction", report.lostUpdateFraction.toExponential(1));
  line("lostUpdateFraction from the same start", report.lostUpdateFractionSameStart.toExponential(1));
  line("lostUpdateFraction with compare-and-swap", report.lostUpdateFractionCas.toExponential(1));
}

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    /** One of the sizes alone. */
    elements: { type: "string" },
    /** At each size, for as many rounds as can be counted in them. */
    minutes: { type: "string" },
  },
});
const planned = flags.quick ? QUICK : FULL;
const effort = flags.minutes ? { ...planned, timeLimitMs: Number(flags.minutes) * 60_000 } : planned;
const chosen = flags.elements ? SIZES.filter(({ elements }) => elements === Number(flags.elements)) : SIZES;
if (chosen.length === 0 || !(effort.timeLimitMs > 0)) {
  console.error("--elements is 431080 or 25000000, and --minutes a number above 0.");
  process.exit(2);
}
const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
console.error(`center: ${device}, ${date}`);
const module = await compileKernels();
const sizes: SizeReport[] = [];
for (const size of chosen) {
  const report = await measureSize(module, size, effort);
  print(report, effort);
  sizes.push(report);
}
if (flags.json) console.log(JSON.stringify({ bench: "center", device, date, goals: GOALS, sizes }));
process.exitCode = sizes.every(({ roundsCounted }) => roundsCounted > 0) ? 0 : 1;
