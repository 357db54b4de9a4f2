/** Caffe con Troll's scheduling with real kernels: two cores share every batch, as two devices of different speed. */

import { MODELS, type ModelName } from "../../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../../shared/model/layout.ts";
import { Random } from "../../../shared/random.ts";
import { findingOf, unmeasured } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { shown } from "../report.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import { hardestOf } from "./hardest.ts";
import { medianOf } from "./median.ts";
import type { ShareInput, ShareOutput } from "./share_task.ts";
import { bestShare, fastestSplit, meanSweep, nearestSplit, shareBySpeed, type Sweep } from "./sweep.ts";

/** How often the faster device does everything, and the slower one. */
type Times = readonly [faster: number, slower: number];

/** The speeds 5 : 2 are nearest to the paper's GPU and CPU (1.04 and 0.44). */
const PAPERS: Times = [2, 5];
const PAIRS: readonly Times[] = [[1, 1], PAPERS];
const MODEL: ModelName = "lenet";
const BATCH = 64;
const PARTS = { quick: 8, full: 16 } as const;
const REPETITIONS = { quick: 3, full: 5 } as const;
/** A time off by this much moves the best split by one part, so that the neighbours of the best are as good as it. */
const SLACK_PARTS = 1.5;
/** Half of the paper's gain of a quarter. */
const CLEAR_GAIN = 1.125;
const TASK = new URL("./share_task.ts", import.meta.url);

/** Of one seed. */
interface Measured {
  /** Seconds of a batch on the faster device alone, its parts undivided between devices. */
  readonly alone: number;
  readonly sweep: Sweep;
}

interface Outcome {
  readonly times: Times;
  readonly parts: number;
  readonly seeds: readonly Measured[];
}

export const SPLIT_CORES: Experiment = {
  name: "split-cores",
  title: "A batch split between two cores",
  method:
    `Gradients of LeNet, batch ${BATCH} in ${PARTS.full} parts (${PARTS.quick} in a reduced run), by the WASM engine in two threads; each batch's parameters go to both threads and both gradients come back and are added. Two cores are equally fast: as the slower of two devices one does its work several times, as the faster one fewer times. ` +
    `Times are medians of ${REPETITIONS.full} repetitions (${REPETITIONS.quick}) in random order; a seed is such a series.`,
  claims: [
    {
      id: "cores-best-split",
      statement: "A step is shortest where each device's share of the batch is its share of the speed",
      paperValue: "proportional to FLOPS",
      unit: "best share minus the faster device's share of the speed, at the ratio hardest on the claim",
    },
    {
      id: "cores-gain",
      statement: "A second device of 0.4 times the speed makes a step a quarter faster",
      paperValue: "1.25x (AlexNet conv1, GPU 1.04, CPU 0.44, both 1.30)",
      unit: "time of the faster device alone / of both, split by speed",
    },
  ],
  run: runCores,
};

async function runCores(context: ExperimentContext): Promise<readonly Finding[]> {
  if (context.pool.threads < 2) {
    return SPLIT_CORES.claims.map(({ id }) => unmeasured(id, "This machine has one core."));
  }
  const parts = context.isQuick ? PARTS.quick : PARTS.full;
  const outcomes: Outcome[] = [];
  for (const times of PAIRS) {
    const seeds: Measured[] = [];
    for (const seed of context.seeds) seeds.push(await timesOf(context, times, parts, seed));
    outcomes.push({ times, parts, seeds });
  }
  context.record("seconds", outcomes);
  draw(context, outcomes);
  return findingsOfCores(outcomes);
}

/** Pure, for tests. */
export function findingsOfCores(outcomes: readonly Outcome[]): Finding[] {
  const [papersFaster, papersSlower] = PAPERS;
  return [
    hardestOf(
      "cores-best-split",
      outcomes.map(({ times: [faster, slower], parts, seeds }) => {
        const errors = seeds.map(({ sweep }) => bestShare(sweep) - shareBySpeed(slower, faster));
        const slack = SLACK_PARTS / parts;
        const expected = { kind: "within", low: -slack, high: slack } as const;
        return findingOf("cores-best-split", meanOf(errors), expected, `At speeds of ${slower} : ${faster}.`);
      }),
      "far-from-0",
      `Counts as reproduced within ${SLACK_PARTS} parts.`,
    ),
    ...outcomes
      .filter(({ times: [faster, slower] }) => faster === papersFaster && slower === papersSlower)
      .map(({ seeds }) => {
        const ratio = pairedRatio(
          seeds.map(({ alone }) => alone),
          seeds.map(({ sweep }) => nearestSplit(sweep, shareBySpeed(papersSlower, papersFaster)).seconds),
        );
        const best = shown(1 + papersFaster / papersSlower);
        const note = `Counts as reproduced from half the paper's gain on; without any cost it would be ${best}.`;
        return findingOf("cores-gain", ratio, { kind: "above", border: CLEAR_GAIN }, note);
      }),
  ];
}

async function timesOf(
  { pool, isQuick }: ExperimentContext,
  [faster, slower]: Times,
  parts: number,
  seed: number,
): Promise<Measured> {
  const parameters = initialParameters(layoutOf(MODELS[MODEL]), seed);
  const shareOf = (firstPart: number, count: number, times: number): Promise<ShareOutput> => {
    const input: ShareInput = { model: MODEL, batch: BATCH, parts, firstPart, count, times, parameters };
    return pool.run<ShareOutput>(TASK, input);
  };
  /** Of `count` parts on the faster device, the others on the slower one. */
  const seconds = async (count: number): Promise<number> => {
    const beginMs = performance.now();
    const shares = [
      ...(count > 0 ? [shareOf(0, count, faster)] : []),
      ...(count < parts ? [shareOf(count, parts - count, slower)] : []),
    ];
    const [first, second] = await Promise.all(shares);
    if (first && second) for (let at = 0; at < first.length; at++) first[at] = (first[at] ?? 0) + (second[at] ?? 0);
    return (performance.now() - beginMs) / 1000;
  };
  // The first ones also compile, in both threads.
  for (let time = 0; time < 2; time++) await seconds(Math.ceil(parts / 2));
  const everyCount = Array.from({ length: parts }, (_, index) => index + 1);
  const counts = Uint32Array.from(everyCount);
  const measured = new Map<number, number[]>();
  const random = new Random(seed);
  for (let repetition = 0; repetition < (isQuick ? REPETITIONS.quick : REPETITIONS.full); repetition++) {
    random.shuffle(counts);
    for (const count of counts) measured.set(count, [...(measured.get(count) ?? []), await seconds(count)]);
  }
  const all = everyCount.map((count) => ({
    share: count / parts,
    seconds: medianOf(measured.get(count) ?? []),
  }));
  return { alone: all.at(-1)?.seconds ?? Number.NaN, sweep: all.slice(0, -1) };
}

function draw({ figure, table }: ExperimentContext, outcomes: readonly Outcome[]): void {
  figure(
    lineFigure({
      name: "sweep",
      title: "Step time against the faster device's share of the batch",
      caption: "In units of the faster device alone, mean of the seeds, on two cores.",
      x: { title: "the faster device's share of the batch" },
      y: { title: "step time / of the faster device alone" },
      series: outcomes.map(({ times: [faster, slower], seeds }) => {
        const unit = meanOf(seeds.map(({ alone }) => alone)).mean;
        const mean = meanSweep(seeds.map(({ sweep }) => sweep));
        return {
          name: `${slower} : ${faster}`,
          points: mean.map(({ share, seconds }) => ({ x: share, y: seconds / unit })),
        };
      }),
      rules: [{ y: 1, label: "the faster one alone" }],
    }),
  );
  table({
    title: "A gradient of a batch, means of the seeds",
    columns: ["speeds", "alone, ms", "share of the speed", "best share", "with it, ms", "split by speed, ms"],
    rows: outcomes.map(({ times: [faster, slower], seeds }) => {
      const mean = meanSweep(seeds.map(({ sweep }) => sweep));
      const share = shareBySpeed(slower, faster);
      const best = fastestSplit(mean);
      return [
        `${slower} : ${faster}`,
        1000 * meanOf(seeds.map(({ alone }) => alone)).mean,
        share,
        best.share,
        1000 * best.seconds,
        1000 * nearestSplit(mean, share).seconds,
      ];
    }),
  });
}
