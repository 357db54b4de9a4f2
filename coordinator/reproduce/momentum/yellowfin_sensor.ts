/**
 * YellowFin's sensor of total momentum (Zhang and Mitliagkas 2017): the median of (D_t + learning rate * gradient) / D_(t-1). It
 * takes the step for the whole learning rate, where asynchrony has it in parts of 1/M: a controller's signal, shown beside the
 * regression and not in its place.
 */

import type { Trajectory } from "./implicit_momentum.ts";

/** Over all updates and buckets of the trials' mean. */
export function yellowFinMomentum(trials: readonly Trajectory[], buckets: number, learningRate: number): number {
  const steps = meanOf(trials.map((trial) => trial.steps));
  const gradients = meanOf(trials.map((trial) => trial.gradients));
  const ratios: number[] = [];
  for (let index = buckets; index < steps.length; index++) {
    const before = steps[index - buckets] ?? 0;
    if (before !== 0) ratios.push(((steps[index] ?? 0) + learningRate * (gradients[index] ?? 0)) / before);
  }
  ratios.sort((a, b) => a - b);
  return ratios[Math.floor(ratios.length / 2)] ?? Number.NaN;
}

function meanOf(vectors: readonly Float32Array[]): Float64Array {
  const mean = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    for (const [index, value] of vector.entries()) mean[index] = (mean[index] ?? 0) + value / vectors.length;
  }
  return mean;
}
