/**
 * A tab in the background exchanges more seldom: nobody looks at it, its network and its timers come second, and what it adds to the
 * center is worth about as much. With tau 4 an mlp on WASM went from 19 exchanges a second to 9: one every 16 steps instead of one
 * every 10, the wire having no room for more (Chromium 156, busy 2-core Xeon, 2026-11-21). Only its own period is longer: whoever
 * others wait for keeps to what is assigned.
 */

import type { Assignment } from "../../shared/solver/assignment.ts";
import type { ReplicaRule } from "../../shared/solver/replica_rule.ts";

const HIDDEN_FACTOR = 4;
/** An exchange this seldom is seldom enough: further apart, a slow device would only be staler. */
const LONGEST_PERIOD_MS = 10_000;

/** By which the assigned period is multiplied, 1 to 4. `samplesPerSecond`: of this replica; 0 where nobody knows yet. */
export function hiddenPeriodFactor(
  { isAwaited, takesGradients }: ReplicaRule,
  assignment: Assignment | undefined,
  samplesPerSecond: number,
): number {
  if (isAwaited || takesGradients || !assignment || samplesPerSecond === 0) return 1;
  const periodMs = (1000 * assignment.communicationPeriod * assignment.samples) / samplesPerSecond;
  return Math.min(HIDDEN_FACTOR, Math.max(1, Math.floor(LONGEST_PERIOD_MS / periodMs)));
}
