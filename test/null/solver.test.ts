import { describe, expect, test } from "vitest";
import { SOLVER_NAMES, SOLVERS } from "../../shared/solver/catalogue.ts";
import { HIGHEST_MOVING_RATE, movedBy, movingRateFor } from "../../shared/solver/rule.ts";
import { rateUnder, stalenessOf } from "../../shared/solver/staleness.ts";
import { StalenessHistogram } from "../../shared/staleness_histogram.ts";

describe("The catalogue", () => {
  test("It has the thirteen solvers of the literature", () => {
    expect(SOLVER_NAMES).toHaveLength(13);
  });
  test("ea-wild and async-easgd differ in their order alone, apart from the momentum that ea-wild may have", () => {
    expect(SOLVERS["ea-wild"]).toMatchObject({ rule: "elastic", order: "lock-free" });
    expect(SOLVERS["async-easgd"]).toMatchObject({ rule: "elastic", order: "locked", momentum: "none" });
  });
});

describe("The moving rate", () => {
  test("It is beta / p, so that the pull of all replicas together stays the same", () => {
    for (const replicas of [2, 4, 16]) expect(movingRateFor(0.9, replicas) * replicas).toBeCloseTo(0.9);
  });
  test("A replica alone pulls half way at most", () => {
    expect(movingRateFor(0.9, 1)).toBe(HIGHEST_MOVING_RATE);
    expect(movingRateFor(0.9, 0)).toBe(HIGHEST_MOVING_RATE);
  });
  test("[X5] One apply is c + rate * (x - c), every operation rounded to f32", () => {
    expect(movedBy(1, 3, 0.25)).toBe(1.5);
    const [center, parameter, rate] = [Math.fround(0.1), Math.fround(0.7), Math.fround(0.45)];
    expect(movedBy(center, parameter, rate)).toBe(
      Math.fround(center + Math.fround(rate * Math.fround(parameter - center))),
    );
  });
});

describe("Staleness", () => {
  test("[S1] It is the number of versions completed since the pull, and never negative", () => {
    expect(stalenessOf(12, 9)).toBe(3);
    expect(stalenessOf(9, 9)).toBe(0);
    expect(stalenessOf(8, 9)).toBe(0);
  });
  test("[S2] Policy scale divides the rate by 1 + s/s0", () => {
    const policy = { kind: "scale", halfRateStaleness: 4 } as const;
    expect(rateUnder(policy, 0.4, 0)).toBe(0.4);
    expect(rateUnder(policy, 0.4, 4)).toBe(0.2);
    expect(rateUnder(policy, 0.4, 12)).toBe(0.1);
  });
  test("[S3] Policy bound refuses beyond the limit, not at it", () => {
    const policy = { kind: "bound", limit: 3 } as const;
    expect(rateUnder(policy, 0.4, 3)).toBe(0.4);
    expect(rateUnder(policy, 0.4, 4)).toBeUndefined();
  });
  test("[S4] Policy none changes nothing", () => {
    expect(rateUnder({ kind: "none" }, 0.4, 1000)).toBe(0.4);
  });
  test("[S5] A histogram gives mean, median, 99th percentile and maximum", () => {
    const histogram = new StalenessHistogram();
    expect(histogram.summary()).toEqual({ mean: 0, p50: 0, p99: 0, max: 0 });
    for (let staleness = 1; staleness <= 100; staleness++) histogram.add(staleness);
    expect(histogram.summary()).toEqual({ mean: 50.5, p50: 50, p99: 99, max: 100 });
    histogram.add(5000);
    expect(histogram.summary()).toMatchObject({ p50: 51, p99: 100, max: 5000 });
    expect(histogram.view().counts.reduce((sum, count) => sum + count, 0)).toBe(101);
  });
});
