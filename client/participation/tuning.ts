/**
 * Tuning as a volunteer sees it: the chosen backend measures its kernels while it already trains, for a few seconds at the
 * first start; later ones find the winners remembered.
 */

import type { Backend } from "../../shared/engine/backend.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import type { TuningResult, Winners } from "../../shared/engine/tuning.ts";
import type { Tuning } from "../messages.ts";
import type { Clock } from "../replica/clock.ts";

export interface TunerOptions {
  readonly plan: Plan;
  readonly clock: Clock;
  readonly winners: Winners | undefined;
  /** Lets messages in, waits while paused, throws where all is to stop. */
  readonly between: () => Promise<void>;
  readonly onTuning: (tuning: Tuning) => void;
}

/**
 * Of one start. In software a kernel takes 0.2 to 1.8 s to compile (SwiftShader, busy 2-core Xeon 2.5 GHz, 2026-11-21), so
 * that a start settles one or two products there, the dearest first; what it does not reach the next ones do.
 */
const BUDGET_MS = 3000;

/** Takes what is remembered, before anything is compiled. */
export async function recallWinners(backend: Backend, { plan, clock, winners }: TunerOptions): Promise<void> {
  if (winners) await backend.tune?.(plan, { budgetMs: 0, nowMs: () => clock.nowMs(), winners });
}

/** Resolves when the budget is spent; rejects where the device is lost or closed, and with what `between` throws. */
export async function tuneBackend(backend: Backend, options: TunerOptions): Promise<void> {
  const { plan, clock, winners, between, onTuning } = options;
  let last: Tuning | undefined;
  const result = await backend.tune?.(plan, {
    budgetMs: BUDGET_MS,
    nowMs: () => clock.nowMs(),
    between,
    onProgress: ({ settled, products }) => {
      last = { settled, kernels: products, outcome: undefined };
      onTuning(last);
    },
    ...(winners ? { winners } : {}),
  });
  if (result && last) onTuning({ ...last, outcome: outcomeOf(result) });
}

/** A sentence for the volunteer. */
export function outcomeOf({ products, spentMs, speedup, isComplete }: TuningResult): string {
  const measured = products.filter(({ from }) => from === "measured").length;
  const known = products.filter(({ from }) => from !== "rule").length;
  const faster =
    speedup < 1.01 ? "the first guess stands" : `${speedup.toFixed(speedup < 2 ? 2 : 1)} times faster than guessed`;
  if (measured === 0 && known > 0) return `Its kernels were tuned at an earlier start: ${faster}.`;
  if (measured === 0) return "Its kernels are chosen by rule; there was no time to measure one.";
  const seconds = (spentMs / 1000).toFixed(1);
  const later = isComplete ? "" : " The others have their turn at the next start.";
  return `${known} of ${products.length} kernels tuned on this device in ${seconds} s: ${faster}.${later}`;
}
