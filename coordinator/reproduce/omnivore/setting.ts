/** What Omnivore's experiments share: a network, eight simulated devices, and two mixes of computing and communication. */

import type { ModelDescription } from "../../../shared/model/model.ts";
import type { Scenario } from "../../simulate/scenario.ts";

/** 28 x 28 averaged to 14 x 14, then 196-32-10: 6,634 parameters. Saturating, so that a blow-up does not end in dead units. */
export const SMALL: ModelDescription = {
  name: "tanh-32",
  input: { height: 28, width: 28, channels: 1 },
  classes: 10,
  layers: [
    { kind: "average-pool", name: "pool", size: 2, stride: 2 },
    { kind: "dense", name: "fc1", units: 32 },
    { kind: "tanh", name: "tanh1" },
    { kind: "dense", name: "fc2", units: 10 },
  ],
};

export const DEVICES = 8;
export const GROUPS = [1, 2, 4, 8] as const;
const BATCH = 64;

type MixName = "exchange" | "compute";

export interface Mix {
  readonly name: MixName;
  readonly title: string;
  readonly scenario: Scenario;
  /** Nobody waits longer for a setting to reach the target. */
  readonly mostSeconds: number;
}

/** Of a device alone, for a whole batch, against both ways of an exchange: 1 to 1 and 100 to 1. */
export const MIXES: readonly Mix[] = [
  {
    name: "exchange",
    title: "bound by exchanges (0.2 s computing, 0.2 s under way)",
    scenario: { stepSeconds: 0.2, latencySeconds: 0.1 },
    mostSeconds: 500,
  },
  {
    name: "compute",
    title: "bound by computing (1 s computing, 0.01 s under way)",
    scenario: { stepSeconds: 1, latencySeconds: 0.005 },
    mostSeconds: 1200,
  },
];

/** Everything but the mix, the seed and what is tuned. */
export function racing(isQuick: boolean): Scenario {
  return {
    solver: "async-msgd",
    model: SMALL,
    data: "mnist",
    batch: BATCH,
    replicas: DEVICES,
    stepTimes: { kind: "lognormal", sigma: 0.5 },
    applySeconds: 0.005,
    targetAccuracy: isQuick ? 0.94 : 0.95,
    evaluateEverySamples: 50 * BATCH,
    testImages: isQuick ? 2000 : 4000,
    samples: BATCH * 40_000,
  };
}

/** Timing alone. */
export const COUNTED: Scenario = {
  solver: "async-msgd",
  model: SMALL,
  batch: BATCH,
  gradients: false,
  accumulateSeconds: 0,
};
