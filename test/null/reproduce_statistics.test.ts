import { expect, test } from "vitest";
import { findingOf, worstOf } from "../../coordinator/reproduce/findings.ts";
import {
  meanOf,
  pairedDifference,
  pairedRatio,
  proportionOf,
  seedsToDecide,
  verdictOf,
  type Estimate,
} from "../../coordinator/reproduce/statistics.ts";

const estimate = (low: number, high: number): Estimate => {
  return { mean: (low + high) / 2, low, high, count: 5, deviation: 1, scale: "linear" };
};

test("The interval of a mean is Student's", () => {
  // t(0.975, 4) = 2.776445, s = 1.581139.
  const { mean, low, high, deviation } = meanOf([1, 2, 3, 4, 5]);
  expect(mean).toBe(3);
  expect(deviation).toBeCloseTo(1.581139, 6);
  expect(low).toBeCloseTo(3 - 1.963243, 4);
  expect(high).toBeCloseTo(3 + 1.963243, 4);
});

test("Two values are 12.7 standard errors apart from certainty, and one value knows nothing", () => {
  const { low, high } = meanOf([0, 2]);
  expect([low, high].map((border) => Math.abs(border - 1).toFixed(3))).toEqual(["12.706", "12.706"]);
  expect(meanOf([7])).toMatchObject({ mean: 7, low: -Infinity, high: Infinity });
  expect(findingOf("x", meanOf([7]), { kind: "above", border: 0 })).toMatchObject({
    verdict: "inconclusive",
    interval: null,
    seedsToDecide: null,
  });
});

test("Paired differences lose the spread that both have in common", () => {
  const easy = [10, 20, 30, 40, 50];
  const hard = easy.map((value, index) => value + 1 + 0.1 * (index - 2));
  const { mean, low, high } = pairedDifference(hard, easy);
  expect(mean).toBeCloseTo(1, 9);
  expect(high - low).toBeLessThan(0.5);
  expect(() => pairedDifference([1, 2], [1])).toThrow("invariant violation: 2 values paired with 1");
});

test("Ratios are averaged as logarithms: a half and a double cancel", () => {
  const { mean, low, high } = pairedRatio([1, 2], [2, 1]);
  expect(mean).toBeCloseTo(1, 12);
  expect(low * high).toBeCloseTo(1, 9);
  expect(pairedRatio([2, 4, 8], [1, 2, 4]).mean).toBeCloseTo(2, 12);
});

test("Shares have Clopper and Pearson's exact interval", () => {
  // Of 0 in 5 the upper border is 1 - 0.025^(1/5).
  expect(proportionOf(0, 5)).toMatchObject({ low: 0, mean: 0 });
  expect(proportionOf(0, 5).high).toBeCloseTo(1 - 0.025 ** (1 / 5), 6);
  expect(proportionOf(5, 5)).toMatchObject({ high: 1, mean: 1 });
  const half = proportionOf(5, 10);
  expect([half.low, half.high].map((border) => border.toFixed(4))).toEqual(["0.1871", "0.8129"]);
});

test("A verdict is where the whole interval lies; one that holds the border leaves it open", () => {
  const above = { kind: "above", border: 1 } as const;
  expect(verdictOf(estimate(1.01, 2), above)).toBe("reproduced");
  expect(verdictOf(estimate(0.5, 0.9), above)).toBe("not reproduced");
  expect(verdictOf(estimate(1, 2), above)).toBe("inconclusive");
  const below = { kind: "below", border: 1 } as const;
  expect(verdictOf(estimate(0.5, 0.99), below)).toBe("reproduced");
  expect(verdictOf(estimate(1, 2), below)).toBe("not reproduced");
  expect(verdictOf(estimate(0.5, 1.5), below)).toBe("inconclusive");
  const within = { kind: "within", low: 1, high: 2 } as const;
  expect(verdictOf(estimate(1, 2), within)).toBe("reproduced");
  expect(verdictOf(estimate(2.01, 3), within)).toBe("not reproduced");
  expect(verdictOf(estimate(1.5, 2.5), within)).toBe("inconclusive");
});

test("Never worse means: not surely worse, and surely not worse by the margin", () => {
  const notAbove = { kind: "not-above", border: 1, margin: 0.1 } as const;
  expect(verdictOf(estimate(0.5, 0.9), notAbove)).toBe("reproduced");
  expect(verdictOf(estimate(0.95, 1.05), notAbove)).toBe("reproduced");
  expect(verdictOf(estimate(0.5, 1.5), notAbove)).toBe("inconclusive");
  expect(verdictOf(estimate(1.01, 1.05), notAbove)).toBe("not reproduced");
});

test("The number of seeds that would decide is the first whose interval leaves the border", () => {
  // Mean 1, deviation 1, border 0: t(0.975, n - 1) / sqrt(n) falls below 1 at n = 7 (0.925), not at 6 (1.049).
  const found = { ...estimate(-1, 3), mean: 1, deviation: 1 };
  expect(seedsToDecide(found, { kind: "above", border: 0 })).toBe(7);
  expect(seedsToDecide({ ...found, mean: 0 }, { kind: "above", border: 0 })).toBeNull();
  // 5 of 5 leaves 0.478: one more of the same kind passes a half.
  expect(seedsToDecide(proportionOf(5, 5), { kind: "above", border: 0.5 })).toBe(6);
  const ratio = { ...found, mean: 1.1, deviation: 0.2, scale: "log" } as const;
  const needed = seedsToDecide(ratio, { kind: "above", border: 1 });
  expect(needed).toBeGreaterThan(15);
  expect(needed).toBeLessThan(25);
});

test("Several comparisons are one claim by the worst of them", () => {
  const good = findingOf("a", estimate(2, 3), { kind: "above", border: 1 });
  const open = findingOf("b", estimate(0, 3), { kind: "above", border: 1 }, "b is open.");
  const bad = findingOf("c", estimate(0, 0.5), { kind: "above", border: 1 });
  expect(worstOf("all", [good, open], "Of two.")).toEqual({ ...open, id: "all", note: "b is open. Of two." });
  expect(worstOf("all", [good, open, bad])).toEqual({ ...bad, id: "all" });
});
