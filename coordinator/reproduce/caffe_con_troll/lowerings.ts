/** Caffe con Troll's lowerings: which of the three is the fastest depends on the ratio of input to output channels. */

import { findingOf, unmeasured } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure, type Point } from "../plots.ts";
import { shown } from "../report.ts";
import { meanOf, pairedRatio, type Estimate } from "../statistics.ts";
import { hardestOf } from "./hardest.ts";
import {
  atRatio,
  best,
  crossoverOf,
  exponentOf,
  loweringTimesSchema,
  modelledBest,
  msOf,
  ratiosOf,
  speedOfType1,
  type LoweringTimes,
} from "./lowering_times.ts";
import { askProgram } from "./node_program.ts";

interface Convolution {
  readonly input: number;
  readonly output: number;
  /** Type 1's speed over type 3's at about this ratio, read off the paper's figure. */
  readonly inThePaper: number;
  readonly inQuick: boolean;
}

/** Input times output channels are about 2,300 in all of them, so that type 1 multiplies about as much in each. */
const CONVOLUTIONS: readonly Convolution[] = [
  { input: 8, output: 256, inThePaper: 10, inQuick: false },
  { input: 24, output: 96, inThePaper: 3.75, inQuick: true },
  { input: 48, output: 48, inThePaper: 1.6, inQuick: true },
  { input: 84, output: 28, inThePaper: 0.6, inQuick: true },
  { input: 120, output: 20, inThePaper: 0.35, inQuick: true },
  { input: 240, output: 8, inThePaper: 0.12, inQuick: false },
];
const CROSSOVER = { inThePaper: 2, low: 1, high: 4 };
/** log(10 / 0.12) / log(0.03 / 30). */
const EXPONENT = -0.64;
const IMAGE_SIDE = 16;
const KERNEL = 3;
const BATCH = 16;
const REPETITIONS = { quick: 3, full: 5 } as const;
/** Of the device: a GPU gets through several executions in it, software does two in any case. */
const PIECE_MS = 12;
const REGRET = 1.2;

export const LOWERINGS: Experiment = {
  name: "lowerings",
  title: "Lowering types by the ratio of input to output channels",
  method:
    `The forward pass of a ${KERNEL}x${KERNEL} convolution of ${BATCH} images of ${IMAGE_SIDE}x${IMAGE_SIDE}, without padding, on this machine's WebGPU adapter in Node, all images lowered at once: type 1 writes whole windows out, type 2 their rows, type 3 nothing and sums over the taps after the product. ` +
    `Input times output channels stay about the same. Times are of the device alone, medians of ${REPETITIONS.full} repetitions in random order (${REPETITIONS.quick} in a reduced run), each the least of two executions or more; a seed is such a series, in an order of its own. ` +
    "The engine's cost model chooses among the three without measuring; the engine's rule chooses among all its kernels, of which most never write a lowered matrix out (the paper's fused lowering).",
  claims: [
    {
      id: "type-1-below",
      statement: "With at most as many input as output channels, type 1 (expensive lowering) is faster than type 3",
      paperValue: "10, 3.75 and 1.6 times as fast at the ratios 0.03, 0.25 and 1",
      unit: "speed of type 1 / type 3, at the ratio hardest on the claim",
    },
    {
      id: "type-3-above",
      statement: "With three or more times as many input as output channels, type 3 (expensive lifting) is faster",
      paperValue: "type 1 is 0.6, 0.35 and 0.12 times as fast at the ratios 3, 6 and 30",
      unit: "speed of type 1 / type 3, at the ratio hardest on the claim",
    },
    {
      id: "crossover",
      statement: "They are equal at about twice as many input as output channels",
      paperValue: "a ratio of about 2",
      unit: "input / output channels",
    },
    {
      id: "advantage-falls",
      statement: "Type 1's advantage falls steadily with the ratio",
      paperValue: "like the ratio to the power of -0.64 (from 10 to 0.12 over a thousandfold)",
      unit: "exponent",
    },
    {
      id: "model-chooses",
      statement: "A cost model that knows the shapes alone chooses well among the three",
      paperValue: "the ratio decides",
      unit: "time of the chosen / of the fastest lowering, at worst",
    },
    {
      id: "rule-chooses",
      statement: "What the engine takes without measuring is no slower than the best lowering",
      paperValue: "not stated (fusing lowering and product saves what lowering costs)",
      unit: "time of the engine's choice / of the fastest lowering, at worst",
    },
  ],
  run: runLowerings,
};

async function runLowerings(context: ExperimentContext): Promise<readonly Finding[]> {
  const { record } = context;
  const answer = await ask(context);
  if ("problem" in answer) return LOWERINGS.claims.map(({ id }) => unmeasured(id, answer.problem));
  const { adapter, seeds: all } = answer;
  record("adapter", adapter);
  record("times", all);
  draw(context, all, adapter);
  return findingsOfLowerings(all);
}

/** All seeds in one process: kernels are compiled once, which takes longer than to measure them. */
function ask({ isQuick, pool, seeds }: ExperimentContext): ReturnType<typeof askProgram<LoweringTimes>> {
  pool.checkTime();
  const channels = CONVOLUTIONS.filter(({ inQuick }) => inQuick || !isQuick);
  return askProgram({
    program: "lowerings.ts",
    job: {
      pass: "forward",
      imageSide: IMAGE_SIDE,
      kernel: KERNEL,
      batch: BATCH,
      imagesAtOnce: BATCH,
      channels: channels.map(({ input, output }) => ({ input, output })),
      repetitions: isQuick ? REPETITIONS.quick : REPETITIONS.full,
      pieceMs: PIECE_MS,
      seeds,
    },
    seedSchema: loweringTimesSchema,
    secondsLeft: pool.secondsLeft,
  });
}

/** Pure, for tests. */
export function findingsOfLowerings(seeds: readonly LoweringTimes[]): Finding[] {
  const ratios = ratiosOf(seeds);
  const speeds = (id: string, isWanted: (ratio: number) => boolean, kind: "above" | "below"): Finding =>
    hardestOf(
      id,
      ratios
        .filter(isWanted)
        .map((ratio) => findingOf(id, speedAt(seeds, ratio), { kind, border: 1 }, `At a ratio of ${shown(ratio)}.`)),
      kind === "above" ? "small" : "large",
    );
  const regret = (id: string, chosenMs: (times: LoweringTimes[number]) => number): Finding =>
    hardestOf(
      id,
      ratios.map((ratio) => {
        const times = atRatio(seeds, ratio);
        const found = pairedRatio(
          times.map(chosenMs),
          times.map((one) => best(one).ms),
        );
        return findingOf(id, found, { kind: "below", border: REGRET }, `At a ratio of ${shown(ratio)}.`);
      }),
      "large",
      `Counts as reproduced up to ${REGRET}.`,
    );
  return [
    speeds("type-1-below", (ratio) => ratio <= 1, "above"),
    speeds("type-3-above", (ratio) => ratio >= 3, "below"),
    crossoverFinding(seeds),
    findingOf(
      "advantage-falls",
      meanOf(seeds.map(exponentOf)),
      { kind: "within", low: 2 * EXPONENT, high: EXPONENT / 2 },
      "Counts as reproduced within a factor of 2.",
    ),
    regret("model-chooses", (times) => modelledBest(times).ms),
    regret("rule-chooses", ({ rule }) => rule.ms),
  ];
}

function crossoverFinding(seeds: readonly LoweringTimes[]): Finding {
  const crossovers = seeds.map(crossoverOf);
  const known = crossovers.filter((ratio) => ratio !== undefined);
  if (known.length < seeds.length) {
    return unmeasured(
      "crossover",
      `In ${seeds.length - known.length} of ${seeds.length} seeds one type won everywhere.`,
    );
  }
  const ones = known.map(() => 1);
  const { inThePaper, ...within } = CROSSOVER;
  return findingOf(
    "crossover",
    pairedRatio(known, ones),
    { kind: "within", ...within },
    `Counts as reproduced within a factor of 2 of ${inThePaper}; interpolated between neighbouring ratios on logarithmic axes.`,
  );
}

function speedAt(seeds: readonly LoweringTimes[], ratio: number): Estimate {
  const times = atRatio(seeds, ratio);
  return pairedRatio(
    times.map((one) => msOf(one, 3)),
    times.map((one) => msOf(one, 1)),
  );
}

function draw({ figure, table }: ExperimentContext, seeds: readonly LoweringTimes[], adapter: string): void {
  const ratios = ratiosOf(seeds);
  figure(
    lineFigure({
      name: "speed",
      title: "Speed of type 1 over type 3",
      caption: `${adapter}: geometric mean of the seeds with its interval. Above 1 type 1 is faster. The paper's points are read off its figure.`,
      x: { title: "input channels / output channels", log: true },
      y: { title: "speed of type 1 / speed of type 3", log: true },
      series: [
        { name: "measured", points: ratios.map((x) => pointOf(x, speedAt(seeds, x))) },
        {
          name: "the paper",
          points: CONVOLUTIONS.map(({ input, output, inThePaper: y }) => ({ x: input / output, y })),
        },
      ],
      rules: [{ y: 1, label: "equal" }],
    }),
  );
  const types = [1, 2, 3] as const;
  figure(
    lineFigure({
      name: "times",
      title: "Time of each lowering over the engine's own choice",
      caption: `${adapter}: geometric mean of the seeds. Above 1 the engine's own choice is faster.`,
      x: { title: "input channels / output channels", log: true },
      y: { title: "time / time of the engine's choice", log: true },
      series: types.map((type) => ({
        name: `type ${type}`,
        points: ratios.map((ratio) => {
          const times = atRatio(seeds, ratio);
          const found = pairedRatio(
            times.map((one) => msOf(one, type)),
            times.map(({ rule }) => rule.ms),
          );
          // Three intervals at each ratio would hide each other.
          return { x: ratio, y: found.mean };
        }),
      })),
      rules: [{ y: 1, label: "the engine's choice" }],
    }),
  );
  table({
    title: "Milliseconds of a batch, means of the seeds",
    columns: [
      "channels",
      "ratio",
      "type 1",
      "type 2",
      "type 3",
      "type 1 / type 3, speed",
      "by the model",
      "by the rule",
      "its ms",
    ],
    rows: ratios.map((ratio) => rowOf(ratio, atRatio(seeds, ratio))),
  });
}

function rowOf(ratio: number, times: readonly LoweringTimes[number][]): (string | number)[] {
  const mean = (of: (one: LoweringTimes[number]) => number): number => meanOf(times.map(of)).mean;
  const [first] = times;
  if (!first) throw new Error("invariant violation: a row without a seed");
  const speed = Math.exp(mean((one) => Math.log(speedOfType1(one))));
  return [
    `${first.input} to ${first.output}`,
    ratio,
    ...([1, 2, 3] as const).map((type) => mean((one) => msOf(one, type))),
    speed,
    modelledBest(first).algorithm.replace("lowering-", "type "),
    first.rule.candidate,
    mean(({ rule }) => rule.ms),
  ];
}

/** One seed's interval is everything, which no logarithmic axis can show. */
function pointOf(x: number, { mean, low, high, count }: Estimate): Point {
  return count > 1 ? { x, y: mean, low, high } : { x, y: mean };
}
