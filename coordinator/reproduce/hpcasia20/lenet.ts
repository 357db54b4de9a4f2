/** The race's finalists on LeNet: ea-wild and the two older solvers that came nearest to it on the MLP. */

import type { Scenario } from "../../simulate/scenario.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure } from "../plots.ts";
import { RACE_COLUMNS, raceAll, raceRow, targetsText, type Contestant } from "../races.ts";
import { meanOf } from "../statistics.ts";
import { gridOf } from "../tuning.ts";
import { VOLUNTEERS } from "./circumstances.ts";
import { NEVER_SLOWER, neverSlower } from "./never_slower.ts";

const REPLICAS = 8;
const TARGETS = [0.91, 0.92, 0.93];

/** While settings are chosen, half of it. A step takes as long as 30 of the MLP's. */
const LIMIT_SAMPLES = 48_000;

const OWN = finalist("ea-wild", { solver: "ea-wild", momentum: 0.9 }, [0.005, 0.01, 0.02]);

const RIVALS = [
  finalist("async-measgd", { solver: "async-measgd", momentum: 0.9 }, [0.005, 0.01, 0.02]),
  finalist("async-easgd", { solver: "async-easgd" }, [0.05, 0.1, 0.2]),
];

export const LENET: Experiment = {
  name: "lenet",
  title: "The finalists on LeNet",
  method: `LeNet (431,080 parameters) under the race's circumstances, ${REPLICAS} replicas, beta = 0.9, momentum 0.9 where there is one; the learning rate is the best of three on the tuning seed. The same links take 86 ms for a message now, so that replicas do many more local steps between exchanges. Time is the geometric mean of the times until ${targetsText(TARGETS)} of 1,000 test images are right. ${NEVER_SLOWER}`,
  claims: [
    {
      id: "race-lenet",
      statement: `On LeNet with ${REPLICAS} replicas ea-wild is never slower to the accuracy than the two older solvers that came nearest on the MLP`,
      paperValue: "outperforms six common variants",
      unit: "of the time of the hardest rival",
    },
  ],
  run: raceOnLenet,
};

/** A reduced run has no time for it. */
async function raceOnLenet(context: ExperimentContext): Promise<readonly Finding[]> {
  if (context.isQuick) return [];
  const raced = await raceAll(
    context,
    {
      circumstances: { ...VOLUNTEERS, model: "lenet", replicas: REPLICAS, testImages: 1000 },
      targets: TARGETS,
      limitSamples: LIMIT_SAMPLES,
    },
    [OWN, ...RIVALS],
  );
  context.record("raced", raced);
  context.figure(
    barFigure({
      name: "time",
      title: "Virtual seconds to accuracy, LeNet",
      caption: "The best settings of each solver; mean of the seeds with its interval.",
      y: { title: "virtual s" },
      bars: raced.map(({ name, virtualSeconds }) => {
        const { mean, low, high } = meanOf(virtualSeconds);
        return { name, value: mean, low, high };
      }),
    }),
  );
  context.table({ title: "LeNet", columns: RACE_COLUMNS, rows: raced.map(raceRow) });
  const [own, ...rivals] = raced;
  if (!own) throw new Error("invariant violation: nobody raced");
  return [neverSlower("race-lenet", own, rivals)];
}

function finalist(name: string, scenario: Scenario, learningRate: readonly number[]): Contestant {
  const grid = gridOf({ learningRate });
  return { name, scenario: { ...scenario, elasticRate: 0.9 }, grid, quickGrid: grid };
}
