/** Caffe con Troll's hybrid: the WebGPU adapter and the processor of this machine share every batch, by the engine's own program. */

import * as v from "valibot";
import type { ModelName } from "../../../shared/model/catalogue.ts";
import { findingOf, unmeasured } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { shown } from "../report.ts";
import { meanOf, pairedRatio, type Estimate } from "../statistics.ts";
import { askProgram } from "./node_program.ts";
import { bestShare, fastestSplit, meanSweep, shareBySpeed, type Sweep } from "./sweep.ts";

export const hybridTimesSchema = v.object({
  /** Of each alone, the batch undivided. */
  gpuMs: v.number(),
  cpuMs: v.number(),
  both: v.object({ ms: v.number(), gpuParts: v.number() }),
  splits: v.array(v.object({ gpuParts: v.number(), ms: v.number() })),
});

/** Milliseconds of a step, of one seed. */
type HybridTimes = v.InferOutput<typeof hybridTimesSchema>;

const MODEL: ModelName = "lenet";
const BATCH = 64;
const PARTS = 8;
const REPETITIONS = 3;
/** Half of the paper's gain of a quarter. */
const CLEAR_GAIN = 1.125;
const REGRET = 1.2;

export const SPLIT_GPU: Experiment = {
  name: "split-gpu",
  title: "A batch split between a GPU and a CPU",
  method:
    `Training steps of LeNet, batch ${BATCH}, on this machine's WebGPU adapter in Node alone, on one thread of WASM alone, and on both by the engine's hybrid program, which splits the batch in ${PARTS} parts by measured speed; besides with every split that there is. Medians of ${REPETITIONS} repetitions in random order; a seed is such a series. A reduced run leaves this out. ` +
    "Where the adapter is software it computes on one core and WASM on another: two devices, but of one kind of processor, on which WASM is several times as fast.",
  claims: [
    {
      id: "hybrid-gain",
      statement: "The CPU beside the GPU makes training a quarter faster than the better one alone",
      paperValue: "1.25x (AlexNet conv1, GPU 1.04, CPU 0.44, both 1.30)",
      unit: "time of the better one alone / of both",
    },
    {
      id: "hybrid-best-split",
      statement: "A step is shortest where each device's share of the batch is its share of the speed",
      paperValue: "proportional to FLOPS",
      unit: "best share minus the GPU's share of the speed",
    },
    {
      id: "hybrid-near-best",
      statement: "The split that the engine finds by measuring is near the best",
      paperValue: "not stated",
      unit: "step time as the engine splits / with the best split",
    },
  ],
  run: runHybrid,
};

async function runHybrid({ isQuick, seeds, pool, record, ...context }: ExperimentContext): Promise<readonly Finding[]> {
  // The kernels of two plans are compiled for the adapter, which takes as long as all of a reduced run may.
  if (isQuick) return [];
  pool.checkTime();
  const answer = await askProgram({
    program: "hybrid_speeds.ts",
    job: { model: MODEL, batch: BATCH, parts: PARTS, repetitions: REPETITIONS, seeds },
    seedSchema: hybridTimesSchema,
    onOneCore: true,
    secondsLeft: pool.secondsLeft,
  });
  if ("problem" in answer) return SPLIT_GPU.claims.map(({ id }) => unmeasured(id, answer.problem));
  const { adapter, isSoftware, seeds: all } = answer;
  record("adapter", adapter);
  record("milliseconds", all);
  draw(context, all, adapter);
  return findingsOfHybrid(all, isSoftware);
}

/** Pure, for tests. */
export function findingsOfHybrid(seeds: readonly HybridTimes[], isSoftware: boolean): Finding[] {
  const alone = seeds.map(({ gpuMs, cpuMs }) => Math.min(gpuMs, cpuMs));
  const bothMs = seeds.map(({ both }) => both.ms);
  const gpuShare = meanOf(seeds.map(gpuShareOf)).mean;
  const faster = gpuShare > 0.5 ? "GPU" : "CPU";
  const speeds = `The ${faster} is ${shown(Math.max(gpuShare, 1 - gpuShare) / Math.min(gpuShare, 1 - gpuShare))} times as fast as the other${isSoftware ? ", and the GPU is software on one core" : ""}.`;
  return [
    findingOf("hybrid-gain", pairedRatio(alone, bothMs), { kind: "above", border: CLEAR_GAIN }, speeds),
    bestSplitFinding(seeds, gpuShare),
    findingOf(
      "hybrid-near-best",
      pairedRatio(
        bothMs,
        seeds.map((times) => 1000 * fastestSplit(sweepOf(times)).seconds),
      ),
      { kind: "below", border: REGRET },
      `Counts as reproduced up to ${REGRET}.`,
    ),
  ];
}

/** At the end of what can be split nothing is found out. */
function bestSplitFinding(seeds: readonly HybridTimes[], gpuShare: number): Finding {
  const errors: Estimate = meanOf(seeds.map((times) => bestShare(sweepOf(times)) - gpuShareOf(times)));
  const slack = 1.01 / PARTS;
  const finding = findingOf(
    "hybrid-best-split",
    errors,
    { kind: "within", low: -slack, high: slack },
    "Counts as reproduced within one part.",
  );
  if (gpuShare >= 1.5 / PARTS && gpuShare <= 1 - 1.5 / PARTS) return finding;
  const note = `In proportion to speed the GPU would do ${shown(gpuShare * PARTS)} of ${PARTS} parts, at the very end of what can be split: its least is one part.`;
  return { ...finding, verdict: "inconclusive", seedsToDecide: null, note };
}

function gpuShareOf({ gpuMs, cpuMs }: HybridTimes): number {
  return shareBySpeed(1 / gpuMs, 1 / cpuMs);
}

/** By the GPU's share. */
function sweepOf({ splits }: HybridTimes): Sweep {
  return splits.map(({ gpuParts, ms }) => ({ share: gpuParts / PARTS, seconds: ms / 1000 }));
}

function draw(
  { figure, table }: Pick<ExperimentContext, "figure" | "table">,
  seeds: readonly HybridTimes[],
  adapter: string,
): void {
  const mean = (of: (times: HybridTimes) => number): number => meanOf(seeds.map(of)).mean;
  const [gpuMs, cpuMs] = [mean((times) => times.gpuMs), mean((times) => times.cpuMs)];
  figure(
    lineFigure({
      name: "sweep",
      title: "Step time against the GPU's share of the batch",
      caption: `${adapter} and one thread of WASM, mean of the seeds. In proportion to speed the GPU's share would be ${shown(mean(gpuShareOf))}.`,
      x: { title: "the GPU's share of the batch" },
      y: { title: "milliseconds of a step", log: true },
      series: [
        {
          name: "both",
          points: meanSweep(seeds.map(sweepOf)).map(({ share, seconds }) => ({ x: share, y: 1000 * seconds })),
        },
      ],
      rules: [
        { y: cpuMs, label: "the CPU alone" },
        { y: gpuMs, label: "the GPU alone" },
      ],
    }),
  );
  table({
    title: "A training step, means of the seeds",
    columns: ["devices", "ms"],
    rows: [
      [`GPU alone (${adapter})`, gpuMs],
      ["CPU alone (WASM, one thread)", cpuMs],
      [
        `both as the engine splits (GPU ${shown(mean(({ both }) => both.gpuParts))} of ${PARTS} parts)`,
        mean(({ both }) => both.ms),
      ],
      ["both with the best split", mean((times) => 1000 * fastestSplit(sweepOf(times)).seconds)],
    ],
  });
}
