/**
 * A real coordinator and a real volunteer (Node, WASM) with a slow, long line between them: local steps go on while an exchange is
 * under way. Each is a process of its own, on whatever else the machine has to do meanwhile: `drove bench overlap` measures.
 */

import { describe, expect, test } from "vitest";
import { runShaped } from "../support/shaped_run.ts";

/** A home line. */
const LINE = { roundTripMs: 50, upBitsPerSecond: 10e6, downBitsPerSecond: 100e6 };
const LENET = ["--model", "lenet", "--communication-period", "16"];
const TIMEOUT_MS = 240_000;

describe("LeNet, tau = 16, over 50 ms and 10 Mbit/s", () => {
  const cases = {
    "as it is unless said otherwise": [],
    "with int8 up and int4 down": ["--codec-up", "int8", "--codec-down", "int4"],
  } as const;

  for (const [how, args] of Object.entries(cases)) {
    test(
      `A replica is busy with local steps nearly all the time, and exchanges nearly as often as it is asked to, ${how}`,
      { timeout: TIMEOUT_MS },
      async () => {
        const run = { line: LINE, args: [...LENET, ...args], exchanges: 5, timeoutMs: TIMEOUT_MS };
        const overlap = await runShaped(run);
        expect(overlap.refused).toBe(0);
        expect(overlap.nominalPeriod).toBe(16);
        expect(overlap.busyShare).toBeGreaterThan(0.9);
        expect(overlap.busyShare).toBeLessThanOrEqual(1);
        expect(overlap.effectivePeriod).toBeGreaterThanOrEqual(16);
        expect(overlap.effectivePeriod).toBeLessThan(1.5 * 16);
      },
    );
  }
});
