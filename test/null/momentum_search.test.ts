import { describe, expect, test } from "vitest";
import {
  atUsualMomentum,
  bestMomentum,
  chosenElsewhere,
  fewestUpdatesMomentum,
  isNegative,
  isNotNegative,
} from "../../coordinator/reproduce/momentum/best_momentum.ts";
import { estimateOf } from "../../coordinator/reproduce/momentum/estimates.ts";
import type { SearchRow } from "../../coordinator/reproduce/momentum/explicit_momentum.ts";
import searchMomentum, { type ExplicitTask } from "../../coordinator/reproduce/momentum/explicit_task.ts";

const WORKBENCH = { model: "logistic", images: 2048, batch: 64, observed: 64, heldOut: 256, seed: 1 } as const;
const SEARCH = { replicas: 4, seed: 3, targetLoss: 0.7, mostUpdates: 300 } as const;
const RATES = [0.005, 0.01, 0.02, 0.04, 0.08];

function search(momenta: readonly number[], learningRates: readonly number[]): Promise<SearchRow[]> {
  const task: ExplicitTask = { workbench: WORKBENCH, search: { ...SEARCH, momenta, learningRates } };
  return searchMomentum(task);
}

function rowsOf(updates: readonly (number | null)[], momenta: readonly number[]): SearchRow[] {
  return momenta.map((momentum, index) => ({ momentum, updates: updates[index] ?? null, learningRate: 1, losses: [] }));
}

describe("The search for the best explicit momentum", () => {
  test("Finds for each momentum what trying every learning rate finds", async () => {
    const momenta = [-0.6, 0, 0.6];
    const found = await search(momenta, RATES);
    for (const [index, momentum] of momenta.entries()) {
      const alone = await Promise.all(RATES.map(async (rate) => (await search([momentum], [rate]))[0]!));
      const fewest = Math.min(...alone.map(({ updates }) => updates ?? Infinity));
      expect(fewest).toBeLessThan(SEARCH.mostUpdates);
      expect(found[index]!.updates).toBe(fewest);
      expect(found[index]!.learningRate).toBe(alone.find(({ updates }) => updates === fewest)!.learningRate);
      // The losses of the winner, down to the target.
      expect(found[index]!.losses.at(-1)).toBeLessThanOrEqual(SEARCH.targetLoss);
      expect(found[index]!.losses.at(-2)).toBeGreaterThan(SEARCH.targetLoss);
    }
  });

  test("A momentum that arrives with no learning rate has none", async () => {
    const [row] = await search([0.99], [10]);
    expect(row).toEqual({ momentum: 0.99, updates: null, learningRate: null, losses: [] });
  });
});

describe("The best momentum of several seeds", () => {
  const momenta = [-0.5, 0, 0.5, 0.9];

  test("Is the middle of the momenta within five percent of the fewest updates", () => {
    expect(bestMomentum(rowsOf([104, 100, 106, null], momenta))).toBe(-0.25);
    expect(bestMomentum(rowsOf([200, 150, 100, 140], momenta))).toBe(0.5);
    expect(bestMomentum(rowsOf([null, null, null, null], momenta))).toBeUndefined();
    expect(fewestUpdatesMomentum(rowsOf([104, 100, null, 130], momenta))).toBe(0);
    expect(fewestUpdatesMomentum(rowsOf([null, null, null, null], momenta))).toBeUndefined();
  });

  test("Is chosen on the other seeds where it is compared", () => {
    const searches = [rowsOf([90, 100, 80, 300], momenta), rowsOf([70, 100, 120, null], momenta)];
    // Seed 1 takes what is best of seed 2 (none is better than 100 there), seed 2 what is best of seed 1 (0.5).
    expect(chosenElsewhere(searches, isNotNegative)).toEqual([100, 120]);
    expect(chosenElsewhere(searches, isNegative)).toEqual([90, 70]);
    // Who does not arrive counts as the cap.
    expect(atUsualMomentum(searches)).toEqual([300, 2000]);
  });
});

describe("Estimates from what was resampled", () => {
  test("Have the percentiles as interval and the spread of one trial", () => {
    const resampled = Array.from({ length: 1001 }, (_, index) => ({ momentum: index / 1000, step: 0, explained: 1 }));
    const plain = { momentum: 0, step: 0, explained: 1 };
    const found = estimateOf(
      { momentum: 0.4, step: 0, explained: 1, resampled, plain, trials: 100 },
      ({ momentum }) => momentum,
    );
    expect(found).toMatchObject({ mean: 0.4, low: 0.025, high: 0.975, count: 100 });
    // Uniform on 0..1: a deviation of sqrt(1/12), times sqrt(100).
    expect(found.deviation).toBeCloseTo(10 * Math.sqrt(1 / 12), 1);
  });
});
