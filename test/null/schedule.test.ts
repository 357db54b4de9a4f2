import { expect, test } from "vitest";
import { readConfig } from "../../coordinator/run_config.ts";
import { scheduledRate } from "../../shared/solver/center_rule.ts";
import { CONSTANT_RATE, learningRateAt, runSteps, type Schedule } from "../../shared/solver/schedule.ts";

function rates(schedule: Schedule, steps: readonly number[], base = 0.8): number[] {
  return steps.map((step) => learningRateAt(schedule, base, step));
}

test("[S6] A constant rate stays, and a step schedule multiplies at every boundary", () => {
  expect(rates(CONSTANT_RATE, [0, 1, 1e9])).toEqual([0.8, 0.8, 0.8]);
  const decay = { kind: "step", every: 10, factor: 0.5 } as const;
  expect(rates({ decay, warmUpSteps: 0 }, [0, 9, 10, 19, 20, 35])).toEqual([0.8, 0.8, 0.4, 0.4, 0.2, 0.1]);
});

test("[S6] Caffe's inv is base * (1 + gamma * step)^-power: its LeNet solver's rates", () => {
  const decay = { kind: "inv", gamma: 0.0001, power: 0.75 } as const;
  const [first, later] = rates({ decay, warmUpSteps: 0 }, [0, 10_000], 0.01);
  expect(first).toBe(0.01);
  expect(later).toBeCloseTo(0.01 * 2 ** -0.75, 12);
});

test("[S6] A cosine goes from base to its floor, is half-way at half time, and stays at the floor", () => {
  const decay = { kind: "cosine", steps: 100, floor: 0.25 } as const;
  const [begin, middle, end, after] = rates({ decay, warmUpSteps: 0 }, [0, 50, 100, 5000]);
  expect(begin).toBe(0.8);
  expect(middle).toBeCloseTo(0.5, 12);
  expect([end, after]).toEqual([0.2, 0.2]);
});

test("[S6] A warm-up is linear, ends at the base, and the decay counts from its end", () => {
  const decay = { kind: "step", every: 10, factor: 0.5 } as const;
  expect(rates({ decay, warmUpSteps: 4 }, [0, 1, 3, 4, 13, 14])).toEqual([0.2, 0.4, 0.8, 0.8, 0.8, 0.4]);
});

test("[S6] The clock is the run's: versions times local steps per exchange", () => {
  expect(runSteps(0, 10)).toBe(0);
  expect(runSteps(7, 10)).toBe(70);
  // Four fragments in turn, one every three of ten steps: a version is three steps of one replica.
  expect(runSteps(7, 10, 4)).toBe(21);
});

test("[S6] The rate of an assignment is that of the center's version, so that a newcomer begins where the run stands", () => {
  const decay = { kind: "step", every: 33, factor: 0.5 } as const;
  const config = readConfig({ flags: { communicationPeriod: 3, learningRate: 0.5, schedule: decay, warmUp: 0 } });
  // Version 10: half a step before the boundary.
  expect([0, 10, 11, 22].map((version) => scheduledRate(config, version))).toEqual([0.5, 0.5, 0.25, 0.125]);
  const warm = readConfig({ flags: { communicationPeriod: 3, learningRate: 0.5, warmUp: 60 } });
  expect(scheduledRate(warm, 10)).toBeCloseTo((0.5 * 31) / 60, 12);
  expect(scheduledRate(warm, 500)).toBe(0.5);
});
