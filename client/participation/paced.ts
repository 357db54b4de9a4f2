/**
 * A duty cycle for the tuning that goes on beside training: after each piece of at most some 50 ms it rests for as long as the share
 * asks. Measuring and the exam, a few seconds before a replica joins, do not rest: measured against the clock of a machine at rest
 * they would last for minutes, and tell nothing of its speed.
 */

import type { Clock } from "../replica/clock.ts";

/** A share of nearly nothing would keep tuning from ever ending. */
const LONGEST_REST_MS = 3000;

/** `between`, with rests before it. `dutyCycle`: the share of the time in which the volunteer lets the device compute. */
export function paced(between: () => Promise<void>, clock: Clock, dutyCycle: () => number): () => Promise<void> {
  let beganMs = clock.nowMs();
  return async () => {
    const share = dutyCycle();
    const restMs = ((clock.nowMs() - beganMs) * (1 - share)) / share;
    if (restMs > 0) await clock.sleep(Math.min(LONGEST_REST_MS, restMs));
    await between();
    beganMs = clock.nowMs();
  };
}
