import { expect, test } from "vitest";
import { secondsLeft } from "../../coordinator/cli/progress.ts";
import type { HistoryPoint, RunView } from "../../shared/run_view.ts";
import { startHarness } from "./server_harness.ts";

const harness = await startHarness();
const EMPTY = harness.run.view();
await harness.close();

function viewAt(seconds: number, targetAccuracy: number | null, accuracies: readonly number[] = []): RunView {
  const history = accuracies.map((accuracy, index): HistoryPoint => {
    return { seconds: 10 * index, samples: 0, bytes: 0, accuracy, testLoss: 1, trainLoss: 1, images: 1000 };
  });
  return { ...EMPTY, seconds, targetAccuracy, history };
}

test("Without a target the time left is that to the limit, and nothing where there is none", () => {
  expect(secondsLeft(viewAt(30, null), 60)).toBe(30);
  expect(secondsLeft(viewAt(90, null), 60)).toBe(0);
  expect(secondsLeft(viewAt(30, null), null)).toBeNull();
});

test("An error that halves every ten seconds needs twenty more for a quarter", () => {
  expect(secondsLeft(viewAt(20, 0.98, [0.68, 0.84, 0.92]), null)).toBeCloseTo(20, 5);
  expect(secondsLeft(viewAt(20, 0.98, [0.68, 0.84, 0.92]), 30)).toBe(10);
});

test("Nothing is foretold from one evaluation, or from ones that do not get better", () => {
  expect(secondsLeft(viewAt(10, 0.98, [0.7]), null)).toBeNull();
  expect(secondsLeft(viewAt(20, 0.98, [0.9, 0.85, 0.8]), null)).toBeNull();
  expect(secondsLeft(viewAt(20, 0.98, [0.9, 0.95, 1]), null)).toBe(0);
});
