/** The measurement of implicit momentum for one model, order of turns and number of replicas, as a task of the pool. */

import { measureMomentum, type MeasuredMomentum } from "./implicit_momentum.ts";
import { Sketch } from "./sketch.ts";
import { runTrial } from "./trial.ts";
import type { TurnOrder } from "./turns.ts";
import { workbenchFor, type WorkbenchOptions } from "./workbench.ts";
import { yellowFinMomentum } from "./yellowfin_sensor.ts";

const RESAMPLES = 500;

export interface ImplicitTask {
  readonly workbench: WorkbenchOptions;
  readonly order: TurnOrder;
  /** M. */
  readonly replicas: number;
  readonly learningRate: number;
  readonly trials: number;
  readonly buckets: number;
}

export interface ImplicitResult {
  readonly measured: MeasuredMomentum;
  readonly yellowFin: number;
}

export default async function measureImplicit(task: ImplicitTask): Promise<ImplicitResult> {
  const { order, replicas, learningRate, trials, buckets } = task;
  const { objective, center } = await workbenchFor(task.workbench);
  const sketch = new Sketch(objective.shape.elements, buckets, replicas);
  const trajectories = Array.from({ length: trials }, (_, trial) =>
    runTrial({ objective, center, sketch, order, replicas, learningRate, seed: trial + 1 }),
  );
  return {
    measured: measureMomentum(trajectories, { buckets, resamples: RESAMPLES, seed: replicas }),
    yellowFin: yellowFinMomentum(trajectories, buckets, learningRate),
  };
}
