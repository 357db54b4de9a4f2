/**
 * Which update a plan ends its local steps with, as data. The step's own numbers (learning rate, momentum, weight decay) come
 * with each step, because schedules and autotune change them; what is here is compiled in.
 *
 * An update moves elements 0 up to the layout's `trainableElements`. Running statistics are never touched (SPEC E9).
 */

import type { ParameterLayout, ParameterTensor } from "../model/layout.ts";
import type { StepSettings } from "./backend.ts";

type OptimizerKind = "momentum" | "nesterov" | "lars" | "adamw";

export interface Optimizer {
  /**
   * g gains weightDecay * x first, except for `adamw`, which decays x itself (Loshchilov and Hutter 2019).
   * - momentum: v <- momentum * v - rate * g ; x <- x + v. With momentum 0 plain SGD.
   * - nesterov: the same v ; x <- x + momentum * v - rate * g.
   * - lars (You et al. 2017): the rate of each tensor is multiplied by trust * |x| / (|g| + weightDecay * |x|), g without
   *   the decay; by 1 where |x| or |g| is 0. Tensors with one dimension (biases, scales, shifts) keep the plain rate and do not
   *   decay.
   * - adamw: m and s are means of g and g^2 with `momentum` and `beta2`, corrected for their start at 0;
   *   x <- x - rate * (m / (sqrt(s) + epsilon) + weightDecay * x).
   */
  readonly kind: OptimizerKind;
  /** The whole gradient, before any decay, is scaled down to this norm where it is longer (Pascanu et al. 2013). */
  readonly clipNorm?: number;
  /** Of lars. */
  readonly trust?: number;
  /** Of adamw. */
  readonly beta2?: number;
  readonly epsilon?: number;
}

export const OPTIMIZER_DEFAULTS = { trust: 0.001, beta2: 0.999, epsilon: 1e-8 } as const;

/** What an update reads besides vectors, f32 words: see `updateWords`. */
export const UPDATE_WORDS = 5;

/**
 * Learning rate, momentum, weight decay, and adamw's two corrections 1 / (1 - beta^n) for the `update`-th update (from 1) since
 * the means began at 0.
 */
export function updateWords(optimizer: Optimizer, settings: StepSettings, update: number): readonly number[] {
  const { learningRate, momentum, weightDecay } = settings;
  const { beta2 = OPTIMIZER_DEFAULTS.beta2 } = optimizer;
  const corrected = (beta: number): number => (optimizer.kind === "adamw" ? 1 / (1 - beta ** update) : 1);
  return [learningRate, momentum, weightDecay, corrected(momentum), corrected(beta2)];
}

/** Whether the means of squares need a vector of their own. */
export function hasSecondMoment({ kind }: Optimizer): boolean {
  return kind === "adamw";
}

export function trainedTensors({ tensors, trainableElements }: ParameterLayout): readonly ParameterTensor[] {
  return tensors.filter(({ offset }) => offset < trainableElements);
}

/** Whether lars gives this tensor a rate of its own, and decays it. */
export function isAdapted({ shape }: ParameterTensor): boolean {
  return shape.length > 1;
}
