/** What the experiments of this paper have in common: data, network, clocks, and what is read off a run. */

import type { SimulationReport } from "../../simulate/report.ts";
import type { Scenario } from "../../simulate/scenario.ts";
import { SMALL_MLP } from "../small_mlp.ts";

export const CIRCUMSTANCES: Scenario = {
  model: SMALL_MLP,
  trainExamples: 2000,
  testImages: 5000,
  batch: 32,
  stepSeconds: 0.01,
  stepTimes: { kind: "lognormal", sigma: 0.3 },
  latencySeconds: 0.001,
  applySeconds: 0.0002,
  elasticRate: 0.9,
};

export const SOLVERS = {
  EASGD: { solver: "async-easgd", exchange: "two-round-trip" },
  EAMSGD: { solver: "eamsgd", exchange: "two-round-trip", momentum: 0.9 },
  DOWNPOUR: { solver: "downpour" },
} as const satisfies Record<string, Scenario>;

export type Method = keyof typeof SOLVERS;

export const METHODS = Object.keys(SOLVERS) as Method[];

/** A center that has learned to be right half of the time does not fall below it again unless it jumps about. */
const LOST_ACCURACY = 0.5;

/**
 * Unstable: the center ended in numbers that are none, or in the second half of the run some evaluation found it wrong more often
 * than right.
 */
export function isUnstable({ diverged, curve }: SimulationReport): boolean {
  return diverged || curve.slice(Math.floor(curve.length / 2)).some(({ accuracy }) => accuracy < LOST_ACCURACY);
}

/** In percent: the lowest test error that the center had at an evaluation. */
export function lowestErrorPercent({ curve }: SimulationReport): number {
  const accuracies = curve.map(({ accuracy }) => accuracy).filter((accuracy) => Number.isFinite(accuracy));
  return 100 * (1 - Math.max(0, ...accuracies));
}
