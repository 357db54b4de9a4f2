/** The virtual machines on which this paper's experiments run. */

import type { Scenario } from "../../simulate/scenario.ts";
import { SMALL_MLP } from "../small_mlp.ts";

/** An exchange of 0.2 MB takes about 40 ms, four times a local step: a low ratio of computation to communication. */
export const VOLUNTEERS: Scenario = {
  model: SMALL_MLP,
  batch: 32,
  communicationPeriod: 1,
  stepSeconds: 0.01,
  stepTimes: { kind: "lognormal", sigma: 0.3 },
  latencySeconds: 0.01,
  upBytesPerSecond: 20e6,
  downBytesPerSecond: 20e6,
  applySeconds: 0.0005,
  testImages: 2000,
  evaluateEverySamples: 32 * 40,
};
