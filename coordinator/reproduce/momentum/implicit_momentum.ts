/**
 * The momentum that asynchrony begets, measured: mu and c of E[D_t] = mu E[D_(t-1)] - c E[grad f(w_t)], D_t = w_(t+1) - w_t
 * (Mitliagkas et al. 2016, theorem 5: mu = 1 - 1/M, c = learning rate / M), by least squares over trials from one start.
 *
 * A regression of the trials' means takes their noise for signal: with R trials it is too low by a noise that falls like
 * 1/R ("errors in variables"). Therefore each product of two means is taken over pairs of different trials only, whose noises are
 * independent: that is unbiased for the product of the expectations whatever R, the batch and the noise are (the idea of
 * jackknife instrumental variables, Angrist, Imbens and Krueger 1999). The plain regression stands beside it.
 */

import { Random } from "../../../shared/random.ts";

/** One trial: `[update][bucket]`, of equal lengths. */
export interface Trajectory {
  /** D_t = w_(t+1) - w_t, t = 0, 1, … */
  readonly steps: Float32Array;
  /** Gradients observed at w_t. */
  readonly gradients: Float32Array;
}

/** Step and gradient as the regression has them. */
export interface Momentum {
  /** mu. */
  readonly momentum: number;
  /** c: the step that one gradient makes at once. */
  readonly step: number;
  /** Share of E[D_t]'s square that is explained: R squared; as an estimate it may exceed 1. */
  readonly explained: number;
}

export interface MeasuredMomentum extends Momentum {
  /** Estimates over trials drawn again with replacement, for intervals of whatever is made of them. */
  readonly resampled: readonly Momentum[];
  /** What the regression of the trials' means gives. */
  readonly plain: Momentum;
  readonly trials: number;
}

export interface MeasureOptions {
  /** Numbers per update in the trajectories. */
  readonly buckets: number;
  readonly resamples: number;
  /** Of the resampling. */
  readonly seed: number;
}

export function measureMomentum(
  trajectories: readonly Trajectory[],
  { buckets, resamples, seed }: MeasureOptions,
): MeasuredMomentum {
  const moments = new TrialMoments(trajectories, buckets);
  const trials = trajectories.length;
  const once = new Float64Array(trials).fill(1);
  const random = new Random(seed);
  return {
    ...solve(moments.crossed(once)),
    resampled: Array.from({ length: resamples }, () => solve(moments.crossed(drawnAgain(trials, random)))),
    plain: solve(moments.plain(once)),
    trials,
  };
}

/** How often each trial comes among as many drawn with replacement. */
function drawnAgain(trials: number, random: Random): Float64Array {
  const weights = new Float64Array(trials);
  for (let drawn = 0; drawn < trials; drawn++) {
    const trial = random.below(trials);
    weights[trial] = (weights[trial] ?? 0) + 1;
  }
  return weights;
}

/** Products summed over updates and buckets: `before` is D_(t-1), `gradient` is that at w_t, `after` is D_t. */
interface Moments {
  readonly beforeBefore: number;
  readonly beforeGradient: number;
  readonly gradientGradient: number;
  readonly beforeAfter: number;
  readonly gradientAfter: number;
  readonly afterAfter: number;
}

const PRODUCTS = [
  "beforeBefore",
  "beforeGradient",
  "gradientGradient",
  "beforeAfter",
  "gradientAfter",
  "afterAfter",
] as const satisfies readonly (keyof Moments)[];

/** Least squares with two unknowns. */
export function solve(moments: Moments): Momentum {
  const { beforeBefore, beforeGradient, gradientGradient, beforeAfter, gradientAfter, afterAfter } = moments;
  const determinant = beforeBefore * gradientGradient - beforeGradient ** 2;
  const momentum = (beforeAfter * gradientGradient - gradientAfter * beforeGradient) / determinant;
  const step = -(gradientAfter * beforeBefore - beforeAfter * beforeGradient) / determinant;
  return { momentum, step, explained: (momentum * beforeAfter - step * gradientAfter) / afterAfter };
}

class TrialMoments {
  readonly #trajectories: readonly Trajectory[];
  readonly #buckets: number;
  readonly #own: readonly Moments[];

  constructor(trajectories: readonly Trajectory[], buckets: number) {
    this.#trajectories = trajectories;
    this.#buckets = buckets;
    this.#own = trajectories.map((trajectory) =>
      momentsOf(Float64Array.from(trajectory.steps), Float64Array.from(trajectory.gradients), buckets),
    );
  }

  /** Of the mean trial, each taken `weights` times. */
  plain(weights: Float64Array): Moments {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return scaled(this.#ofSum(weights), 1 / total ** 2);
  }

  /** Means over pairs of different trials. */
  crossed(weights: Float64Array): Moments {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const squares = weights.reduce((sum, weight) => sum + weight ** 2, 0);
    const ofSum = this.#ofSum(weights);
    const crossed = { ...ofSum };
    for (const product of PRODUCTS) {
      for (const [trial, own] of this.#own.entries()) crossed[product] -= (weights[trial] ?? 0) ** 2 * own[product];
    }
    return scaled(crossed, 1 / (total ** 2 - squares));
  }

  #ofSum(weights: Float64Array): Moments {
    const length = this.#trajectories[0]?.steps.length ?? 0;
    const steps = new Float64Array(length);
    const gradients = new Float64Array(length);
    for (const [trial, trajectory] of this.#trajectories.entries()) {
      const weight = weights[trial] ?? 0;
      if (weight === 0) continue;
      add(steps, trajectory.steps, weight);
      add(gradients, trajectory.gradients, weight);
    }
    return momentsOf(steps, gradients, this.#buckets);
  }
}

function add(sums: Float64Array, values: Float32Array, weight: number): void {
  for (let index = 0; index < sums.length; index++) sums[index]! += weight * values[index]!;
}

function momentsOf(steps: Float64Array, gradients: Float64Array, buckets: number): Moments {
  let [beforeBefore, beforeGradient, gradientGradient, beforeAfter, gradientAfter, afterAfter] = [0, 0, 0, 0, 0, 0];
  for (let index = buckets; index < steps.length; index++) {
    const before = steps[index - buckets]!;
    const gradient = gradients[index]!;
    const after = steps[index]!;
    beforeBefore += before * before;
    beforeGradient += before * gradient;
    gradientGradient += gradient * gradient;
    beforeAfter += before * after;
    gradientAfter += gradient * after;
    afterAfter += after * after;
  }
  return { beforeBefore, beforeGradient, gradientGradient, beforeAfter, gradientAfter, afterAfter };
}

function scaled(moments: Moments, factor: number): Moments {
  const copy = { ...moments };
  for (const product of PRODUCTS) copy[product] *= factor;
  return copy;
}
