import { expect, test } from "vitest";
import {
  chooseGroups,
  fitHardware,
  fixedUpdateSeconds,
  groupChoices,
  randomUpdateSeconds,
  updateSeconds,
  workSeconds,
  type UpdateTiming,
} from "../../coordinator/autotune/hardware_model.ts";
import { explicitMomentum, momentaNear, totalMomentum } from "../../coordinator/autotune/statistical_model.ts";
import { Random } from "../../shared/random.ts";

/** A closed queue, event by event: g groups work, one coordinator applies. Seconds per update after a warm-up. */
function simulated(groups: number, updates: number, workOf: () => number, applyOf: () => number): number {
  const arrivals = Array.from({ length: groups }, workOf);
  let free = 0;
  let counted = 0;
  const warmUp = Math.floor(updates / 4);
  for (let update = 0; update < updates; update++) {
    const next = arrivals.indexOf(Math.min(...arrivals));
    free = Math.max(free, arrivals[next] ?? 0) + applyOf();
    arrivals[next] = free + workOf();
    if (update === warmUp - 1) counted = free;
  }
  return (free - counted) / (updates - warmUp);
}

function exponential(random: Random, mean: number): () => number {
  return () => -mean * Math.log(1 - random.uniform());
}

test("HE(g) is exact for fixed times, in fifteen settings", () => {
  for (const apply of [0.01, 0.1, 0.35]) {
    for (const groups of [1, 2, 4, 8, 16]) {
      const work = 1;
      const measured = simulated(
        groups,
        64 * groups,
        () => work,
        () => apply,
      );
      expect(measured / fixedUpdateSeconds(work, apply, groups), `apply ${apply}, ${groups} groups`).toBeCloseTo(1, 9);
    }
  }
});

test("With exponential times the repairman's recursion holds within 1 %, where the fixed form is optimistic near the knee", () => {
  const random = new Random(5);
  const [work, apply, knee] = [1, 0.125, 9];
  for (const groups of [2, 4, knee, 16]) {
    const measured = simulated(groups, 400_000, exponential(random, work), exponential(random, apply));
    expect(Math.abs(randomUpdateSeconds(work, apply, groups) / measured - 1), `${groups} groups`).toBeLessThan(0.01);
  }
  const optimism = randomUpdateSeconds(work, apply, knee) / fixedUpdateSeconds(work, apply, knee);
  expect(optimism).toBeGreaterThan(1.1);
});

function timingsOf(sizes: readonly number[], work: (groupSize: number) => number): UpdateTiming[] {
  return sizes.flatMap((groupSize) =>
    Array.from({ length: 5 }, () => ({ groupSize, workSeconds: work(groupSize), applySeconds: 0.02 })),
  );
}

test("The fit finds computing, exchange and waiting again, and foretells sizes that it has not seen", () => {
  const model = fitHardware(timingsOf([1, 2, 8], (k) => 1.6 / k + 0.3 + 0.01 * k));
  expect(model?.work.form).toBe("sequential");
  if (model?.work.form !== "sequential") return;
  expect(model.work.computeSeconds).toBeCloseTo(1.6, 6);
  expect(model.work.exchangeSeconds).toBeCloseTo(0.3, 6);
  expect(model.work.waitSeconds).toBeCloseTo(0.01, 6);
  expect(workSeconds(model.work, 4)).toBeCloseTo(0.74, 6);
  expect(model.applySeconds).toBeCloseTo(0.02, 9);
  expect(model.variation).toBeCloseTo(0, 9);
  expect(updateSeconds(model, 8, 2)).toBeCloseTo((0.74 + 0.02) / 2, 6);
});

test("The fit takes the paper's overlapped form where the timings have its knee", () => {
  const model = fitHardware(timingsOf([1, 2, 4, 8, 16], (k) => Math.max(1.6 / k, 0.1 * k)));
  expect(model?.work).toMatchObject({ form: "overlapped" });
  if (model?.work.form !== "overlapped") return;
  expect(model.work.computeSeconds).toBeCloseTo(1.6, 6);
  expect(model.work.shipSeconds).toBeCloseTo(0.1, 6);
});

test("One group size alone counts as computing, and no timings give no model", () => {
  const model = fitHardware(timingsOf([2], () => 0.5));
  expect(model && workSeconds(model.work, 2)).toBeCloseTo(0.5, 9);
  expect(model && workSeconds(model.work, 4)).toBeCloseTo(0.25, 9);
  expect(fitHardware([])).toBeUndefined();
});

const saturated = (groups: number): number => fixedUpdateSeconds(1, 0.3, groups);
/** All of it computing: groups share the same devices, and only the apply is hidden. */
const computing = (groups: number): number => fixedUpdateSeconds((1.6 * groups) / 8, 0.001, groups);

test("Groups grow until the next doubling gains less than a tenth", () => {
  expect(groupChoices(8)).toEqual([1, 2, 4, 8]);
  expect(groupChoices(6)).toEqual([1, 3, 6]);
  expect(chooseGroups(saturated, 16).groups).toBe(4);
  expect(chooseGroups(computing, 8).groups).toBe(1);
  expect(chooseGroups(computing, 8).efficiency).toHaveLength(4);
});

test("The guess for momentum is the sequential one less what asynchrony adds, and may be negative", () => {
  expect(explicitMomentum(0.9, 1)).toBeCloseTo(0.9, 12);
  expect(explicitMomentum(0.9, 8)).toBeCloseTo(0.025, 12);
  expect(explicitMomentum(0.6, 16)).toBeCloseTo(-0.3375, 12);
  expect(totalMomentum(explicitMomentum(0.9, 4), 4)).toBeCloseTo(0.9, 12);
  expect(momentaNear(0.025, 3)).toEqual([-0.3, 0, 0.3]);
});
