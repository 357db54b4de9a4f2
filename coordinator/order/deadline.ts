/**
 * How long a replica's next push may take before the others stop waiting for it: from what it was asked to do, and the speed
 * at which it was seen to work.
 */

import { LIMITS } from "../../shared/wire/codes.ts";
import type { Replica } from "../roster.ts";

/** Of the expected duration. */
const PATIENCE = 1.5;
/** For whatever else may hold up a push: a garbage collection, a retransmitted packet. */
const SLACK_MS = 250;

/** From the last answer until the push that is due. Whoever's speed is unknown has as long as a lease. */
export function expectedMs({ assignment, speed }: Replica): number {
  if (!assignment || speed === 0) return LIMITS.leaseMs;
  return (1000 * assignment.communicationPeriod * assignment.samples) / speed;
}

/** When whoever began at `sinceMs` and may take `longestMs` is waited for no longer. */
export function deadlineMs(sinceMs: number, longestMs: number): number {
  return sinceMs + PATIENCE * longestMs + SLACK_MS;
}
