/**
 * The passes of a step whose batch is done in parts, made once from a program's launches: what a part does depends on where it
 * stands among the parts of its step, of which there may be fewer than the plan has.
 */

import type { PreparedDispatch } from "./kernels.ts";
import type { Launches } from "./launches.ts";

/** The launches of one part: forward, loss, backward, and the gradients' sum. */
export type PartPasses = Readonly<Record<"first" | "between" | "last" | "only", readonly PreparedDispatch[]>>;

export interface StepPasses {
  readonly gradient: PartPasses;
  /** The same with the update after the last part. */
  readonly update: PartPasses;
  /** After a share of a step: the other shares' gradient, and the update. */
  readonly rest: readonly PreparedDispatch[];
  readonly completion: readonly PreparedDispatch[];
}

export function passesOf({ forward, lossTotal, backward, addSum, addToSum, update }: Launches): StepPasses {
  const only = [...forward.flat(), ...lossTotal, ...backward.flat()];
  const last = [...only, ...addSum];
  const inside = { first: only, between: [...only, ...addToSum] };
  return {
    gradient: { ...inside, last, only },
    update: { ...inside, last: [...last, ...update], only: [...only, ...update] },
    rest: addSum,
    completion: update,
  };
}
