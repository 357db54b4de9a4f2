/**
 * The solvers that SC17 and HPCAsia 2020 compare, each with a grid of ten settings: five learning rates times two values of what else
 * it has to choose, or ten learning rates. With momentum mu a step ends 1 / (1 - mu) times as long, so the grid holds eta / (1 - mu) and all
 * solvers are offered steps of the same lengths.
 */

import type { Scenario } from "../simulate/scenario.ts";
import type { Contestant } from "./races.ts";

/** eta / (1 - mu). */
const STEP_LENGTHS = [0.05, 0.1, 0.2, 0.4, 0.8];

/** For solvers that have nothing else to choose: half steps between them. */
const FINE_STEP_LENGTHS = [0.0125, 0.025, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.8];

const ELASTIC_RATES = [0.45, 0.9];
const MOMENTA = [0.5, 0.9];
const DEFAULT_ELASTIC_RATE = 0.9;

/** The six asynchronous and round-robin solvers that were there before EA-wild. */
export const OLDER_SIX: readonly Contestant[] = [
  { name: "original-easgd", scenario: { solver: "original-easgd" }, grid: elasticGrid() },
  { name: "hogwild-sgd", scenario: { solver: "hogwild-sgd" }, grid: plainGrid() },
  { name: "async-sgd", scenario: { solver: "async-sgd" }, grid: plainGrid() },
  { name: "async-msgd", scenario: { solver: "async-msgd" }, grid: momentumGrid() },
  { name: "async-easgd", scenario: { solver: "async-easgd" }, grid: elasticGrid() },
  { name: "async-measgd", scenario: { solver: "async-measgd" }, grid: momentumGrid() },
];

/** Without momentum: SC17's Hogwild EASGD. */
export const PLAIN_EA_WILD: Contestant = {
  name: "ea-wild, mu 0",
  scenario: { solver: "ea-wild", momentum: 0 },
  grid: elasticGrid(),
};

/** With and without momentum of the replica. */
export const EA_WILD: Contestant = {
  name: "ea-wild",
  scenario: { solver: "ea-wild", elasticRate: DEFAULT_ELASTIC_RATE },
  grid: gridWithMomenta([0, 0.9]),
};

export const SYNC_EASGD: Contestant = {
  name: "sync-easgd",
  scenario: { solver: "sync-easgd" },
  grid: elasticGrid(),
};

export const SYNC_SGD: Contestant = {
  name: "sync-sgd",
  scenario: { solver: "sync-sgd" },
  grid: gridWithMomenta([0, 0.9]),
};

function plainGrid(): Scenario[] {
  return FINE_STEP_LENGTHS.map((learningRate) => ({ learningRate }));
}

function elasticGrid(): Scenario[] {
  return ELASTIC_RATES.flatMap((elasticRate) => STEP_LENGTHS.map((learningRate) => ({ learningRate, elasticRate })));
}

function momentumGrid(): Scenario[] {
  return gridWithMomenta(MOMENTA);
}

function gridWithMomenta(momenta: readonly number[]): Scenario[] {
  return momenta.flatMap((momentum) =>
    STEP_LENGTHS.map((length) => ({ learningRate: Number((length * (1 - momentum)).toPrecision(3)), momentum })),
  );
}

/** For a reduced run: every other point of each contestant's grid. */
export function withHalfTheGrid(contestant: Contestant): Contestant {
  return { ...contestant, grid: contestant.grid.filter((_, index) => index % 2 === 1) };
}
