/**
 * The solvers that SC17 and HPCAsia 2020 compare, each with a grid of ten settings: five learning rates times two values of what else
 * it has to choose, or ten learning rates. With momentum mu a step ends 1 / (1 - mu) times as long, so the grid holds eta / (1 - mu) and all
 * solvers are offered steps of the same lengths.
 */

import type { Scenario } from "../simulate/scenario.ts";
import type { Contestant } from "./races.ts";
import { gridOf } from "./tuning.ts";

/** eta / (1 - mu). */
const STEP_LENGTHS = [0.05, 0.1, 0.2, 0.4, 0.8];

/** For solvers that have nothing else to choose: half steps between them. */
const FINE_STEP_LENGTHS = [0.0125, 0.025, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.8];

const ELASTIC_RATES = [0.45, 0.9];
const MOMENTA = [0.5, 0.9];
const DEFAULT_ELASTIC_RATE = 0.9;

/** The six asynchronous and round-robin solvers that were there before EA-wild. */
export const OLDER_SIX: readonly Contestant[] = [
  elastic("original-easgd", { solver: "original-easgd" }),
  plain("hogwild-sgd", { solver: "hogwild-sgd" }),
  plain("async-sgd", { solver: "async-sgd" }),
  withMomentum("async-msgd", { solver: "async-msgd" }, MOMENTA, [0.05, 0.1]),
  elastic("async-easgd", { solver: "async-easgd" }),
  withMomentum("async-measgd", { solver: "async-measgd" }, MOMENTA, [0.2, 0.4]),
];

/** Without momentum: SC17's Hogwild EASGD. */
export const PLAIN_EA_WILD = elastic("ea-wild, mu 0", { solver: "ea-wild", momentum: 0 });

/** With and without momentum of the replica. */
export const EA_WILD = withMomentum(
  "ea-wild",
  { solver: "ea-wild", elasticRate: DEFAULT_ELASTIC_RATE },
  [0, 0.9],
  [0.2, 0.4],
);

export const SYNC_EASGD = elastic("sync-easgd", { solver: "sync-easgd" });

export const SYNC_SGD = withMomentum("sync-sgd", { solver: "sync-sgd" }, [0, 0.9], [0.4, 0.8]);

function plain(name: string, scenario: Scenario): Contestant {
  return {
    name,
    scenario,
    grid: gridOf({ learningRate: FINE_STEP_LENGTHS }),
    quickGrid: gridOf({ learningRate: [0.025, 0.05, 0.07, 0.1] }),
  };
}

function elastic(name: string, scenario: Scenario): Contestant {
  return {
    name,
    scenario,
    grid: gridOf({ learningRate: STEP_LENGTHS, elasticRate: ELASTIC_RATES }),
    quickGrid: gridOf({ learningRate: [0.2, 0.4], elasticRate: ELASTIC_RATES }),
  };
}

function withMomentum(
  name: string,
  scenario: Scenario,
  momenta: readonly number[],
  quickLengths: readonly number[],
): Contestant {
  return { name, scenario, grid: momentumGrid(momenta, STEP_LENGTHS), quickGrid: momentumGrid(momenta, quickLengths) };
}

function momentumGrid(momenta: readonly number[], lengths: readonly number[]): Scenario[] {
  return momenta.flatMap((momentum) =>
    lengths.map((length) => ({ learningRate: Number((length * (1 - momentum)).toPrecision(3)), momentum })),
  );
}
