import { expect, test } from "vitest";
import { filled, ReplicaStage, TAU } from "../support/replica_stage.ts";
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
});

test("[S6] A replica that joins late begins where the run stands, and follows the center's version from answer to answer", async () => {
  const decay = { kind: "step", every: 11 * TAU, factor: 0.5 } as const;
  const stage = new ReplicaStage({ learningRate: 0.5, schedule: { decay, warmUpSteps: 0 } });
  // Version 10: half a step before the boundary.
  await stage.join(filled(0));
  await stage.trainTo(TAU);
  const push = await stage.nextPush();
  expect(new Set(stage.program.rates)).toEqual(new Set([0.5]));
  const before = stage.program.rates.length;
  await stage.answer(push.header.exchange, filled(0), { version: 22 });
  await stage.trainTo(stage.program.steps + 1);
  expect(stage.program.rates.slice(before)).toContain(0.125);
  expect(stage.program.rates.at(-1)).toBe(0.125);
});

test("[S6] A warm-up that the run has behind it is not repeated by a newcomer", async () => {
  const decay = { kind: "constant" } as const;
  const stage = new ReplicaStage({ learningRate: 0.5, schedule: { decay, warmUpSteps: 20 * TAU } });
  await stage.join(filled(0));
  await stage.trainTo(1);
  expect(stage.program.rates[0]).toBeCloseTo((0.5 * (10 * TAU + 1)) / (20 * TAU), 12);
  const newcomer = new ReplicaStage({ learningRate: 0.5, schedule: { decay, warmUpSteps: 20 * TAU } });
  await newcomer.join(filled(0), { version: 500 });
  await newcomer.trainTo(1);
  expect(newcomer.program.rates[0]).toBe(0.5);
});
