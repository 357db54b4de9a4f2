/**
 * One trial of the measurement of implicit momentum: an asynchronous descent from the common start, of which the center's steps
 * and the gradients at the center are kept, sketched.
 */

import { Random } from "../../../shared/random.ts";
import { descend } from "./asynchrony.ts";
import type { ReusableCenter } from "./center.ts";
import type { Trajectory } from "./implicit_momentum.ts";
import type { Objective } from "./objective.ts";
import type { Sketch } from "./sketch.ts";
import { turnsOf, type TurnOrder } from "./turns.ts";

/** In sweeps of M updates: where the mean's recursion begins and where curvature still moves it. */
const SWEEPS = 4;

export interface TrialOptions {
  readonly objective: Objective;
  readonly center: ReusableCenter;
  readonly sketch: Sketch;
  readonly order: TurnOrder;
  /** M. */
  readonly replicas: number;
  readonly learningRate: number;
  readonly seed: number;
}

export function runTrial({ objective, center, sketch, order, replicas, learningRate, seed }: TrialOptions): Trajectory {
  const { buckets } = sketch;
  const steps = SWEEPS * replicas + 1;
  const trajectory = { steps: new Float32Array(steps * buckets), gradients: new Float32Array(steps * buckets) };
  const last = new Float32Array(objective.shape.elements);
  // Who comes next, what is drawn and what is observed depend on each other in nothing.
  const forTurns = new Random(3 * seed);
  const forDraws = new Random(3 * seed + 1);
  const forObservations = new Random(3 * seed + 2);
  const before = (update: number): boolean => {
    const now = center.values;
    if (update > 0) sketch.write(difference(now, last), trajectory.steps, (update - 1) * buckets);
    last.set(now);
    if (update === steps) return true;
    sketch.write(objective.observe(now, forObservations), trajectory.gradients, update * buckets);
    return false;
  };
  const turns = turnsOf(order, replicas, forTurns);
  const rates = { learningRate, momentum: 0 };
  descend({ objective, center, replicas, turns, rates, updates: steps + 1, random: forDraws }, before);
  return trajectory;
}

/** `now - last`, in place of `last`. */
function difference(now: Float32Array, last: Float32Array): Float32Array {
  for (let index = 0; index < last.length; index++) last[index] = (now[index] ?? 0) - (last[index] ?? 0);
  return last;
}
