/** Many simulated replicas at one coordinator process: what becomes of their exchanges, and of the memory. `drove bench load` is the same at full size. */

import { expect, test } from "vitest";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { runLoad, type LoadOptions, type LoadResult } from "../support/load/load.ts";

const CENTER_MB = (4 * layoutOf(MODELS.lenet).elements) / 1e6;

function load(options: Pick<LoadOptions, "replicas" | "exchanging" | "args">): Promise<LoadResult> {
  return runLoad({ ...options, seconds: 4, periodMs: 1000, processes: 2, onProgress: () => {} });
}

function expectAllAnswered(result: LoadResult, exchanging: number): void {
  expect(result.problems).toEqual([]);
  expect(result).toMatchObject({ lost: 0, refused: 0, ledgerLines: result.exchanges });
  expect(result.exchanges).toBeGreaterThanOrEqual(exchanging);
}

test("[X14] [X18] No exchange of twenty among two hundred replicas is lost, and memory does not grow with who joins", async () => {
  const result = await load({ replicas: 200, exchanging: 20, args: ["--codec-up", "int8", "--codec-down", "int8"] });
  expect(result).toMatchObject({ codecUp: "int8", codecDown: "int8", viewedReplicas: 200 });
  expectAllAnswered(result, 20);
  const { start, joined, peak } = result.coordinatorRssMB;
  // A place of its own for each would take 345 MB.
  expect(joined - start).toBeLessThan(0.5 * 200 * CENTER_MB);
  // 64 versions at most with their changes, evaluation, and buffers on their way.
  expect(peak - start).toBeLessThan(600);
});

test("[X14] Exchanges in f32 are all answered too, each from a place of the replica's own", async () => {
  const result = await load({ replicas: 60, exchanging: 10, args: ["--codec-up", "f32", "--codec-down", "f32"] });
  expect(result).toMatchObject({ codecUp: "f32", codecDown: "f32" });
  expectAllAnswered(result, 10);
  expect(result.coordinatorRssMB.peak - result.coordinatorRssMB.start).toBeLessThan(2 * 60 * CENTER_MB + 400);
});
