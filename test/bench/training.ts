/**
 * A training step of Drove against other engines on the same adapter, with the same data, weights and batches:
 * `node test/bench/training.ts [--against tfjs,jax] [--workloads mlp,lenet,cifar-quick,resnet-20] [--runtime chromium|node]
 * [--batch N]
 * [--tune-ms 3000] [--quick] [--json]`. Without a GPU it takes about an hour, with `--quick` at most ten minutes. Exit code 1
 * where an engine of ours was not measured, or losses differ.
 */

import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "vite";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import { trainingExamples } from "./training/data.ts";
import { isContestantName, CONTESTANTS, type ContestantName, type Job } from "./training/job.ts";
import { measureWorkload, type Effort } from "./training/measure.ts";
import {
  geometricMean,
  LOSS_TOLERANCE,
  reportWorkload,
  tableOf,
  type TrainingReport,
  type WorkloadReport,
} from "./training/report.ts";
import { openChromium, openNode, type Venue } from "./training/venue.ts";
import { BATCHES, MOMENTUM, SEED, WORKLOADS, type Workload } from "./training/workloads.ts";

const FULL: Omit<Effort, "tuneMs" | "endMs"> = {
  firstSteps: 5,
  rounds: 7,
  roundMs: 3000,
  mostStepsPerRound: 100,
  firstLimitMs: 600_000,
  stepLimitMs: 600_000,
};
const QUICK: Omit<Effort, "tuneMs" | "endMs"> = {
  firstSteps: 3,
  rounds: 3,
  roundMs: 1000,
  mostStepsPerRound: 50,
  firstLimitMs: 180_000,
  stepLimitMs: 60_000,
};
/** For what is planned, and until the end comes whatever is missing. */
const TIME_MS = { full: 90 * 60_000, quick: 8.5 * 60_000 };
const END_MS = { full: 180 * 60_000, quick: 9.5 * 60_000 };
const OURS: readonly ContestantName[] = ["drove-webgpu", "drove-wasm"];

const { values: flags } = parseArgs({
  options: {
    against: { type: "string", default: "tfjs,jax" },
    workloads: { type: "string", default: WORKLOADS.map(({ name }) => name).join(",") },
    runtime: { type: "string", default: "chromium" },
    /** Instead of each workload's own. */
    batch: { type: "string" },
    /** What our WebGPU backend may take to choose its kernels by measuring, after the first steps. */
    "tune-ms": { type: "string", default: "3000" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const peers = flags.against === "" ? [] : flags.against.split(",");
const chosen = flags.workloads.split(",").map((name) => WORKLOADS.find((workload) => workload.name === name) ?? name);
const problem = problemWithFlags();
if (problem !== undefined) {
  console.error(problem);
  process.exit(2);
}
const report = await benchmark(chosen as Workload[], peers as ContestantName[]);
console.error(`\n${tableOf(report)}\n`);
if (flags.json) console.log(JSON.stringify(report));
const failures = report.workloads.flatMap(failuresOf);
for (const failure of failures) console.error(failure);
process.exit(failures.length === 0 ? 0 : 1);

function problemWithFlags(): string | undefined {
  const names = Object.keys(CONTESTANTS).filter((name) => !(OURS as readonly string[]).includes(name));
  const unknownPeer = peers.find((name) => !names.includes(name) || !isContestantName(name));
  if (unknownPeer !== undefined) return `There is no peer "${unknownPeer}"; there are ${names.join(", ")}.`;
  const unknown = chosen.find((workload) => typeof workload === "string");
  if (unknown !== undefined) {
    return `There is no workload "${unknown}"; there are ${WORKLOADS.map(({ name }) => name).join(", ")}.`;
  }
  if (flags.runtime !== "chromium" && flags.runtime !== "node") return "--runtime is chromium or node.";
  if (flags.batch !== undefined && !/^[1-9]\d*$/.test(flags.batch)) return "--batch is a whole number above 0.";
  if (!/^\d+$/.test(flags["tune-ms"])) return "--tune-ms is a whole number of milliseconds.";
  return undefined;
}

async function benchmark(workloads: readonly Workload[], against: readonly ContestantName[]): Promise<TrainingReport> {
  const endMs = performance.now() + (flags.quick ? END_MS.quick : END_MS.full);
  await buildModule();
  const venue = await (flags.runtime === "node" ? openNode() : openChromium());
  say(venue.description);
  const reports: WorkloadReport[] = [];
  try {
    const totalShare = workloads.reduce((sum, { timeShare }) => sum + timeShare, 0);
    let deadline = performance.now();
    for (const workload of workloads) {
      deadline += ((flags.quick ? TIME_MS.quick : TIME_MS.full) * workload.timeShare) / totalShare;
      reports.push(await reportOn(venue, workload, [...OURS, ...against], deadline, endMs));
    }
  } finally {
    await venue.close();
  }
  return {
    bench: "training",
    runtime: venue.description,
    machine: `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`,
    date: new Date().toISOString().slice(0, 10),
    quick: flags.quick,
    workloads: reports,
    geometricMeanRatio: geometricMean(reports.map((one) => one.ratioToBestWebGpuPeer)),
    geometricMeanRatioToBestPeer: geometricMean(reports.map((one) => one.ratioToBestPeer)),
  };
}

/** Where it fails, the peers are measured all the same, and our contestants say what they lack. */
async function buildModule(): Promise<void> {
  say("building the engine's module");
  const configFile = fileURLToPath(new URL("../../vite.config.ts", import.meta.url));
  try {
    await build({ configFile, mode: "engine", logLevel: "error" });
  } catch (error) {
    say(`The engine's module cannot be built: ${String(error)}`);
  }
}

async function reportOn(
  venue: Venue,
  workload: Workload,
  contestants: readonly ContestantName[],
  deadline: number,
  endMs: number,
): Promise<WorkloadReport> {
  const { name, model, dataset, mean, deviation, learningRate } = workload;
  const batch = flags.batch ? Number(flags.batch) : flags.quick ? workload.quickBatch : workload.batch;
  const examples = batch * BATCHES;
  const { images, labels } = await trainingExamples(dataset, examples);
  venue.conductor.setData(name, { images, labels, parameters: initialParameters(layoutOf(model), SEED) });
  const job: Job = {
    workload: name,
    model,
    batch,
    examples,
    mean,
    deviation,
    learningRate,
    momentum: MOMENTUM,
    seed: SEED,
  };
  const effort: Effort = { ...(flags.quick ? QUICK : FULL), tuneMs: Number(flags["tune-ms"]), endMs };
  const outcomes = await measureWorkload(venue, job, contestants, effort, deadline, say);
  return reportWorkload(name, batch, outcomes);
}

/** Sentences on what must not be. */
function failuresOf({ name, drove, maxLossDifference }: WorkloadReport): string[] {
  const sentences: string[] = [];
  if (maxLossDifference !== null && !(maxLossDifference <= LOSS_TOLERANCE)) {
    sentences.push(
      `${name}: THE LOSSES DIFFER by ${maxLossDifference}, more than ${LOSS_TOLERANCE}: not the same work.`,
    );
  }
  if (!drove) sentences.push(`${name}: none of our backends was measured.`);
  for (const outcome of Object.values(drove?.backends ?? {})) {
    if ("problem" in outcome) sentences.push(`${name}: ${outcome.contestant} failed: ${outcome.problem}`);
  }
  return sentences;
}

function say(sentence: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${sentence}`);
}
