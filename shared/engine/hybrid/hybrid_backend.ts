/** The hybrid backend: a GPU and a CPU of one volunteer as one device, which trains plans whose batch can be divided. */

import type { Backend } from "../backend.ts";
import type { Misfit } from "../fit.ts";
import type { Plan } from "../plan.ts";
import type { GradientSource, StepOwner } from "../shares.ts";
import { bestDivision, type Speeds } from "./balance.ts";
import { HybridProgram, type HybridClock } from "./hybrid_program.ts";

export interface HybridOptions {
  /** Takes the update: the GPU. */
  readonly owner: Backend<StepOwner>;
  readonly helper: Backend<GradientSource>;
  readonly clock: HybridClock;
  /** Of each alone: where the split begins. As fast as each other where left out. */
  readonly speeds?: Speeds;
}

const STATISTICS: Misfit = {
  reason:
    "A GPU and a CPU share a batch in parts, and a batch norm would see the parts in place of the batch: a model with batch norms trains on one device.",
  isRefused: true,
};
const INDIVISIBLE: Misfit = { reason: "A batch of one example cannot be shared by two devices.", isRefused: true };

/** The backend owns both from here on: `close` closes them. */
export function createHybridBackend({ owner, helper, clock, speeds = [1, 1] }: HybridOptions): Backend<HybridProgram> {
  const misfit = (plan: Plan): Misfit | undefined => {
    const unshared = whyUnshared(plan);
    if (unshared) return unshared;
    const division = bestDivision(plan.batch, speeds);
    if (!division) return INDIVISIBLE;
    if (plan.microBatches < division.parts)
      return { reason: `Two devices share ${division.parts} parts of a batch.`, isRefused: true };
    return owner.misfit?.(plan);
  };
  return {
    name: "hybrid",
    device: `${owner.device} together with ${helper.device}`,
    isFallback: owner.isFallback,
    lost: owner.lost,
    misfit,
    compile: async (plan) => {
      const unshared = whyUnshared(plan);
      if (unshared) throw new Error(unshared.reason);
      const ownerProgram = await owner.compile(plan);
      try {
        return new HybridProgram(ownerProgram, await helper.compile(plan), clock, speeds);
      } catch (error) {
        ownerProgram.close();
        throw error;
      }
    },
    ...(owner.tune ? { tune: owner.tune.bind(owner) } : {}),
    close: () => {
      owner.close();
      helper.close();
    },
  };
}

/** Why no two devices may share this plan's batches. */
export function whyUnshared({ layout, batch }: Plan): Misfit | undefined {
  if (layout.trainableElements < layout.elements) return STATISTICS;
  return batch === 1 ? INDIVISIBLE : undefined;
}
