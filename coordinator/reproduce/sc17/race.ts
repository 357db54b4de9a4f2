/** SC17 §7: each elastic solver against the parameter server that it replaces, and the synchronous one against the best. */

import type { Scenario } from "../../simulate/scenario.ts";
import { OLDER_SIX, PLAIN_EA_WILD, SYNC_EASGD } from "../contestants.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure } from "../plots.ts";
import {
  RACE_COLUMNS,
  raceAll,
  raceRow,
  samplesFor,
  timeFinding,
  type Contestant,
  type Raced,
  TARGETS,
  targetsText,
} from "../races.ts";
import { SMALL_MLP } from "../small_mlp.ts";
import { meanOf } from "../statistics.ts";

const REPLICAS = 8;

/** A homogeneous cluster whose messages take about as long as a step. */
const CIRCUMSTANCES: Scenario = {
  model: SMALL_MLP,
  replicas: REPLICAS,
  batch: 32,
  communicationPeriod: 1,
  stepSeconds: 0.01,
  stepTimes: { kind: "uniform", spread: 0.1 },
  latencySeconds: 0.0005,
  upBytesPerSecond: 40e6,
  downBytesPerSecond: 40e6,
  applySeconds: 0.0005,
  testImages: 2000,
  evaluateEverySamples: 32 * 40,
};

/** The elastic solver and the one that it is compared with. */
const PAIRS = [
  ["async-easgd", "async-sgd"],
  ["async-measgd", "async-msgd"],
  [PLAIN_EA_WILD.name, "hogwild-sgd"],
] as const;

/** "Ties": at most so much slower than the fastest other. */
const TIE_MARGIN = 0.1;

export const RACE: Experiment = {
  name: "race",
  title: "Time to accuracy of the elastic solvers and of those they replace",
  method: `An MLP (784-64-10) on MNIST, ${REPLICAS} replicas, batch 32, tau = 1 for all; steps of 10 ms (within 10 %), messages of 0.2 MB over links of their own with 0.5 ms and 40 MB/s, an apply of 0.5 ms under a lock where the solver has one; the synchronous solver is the paper's fastest (EASGD3), which exchanges while the next step is computed, and adding up costs it nothing. Time is virtual, the geometric mean of the times until ${targetsText(TARGETS)} of 2,000 test images are right; every solver has the best of its ten settings.`,
  claims: [
    ...PAIRS.map(([elastic, other]) => ({
      id: `faster-${other}`,
      statement: `${elastic === PLAIN_EA_WILD.name ? "Hogwild EASGD (ea-wild without momentum)" : elastic} is faster than ${other}`,
      paperValue: "faster in all comparisons",
      unit: "of its time",
    })),
    {
      id: "sync-ties",
      statement: "Sync EASGD ties for the best",
      paperValue: "ties with Hogwild EASGD for the fastest",
      unit: "of the fastest other's time",
    },
  ],
  run: race,
};

async function race(context: ExperimentContext): Promise<readonly Finding[]> {
  const contestants: readonly Contestant[] = [
    ...OLDER_SIX.filter(({ name }) => name !== "original-easgd"),
    PLAIN_EA_WILD,
    { ...SYNC_EASGD, scenario: { ...SYNC_EASGD.scenario, overlap: true, accumulateSeconds: 0 } },
  ];
  const raced = await raceAll(
    context,
    { circumstances: CIRCUMSTANCES, targets: TARGETS, limitSamples: samplesFor(REPLICAS) },
    contestants,
  );
  context.record("raced", raced);
  context.figure(
    barFigure({
      name: "time",
      title: `Virtual seconds to accuracy`,
      caption: `${REPLICAS} replicas, the best settings of each solver; mean of the seeds with its interval.`,
      y: { title: "virtual s" },
      bars: raced.map(({ name, virtualSeconds }) => {
        const { mean, low, high } = meanOf(virtualSeconds);
        return { name, value: mean, low, high };
      }),
    }),
  );
  context.table({ title: "The race", columns: RACE_COLUMNS, rows: raced.map(raceRow) });
  const named = (name: string): Raced => {
    const found = raced.find((one) => one.name === name);
    if (!found) throw new Error(`invariant violation: ${name} did not race`);
    return found;
  };
  const others = raced.filter(({ name }) => name !== SYNC_EASGD.name);
  const fastest = others.reduce((one, other) =>
    meanOf(other.virtualSeconds).mean < meanOf(one.virtualSeconds).mean ? other : one,
  );
  return [
    ...PAIRS.map(([elastic, other]) =>
      timeFinding(`faster-${other}`, named(elastic), named(other), { kind: "below", border: 1 }),
    ),
    timeFinding(
      "sync-ties",
      named(SYNC_EASGD.name),
      fastest,
      { kind: "not-above", border: 1, margin: TIE_MARGIN },
      `The fastest other is ${fastest.name}; a tie is at most ${100 * TIE_MARGIN} % slower.`,
    ),
  ];
}
