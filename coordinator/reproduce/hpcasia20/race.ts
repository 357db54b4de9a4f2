/** The paper's first claim: EA-wild outperforms six common variants. Time to accuracy, each with settings of its own. */

import { EA_WILD, OLDER_SIX } from "../contestants.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { intervalFigure } from "../plots.ts";
import {
  RACE_COLUMNS,
  raceAll,
  raceRow,
  samplesFor,
  timeRatio,
  type Contestant,
  type Raced,
  TARGETS,
  targetsText,
} from "../races.ts";
import { VOLUNTEERS } from "./circumstances.ts";
import { NEVER_SLOWER, neverSlower } from "./never_slower.ts";

const REPLICAS = { quick: [8], full: [4, 8, 16] } as const;

export const RACE: Experiment = {
  name: "race",
  title: "ea-wild against the six older solvers",
  method: `An MLP (784-64-10) on MNIST, batch 32, tau = 1 for all; local steps of 10 ms (lognormal, sigma 0.3), links with 10 ms and 20 MB/s, so that an exchange takes about four local steps; an apply takes 0.5 ms, under a lock where the solver has one. Time is virtual, the geometric mean of the times until ${targetsText(TARGETS)} of 2,000 test images are right. Every solver has the best of its ten settings, found on the tuning seed for each number of replicas. ${NEVER_SLOWER}`,
  claims: REPLICAS.full.map((count) => ({
    id: `race-${count}`,
    statement: `With ${count} replicas ea-wild is never slower to the accuracy than any of the six older solvers`,
    paperValue: "outperforms six common variants",
    unit: "of the time of the hardest rival",
  })),
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
  return fields.map(({ replicas, raced }) => neverSlower(`race-${replicas}`, ownOf(raced), rivalsOf(raced)));
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
