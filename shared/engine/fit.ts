/**
 * Makes a plan that a device can run: a batch that does not fit is done in parts, whose gradients are added
 * (`PlanOptions.microBatches`). The update is the same; batch norms see the parts.
 */

import type { ModelDescription } from "../model/model.ts";
import type { Operation } from "./operation.ts";
import { compilePlan, type Plan, type PlanOptions } from "./plan.ts";

/** Why a device cannot, or should not, run a plan. */
export interface Misfit {
  /** A sentence for people: what is too large, and for which limit. */
  readonly reason: string;
  /** Compiling would be refused; otherwise a single launch would only take too long. */
  readonly isRefused: boolean;
}

/** The part of a backend that knows what fits. A backend without `misfit` runs everything. */
export interface Fitting {
  misfit?(plan: Plan): Misfit | undefined;
}

/**
 * The plan with the fewest parts that the device runs: a whole multiple of `options.microBatches`, so that shares of a batch in
 * such parts can be done as well. Where even single examples take too long a plan of single examples; throws the device's
 * reason where they do not fit either.
 *
 * A plan with batch norms is divided for memory only: dividing it changes what is trained.
 */
export function planFor(device: Fitting, model: ModelDescription, options: PlanOptions): Plan {
  let last: { plan: Plan; misfit: Misfit } | undefined;
  for (const microBatches of divisorsOf(options.batch, options.microBatches)) {
    const plan = compilePlan(model, { ...options, microBatches });
    const misfit = device.misfit?.(plan);
    if (!misfit || (!misfit.isRefused && plan.forward.some(normalisesBatches))) return plan;
    last = { plan, misfit };
  }
  if (!last) throw new Error(`A batch of ${options.batch} cannot be divided into ${options.microBatches} equal parts.`);
  if (last.misfit.isRefused) throw new Error(last.misfit.reason);
  return last.plan;
}

function normalisesBatches({ kind }: Operation): boolean {
  return kind === "batch-norm-statistics";
}

/** The numbers of equal parts into which a batch can be divided, multiples of `of`, in ascending order. */
export function divisorsOf(batch: number, of = 1): number[] {
  return Array.from({ length: batch }, (_, index) => index + 1).filter(
    (count) => count % of === 0 && batch % count === 0,
  );
}
