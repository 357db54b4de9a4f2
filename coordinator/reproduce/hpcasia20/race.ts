/** The paper's first claim: EA-wild outperforms six common variants. Time to accuracy, each with settings of its own. */

import type { Scenario } from "../../simulate/scenario.ts";
import { EA_WILD, OLDER_SIX } from "../contestants.ts";
import { worstOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { intervalFigure } from "../plots.ts";
import {
  RACE_COLUMNS,
  raceAll,
  raceRow,
  samplesFor,
  timeFinding,
  timeRatio,
  type Contestant,
  type Raced,
  TARGETS,
  targetsText,
} from "../races.ts";
import { meanOf } from "../statistics.ts";
import { gridOf } from "../tuning.ts";
import { VOLUNTEERS } from "./circumstances.ts";

const REPLICAS = { quick: [8], full: [4, 8, 16] } as const;

/** Of LeNet: the fastest rivals on the MLP, with the settings that were best there and learning rates around them. */
const LENET = {
  replicas: 8,
  rivals: 2,
  rateFactors: [0.5, 1],
  targets: [0.91, 0.92, 0.93],
  limitSamples: 40_000,
} as const;

/** "Never worse beyond the interval": and surely less than a tenth slower. */
const MARGIN = 0.1;

export const RACE: Experiment = {
  name: "race",
  title: "ea-wild against the six older solvers",
  method: `An MLP (784-64-10) on MNIST, batch 32, tau = 1 for all; local steps of 10 ms (lognormal, sigma 0.3), links with 10 ms and 20 MB/s, so that an exchange takes about four local steps; an apply takes 0.5 ms, under a lock where the solver has one. Time is virtual, the geometric mean of the times until ${targetsText(TARGETS)} of 2,000 test images are right. Every solver has the best of its ten settings, found on the tuning seed for each number of replicas. *Never worse* is refuted by an interval of time ratios above 1 and shown by one below ${1 + MARGIN}.`,
  claims: [
    ...REPLICAS.full.map((count) => ({
      id: `race-${count}`,
      statement: `With ${count} replicas ea-wild is never slower to the accuracy than any of the six older solvers`,
      paperValue: "outperforms six common variants",
      unit: "of the time of the hardest rival",
    })),
    {
      id: "race-lenet",
      statement: `On LeNet with ${LENET.replicas} replicas ea-wild is never slower to the accuracy than the ${LENET.rivals} fastest of the six`,
      paperValue: "outperforms six common variants",
      unit: "of the time of the hardest rival",
    },
  ],
  run: race,
};

async function race(context: ExperimentContext): Promise<readonly Finding[]> {
  const fields = [];
  for (const replicas of REPLICAS[context.isQuick ? "quick" : "full"]) {
    const raced = await raceWith(context, replicas);
    context.table({ title: `With ${replicas} replicas`, columns: RACE_COLUMNS, rows: raced.map(raceRow) });
    fields.push({ replicas, raced });
  }
  context.record("fields", fields);
  context.figure(
    intervalFigure({
      name: "ratios",
      title: "Time of ea-wild over that of each older solver",
      caption: "To the left of 1 ea-wild is faster; paired seeds, with 95 % intervals.",
      x: { title: "time ratio", log: true },
      rows: fields.flatMap(({ replicas, raced }) =>
        rivalsOf(raced).map((rival) => {
          const { mean, low, high } = timeRatio(ownOf(raced), rival);
          return { name: rival.name, group: `P = ${replicas}`, value: mean, low, high };
        }),
      ),
      rules: [{ x: 1, label: "equal" }],
    }),
  );
  const findings = fields.map(({ replicas, raced }) => comparison(`race-${replicas}`, raced));
  if (context.isQuick) return findings;
  const field = fields.find(({ replicas }) => replicas === LENET.replicas);
  return field ? [...findings, await raceOnLenet(context, field.raced)] : findings;
}

async function raceOnLenet(context: ExperimentContext, raced: readonly Raced[]): Promise<Finding> {
  const finalists = rivalsOf(raced)
    .toSorted((one, other) => meanSeconds(one) - meanSeconds(other))
    .slice(0, LENET.rivals);
  const contestants = [EA_WILD, ...OLDER_SIX].flatMap((contestant): Contestant[] => {
    const before = [ownOf(raced), ...finalists].find(({ name }) => name === contestant.name);
    return before ? [withGrid(contestant, ratesAround(before.settings))] : [];
  });
  const onLenet = await raceAll(
    context,
    {
      circumstances: { ...VOLUNTEERS, model: "lenet", replicas: LENET.replicas, testImages: 1000 },
      targets: LENET.targets,
      limitSamples: LENET.limitSamples,
    },
    contestants,
  );
  context.record("lenet", onLenet);
  context.table({
    title: `LeNet, ${LENET.replicas} replicas, ${targetsText(LENET.targets)} of 1,000 test images`,
    columns: RACE_COLUMNS,
    rows: onLenet.map(raceRow),
  });
  return comparison("race-lenet", onLenet);
}

function withGrid(contestant: Contestant, grid: readonly Scenario[]): Contestant {
  return { ...contestant, grid, quickGrid: grid };
}

function meanSeconds({ virtualSeconds }: Raced): number {
  return meanOf(virtualSeconds).mean;
}

function ratesAround(settings: Scenario): Scenario[] {
  const { learningRate = 0 } = settings;
  const rates = LENET.rateFactors.map((factor) => Number((learningRate * factor).toPrecision(3)));
  return gridOf({ learningRate: rates }).map((rate) => Object.assign({}, settings, rate));
}

function comparison(id: string, raced: readonly Raced[]): Finding {
  return worstOf(
    id,
    rivalsOf(raced).map((rival) =>
      timeFinding(id, ownOf(raced), rival, { kind: "not-above", border: 1, margin: MARGIN }, `Shown is ${rival.name}.`),
    ),
  );
}

async function raceWith(context: ExperimentContext, replicas: number): Promise<readonly Raced[]> {
  const contestants: readonly Contestant[] = [EA_WILD, ...OLDER_SIX];
  return raceAll(
    context,
    { circumstances: { ...VOLUNTEERS, replicas }, targets: TARGETS, limitSamples: samplesFor(replicas) },
    contestants,
  );
}

function ownOf(raced: readonly Raced[]): Raced {
  const own = raced.find(({ name }) => name === EA_WILD.name);
  if (!own) throw new Error("invariant violation: ea-wild did not race");
  return own;
}

function rivalsOf(raced: readonly Raced[]): readonly Raced[] {
  return raced.filter(({ name }) => name !== EA_WILD.name);
}
