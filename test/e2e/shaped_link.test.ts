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

async function expectOverlap(codecs: readonly string[]): Promise<void> {
  const overlap = await runShaped({ line: LINE, args: [...LENET, ...codecs], exchanges: 5, timeoutMs: TIMEOUT_MS });
  expect(overlap.refused).toBe(0);
  expect(overlap.nominalPeriod).toBe(16);
  expect(overlap.busyShare).toBeGreaterThan(0.9);
  // When training began is known to some milliseconds.
  expect(overlap.busyShare).toBeLessThan(1.02);
  expect(overlap.effectivePeriod).toBeGreaterThanOrEqual(16);
  expect(overlap.effectivePeriod).toBeLessThan(1.5 * 16);
}

describe("LeNet, tau = 16, over 50 ms and 10 Mbit/s: nearly all the time in local steps, and nearly as many exchanges as asked for", () => {
  test("[X2] with int8 up and int4 down", { timeout: TIMEOUT_MS }, () =>
    expectOverlap(["--codec-up", "int8", "--codec-down", "int4"]),
  );

  test("[X2] unless said otherwise", { timeout: TIMEOUT_MS }, () => expectOverlap([]));
});
