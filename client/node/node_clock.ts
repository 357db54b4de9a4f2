/** Node's time. */

import type { Clock } from "../replica/clock.ts";

export const NODE_CLOCK: Clock = {
  nowMs: () => performance.now(),
  sleep: (ms) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    }),
  // After what already waits in the event loop, and after what came over the network meanwhile.
  breathe: () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
};
