/** Caffe con Troll's scheduling in virtual time: a batch split between two devices of different speed. */

import type { Scenario } from "../../simulate/scenario.ts";
import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { lineFigure } from "../plots.ts";
import { shown } from "../report.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import { hardestOf, type Hardness } from "./hardest.ts";
import { bestShare, fastestSplit, meanSweep, shareBySpeed, type Sweep } from "./sweep.ts";

/** Of the first device over the second; 2.36 are the paper's GPU and CPU (1.04 and 0.44). */
const PAPER_RATIO = 1.04 / 0.44;
const SPEED_RATIOS = [1, 2, PAPER_RATIO, 3] as const;
/** Divisible by the sums of all whole ratios. */
const SPLITS = 24;
const STEPS = { quick: 500, full: 2000 } as const;
/** Of a lognormal step time around its mean. */
const SIGMA = 0.1;
/** Seconds of a whole batch on the first device. */
const STEP_SECONDS = 0.1;
const NEAR_BEST = 1.2;
/** Half of the paper's gain of a quarter. */
const CLEAR_GAIN = 1.125;

/** Seconds of a step for one ratio, by seed. */
interface Outcome {
  readonly ratio: number;
  readonly alone: readonly number[];
  readonly equal: readonly number[];
  readonly bySpeed: readonly number[];
  readonly sweeps: readonly Sweep[];
}

export const SPLIT: Experiment = {
  name: "split",
  title: "A batch split between two devices, simulated",
  method:
    `One compute group of two replicas in the event-driven simulator, step times lognormal (sigma ${SIGMA}), no network. Only timing is simulated. Shares are equal or follow measured speed, as the coordinator gives them, in eighths of a batch; the sweep has every split in 1/${SPLITS}. ` +
    `Times are means of ${STEPS.full.toLocaleString("en")} steps (${STEPS.quick} in a reduced run).`,
  claims: [
    {
      id: "best-split-is-the-ratio",
      statement: "A step is shortest where each device's share of the batch is its share of the FLOPS",
      paperValue: "proportional to FLOPS",
      unit: "best share minus the faster device's share of the speed, at the ratio hardest on the claim",
    },
    {
      id: "speed-near-best",
      statement: "Shares by measured speed, in eighths, come near the best split",
      paperValue: "not stated",
      unit: "step time by speed / with the best split, at worst",
    },
    {
      id: "speed-beats-equal",
      statement: "Shares by speed are faster than equal ones where speeds differ",
      paperValue: "faster",
      unit: "step time with equal shares / by speed, at the ratio hardest on the claim",
    },
    {
      id: "second-device-gains",
      statement: "A second device of 0.42 times the speed makes a step a quarter faster",
      paperValue: "1.25x (AlexNet conv1, GPU 1.04, CPU 0.44, both 1.30)",
      unit: "step time of the faster device alone / of both",
    },
  ],
  run: runSplit,
};

async function runSplit(context: ExperimentContext): Promise<readonly Finding[]> {
  const outcomes = await Promise.all(SPEED_RATIOS.map((ratio) => outcomeOf(context, ratio)));
  context.record("seconds", outcomes);
  draw(context, outcomes);
  return findingsOfSplit(outcomes);
}

/** Pure, for tests. */
export function findingsOfSplit(outcomes: readonly Outcome[]): Finding[] {
  const least = ({ sweeps }: Outcome): number[] => sweeps.map((sweep) => fastestSplit(sweep).seconds);
  const each = (id: string, hardness: Hardness, findingAt: (outcome: Outcome) => Finding, note?: string): Finding =>
    hardestOf(
      id,
      outcomes.map((outcome) => ({ ...findingAt(outcome), note: `At speeds of ${shown(outcome.ratio)} : 1.` })),
      hardness,
      note,
    );
  return [
    each(
      "best-split-is-the-ratio",
      "far-from-0",
      bestShareFinding,
      "Counts as reproduced within one step of the sweep.",
    ),
    each(
      "speed-near-best",
      "large",
      (outcome) =>
        findingOf("speed-near-best", pairedRatio(outcome.bySpeed, least(outcome)), {
          kind: "below",
          border: NEAR_BEST,
        }),
      `Counts as reproduced up to ${NEAR_BEST}; a third of a batch is no whole number of eighths.`,
    ),
    hardestOf(
      "speed-beats-equal",
      outcomes
        .filter(({ ratio }) => ratio > 1)
        .map(({ ratio, equal, bySpeed }) =>
          findingOf(
            "speed-beats-equal",
            pairedRatio(equal, bySpeed),
            { kind: "above", border: 1 },
            `At speeds of ${shown(ratio)} : 1.`,
          ),
        ),
      "small",
    ),
    ...outcomes
      .filter(({ ratio }) => ratio === PAPER_RATIO)
      .map(({ alone, bySpeed }) =>
        findingOf(
          "second-device-gains",
          pairedRatio(alone, bySpeed),
          { kind: "above", border: CLEAR_GAIN },
          `Counts as reproduced from half the paper's gain on; without any cost it would be ${shown(1 + 1 / PAPER_RATIO)}.`,
        ),
      ),
  ];
}

function bestShareFinding({ ratio, sweeps }: Outcome): Finding {
  const errors = sweeps.map((sweep) => bestShare(sweep) - shareBySpeed(ratio, 1));
  const step = 1.01 / SPLITS;
  return findingOf("best-split-is-the-ratio", meanOf(errors), { kind: "within", low: -step, high: step });
}

async function outcomeOf(context: ExperimentContext, ratio: number): Promise<Outcome> {
  const { seeds } = context;
  const speeds = [STEP_SECONDS, STEP_SECONDS * ratio];
  const ofEach = (scenario: Scenario): Promise<number[]> =>
    Promise.all(seeds.map((seed) => secondsOfStep(context, { ...scenario, seed })));
  const [alone, equal, bySpeed, ...splits] = await Promise.all([
    ofEach({ replicas: 1, stepSeconds: STEP_SECONDS }),
    ofEach({ replicas: 2, shares: "equal", stepSeconds: speeds }),
    ofEach({ replicas: 2, shares: "speed", stepSeconds: speeds }),
    ...sharesSwept().map((share) => ofEach(splitBetween(share, ratio))),
  ]);
  const sweeps = seeds.map((_, at) =>
    sharesSwept().map((share, index) => ({ share, seconds: splits[index]?.[at] ?? Number.NaN })),
  );
  return { ratio, alone, equal, bySpeed, sweeps };
}

/** A half of the batch takes so long as the share of it that is meant: that is how any split is simulated. */
function splitBetween(share: number, ratio: number): Scenario {
  const stepSeconds = [2 * share * STEP_SECONDS, 2 * (1 - share) * STEP_SECONDS * ratio];
  return { replicas: 2, shares: "equal", stepSeconds };
}

function sharesSwept(): number[] {
  return Array.from({ length: SPLITS - 1 }, (_, index) => (index + 1) / SPLITS);
}

async function secondsOfStep({ pool, isQuick }: ExperimentContext, scenario: Scenario): Promise<number> {
  const { virtualSeconds, centerSteps } = await pool.simulate({
    solver: "async-msgd",
    momentum: 0,
    model: "mlp",
    batch: 64,
    groups: 1,
    gradients: false,
    stepTimes: { kind: "lognormal", sigma: SIGMA },
    centerSteps: isQuick ? STEPS.quick : STEPS.full,
    applySeconds: 0,
    ...scenario,
  });
  return virtualSeconds / centerSteps;
}

function draw({ figure, table }: ExperimentContext, outcomes: readonly Outcome[]): void {
  figure(
    lineFigure({
      name: "sweep",
      title: "Step time against the faster device's share of the batch",
      caption:
        "In units of the faster device alone, mean of the seeds. The least of each curve should lie at the faster device's share of the speed: 0.5, 0.67, 0.7 and 0.75.",
      x: { title: "the faster device's share of the batch" },
      y: { title: "step time / of the faster device alone" },
      series: outcomes.map(({ ratio, alone, sweeps }) => ({
        name: `${shown(ratio)} : 1`,
        points: meanSweep(sweeps).map(({ share, seconds }) => ({ x: share, y: seconds / meanOf(alone).mean })),
      })),
      rules: [{ y: 1, label: "the faster one alone" }],
    }),
  );
  table({
    title: "Step time in units of the faster device alone, means of the seeds",
    columns: ["speeds", "share of the speed", "best share", "with it", "shares by speed", "equal shares"],
    rows: outcomes.map(({ ratio, alone, equal, bySpeed, sweeps }) => {
      const unit = meanOf(alone).mean;
      const best = fastestSplit(meanSweep(sweeps));
      return [
        `${shown(ratio)} : 1`,
        shareBySpeed(ratio, 1),
        best.share,
        best.seconds / unit,
        meanOf(bySpeed).mean / unit,
        meanOf(equal).mean / unit,
      ];
    }),
  });
}
