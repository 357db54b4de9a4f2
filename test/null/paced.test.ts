/** Tuning rests for a duty cycle: client/participation/paced.ts. */

import { expect, test } from "vitest";
import { paced } from "../../client/participation/paced.ts";
import { HandClock, settled } from "../support/hand_clock.ts";

test("After each piece it rests as the share asks, which may change meanwhile, and for three seconds at most", async () => {
  const clock = new HandClock();
  let share = 0.25;
  let passedMs = 0;
  const letIn = async (): Promise<void> => {
    passedMs = clock.nowMs();
  };
  const between = paced(letIn, clock, () => share);
  const restAfter = async (workMs: number): Promise<number> => {
    clock.pass(workMs);
    const beganMs = clock.nowMs();
    const rested = between();
    await settled();
    await clock.advance(4000, 10);
    await rested;
    // The next piece begins where this one was let in.
    clock.pass(passedMs - clock.nowMs());
    return passedMs - beganMs;
  };
  expect(await restAfter(40)).toBe(120);
  share = 1;
  expect(await restAfter(40)).toBe(0);
  share = 0.5;
  expect(await restAfter(100)).toBe(100);
  share = 0.01;
  expect(await restAfter(1000)).toBe(3000);
});
