/** A duty cycle: a replica that computes a share of the time, alone and in its loop. */

import { describe, expect, test } from "vitest";
import { DutyCycle } from "../../client/replica/duty_cycle.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { settled } from "../support/hand_clock.ts";
import { filled, ReplicaStage } from "../support/replica_stage.ts";

const STEP_MS = 40;

/** Whose steps take 40 ms of a clock that stands still otherwise. */
async function throttled(dutyCycle: number, changes: ConstructorParameters<typeof ReplicaStage>[0] = {}) {
  const stage = new ReplicaStage(changes, { dutyCycle });
  stage.program.onStep = () => stage.clock.pass(STEP_MS);
  await stage.join();
  return stage;
}

async function shareOver(stage: ReplicaStage, ms: number): Promise<number> {
  const { steps } = stage.program;
  const beganMs = stage.clock.nowMs();
  while (stage.clock.nowMs() - beganMs < ms) {
    if (!(await stage.clock.letBreathe())) await stage.clock.advance(5, 5);
  }
  return ((stage.program.steps - steps) * STEP_MS) / (stage.clock.nowMs() - beganMs);
}

describe("Accounts", () => {
  test("Timers that come late are made up for, but not beyond a second", () => {
    const cycle = new DutyCycle(0.5);
    cycle.worked(10);
    expect(cycle.owedMs).toBe(10);
    cycle.rested(25);
    expect(cycle.owedMs).toBe(0);
    cycle.worked(20);
    expect(cycle.owedMs).toBe(5);
    cycle.rested(8 * 3_600_000);
    cycle.worked(1010);
    expect(cycle.owedMs).toBe(10);
  });

  test("What is owed is reckoned anew when the share changes, and ends with the limit", () => {
    const cycle = new DutyCycle(0.5);
    cycle.worked(30);
    cycle.set(0.25);
    expect(cycle.owedMs).toBe(90);
    cycle.set(1);
    expect(cycle.owedMs).toBe(0);
    expect(cycle.isLimited).toBe(false);
    cycle.worked(30);
    cycle.set(0.5);
    expect(cycle.owedMs).toBe(0);
    expect(() => cycle.set(0)).toThrow("a duty cycle of 0");
  });

  test("The whole time is no limit, and none of it is none of ours", () => {
    expect(new DutyCycle(1).isLimited).toBe(false);
    for (const share of [0, -1, 1.5, Number.NaN]) expect(() => new DutyCycle(share)).toThrow("a duty cycle of");
  });
});

describe("A throttled replica", () => {
  for (const dutyCycle of [0.1, 0.5, 0.9]) {
    test(`computes ${100 * dutyCycle} % of the time, within 10 points`, async () => {
      const share = await shareOver(await throttled(dutyCycle), 20_000);
      expect(Math.abs(share - dutyCycle)).toBeLessThan(0.1);
      expect(share / dutyCycle).toBeGreaterThan(0.8);
    });
  }

  test("introduces itself with the speed that it will have", async () => {
    const stage = new ReplicaStage({}, { dutyCycle: 0.1 });
    expect((await stage.join()).header.samplesPerSecond).toBeCloseTo(0.5, 9);
  });

  test("pushes a gradient when a slower device would have it", async () => {
    const stage = await throttled(0.1, { solver: "async-sgd" });
    const beganMs = stage.clock.nowMs();
    while (stage.pair.toFar.length === 0) await stage.clock.advance(10, 10);
    stage.receive("push");
    expect(stage.clock.nowMs() - beganMs).toBeGreaterThan(8 * STEP_MS);
    expect(stage.clock.nowMs() - beganMs).toBeLessThan(10 * STEP_MS);
  });

  test("[L4] takes answers, sends heartbeats and stops at once, however long it rests", async () => {
    const stage = await throttled(0.001, { communicationPeriod: 1 });
    await stage.clock.letBreathe();
    await stage.clock.advance(LIMITS.leaseMs / 2, 500);
    stage.receive("heartbeat");
    expect(stage.program.steps).toBe(1);
    // Its 40 ms of work are owed 40 s of rest.
    await stage.clock.advance(LIMITS.leaseMs, 500);
    for (let tenth = 2; tenth <= 4; tenth++) stage.receive("heartbeat");
    stage.receive("push");
    await stage.clock.letBreathe();
    const { steps } = stage.program;
    await stage.answer(1, filled(0.25));
    expect(stage.program.base).toEqual(filled(0.25));
    expect(stage.program.steps).toBe(steps);
    stage.replica.stop();
    await settled();
    expect(stage.ending).toEqual({ kind: "stopped" });
  });

  test("[L4] A machine that slept for a night sends one heartbeat when it wakes, and makes up for a second at most", async () => {
    const stage = await throttled(0.5, { communicationPeriod: 1000 });
    await shareOver(stage, 2000);
    stage.pair.toFar.length = 0;
    stage.clock.pass(8 * 3_600_000);
    const share = await shareOver(stage, 5000);
    expect(share).toBeLessThan(0.5 + 0.1 + 1 / 5);
    stage.receive("heartbeat");
    stage.expectSilence();
    expect(stage.pairs).toHaveLength(1);
  });
});
