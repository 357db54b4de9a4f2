/**
 * Which update a plan ends its local steps with, as data. The step's own numbers (learning rate, momentum, weight decay) come
 * with each step, because schedules and autotune change them; what is here is compiled in.
 */

export type OptimizerKind = "momentum" | "nesterov" | "lars" | "adamw";

export interface Optimizer {
  /**
   * g gains weightDecay * x first, except for `adamw`, which decays x itself (Loshchilov and Hutter 2019).
   * - momentum: v <- momentum * v - rate * g ; x <- x + v. With momentum 0 plain SGD.
   * - nesterov: the same v ; x <- x + momentum * v - rate * g.
   * - lars (You et al. 2017): the rate of each tensor is multiplied by trust * |x| / (|g| + weightDecay * |x|); tensors with one
   *   dimension (biases, scales, shifts) keep the plain rate and do not decay.
   * - adamw: m and s are means of g and g^2 with `momentum` and `beta2`, corrected for their start.
   */
  readonly kind: OptimizerKind;
  /** The whole gradient is scaled down to this norm where it is longer (Pascanu et al. 2013). */
  readonly clipNorm?: number;
  /** Of lars. */
  readonly trust?: number;
  /** Of adamw. */
  readonly beta2?: number;
  readonly epsilon?: number;
}

export const OPTIMIZER_DEFAULTS = { trust: 0.001, beta2: 0.999, epsilon: 1e-8 } as const;
