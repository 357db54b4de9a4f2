/** What a volunteer chooses while its replica trains: power, a name, and a tab in the background; and who is told of it. */

import { describe, expect, test } from "vitest";
import { hiddenPeriodFactor } from "../../client/replica/hidden_tab.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import { ReplicaStage, TAU } from "../support/replica_stage.ts";

const STEP_MS = 40;

async function joined(options: ConstructorParameters<typeof ReplicaStage>[1] = {}): Promise<ReplicaStage> {
  const stage = new ReplicaStage({}, options);
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

describe("The profile", () => {
  test("is told after every welcome", async () => {
    const stage = await joined({ name: "Room 12", dutyCycle: 0.5 });
    const told = { name: "Room 12", isHidden: false, dutyCycle: 0.5 };
    expect(stage.profiles).toEqual([told]);
    stage.pair.cut();
    await stage.reconnected();
    await stage.welcome(undefined, { resumed: true });
    expect(stage.profiles).toEqual([told, told]);
  });

  test("is told anew when it changes, but not for every place that a slider passes", async () => {
    const stage = await joined();
    await stage.clock.advance(1000);
    for (let percent = 99; percent >= 50; percent--) stage.replica.setDutyCycle(percent / 100);
    stage.replica.setName("Ada");
    stage.replica.setHidden(true);
    await shareOver(stage, 2000);
    expect(stage.profiles.length).toBeLessThanOrEqual(3);
    expect(stage.profiles.at(-1)).toEqual({ name: "Ada", isHidden: true, dutyCycle: 0.5 });
    stage.replica.setName(undefined);
    await shareOver(stage, 1000);
    expect(stage.profiles.at(-1)).toEqual({ isHidden: true, dutyCycle: 0.5 });
  });
});

describe("Power", () => {
  test("holds from the moment at which it is set, up and down, within 10 points", async () => {
    const stage = await joined();
    for (const dutyCycle of [1, 0.1, 0.75, 0.25, 1, 0.5, 0.1]) {
      stage.replica.setDutyCycle(dutyCycle);
      const share = await shareOver(stage, 10_000);
      expect([dutyCycle, Math.abs(share - dutyCycle) < 0.1]).toEqual([dutyCycle, true]);
    }
  });

  test("that is turned up ends the rest that was owed", async () => {
    const stage = await joined({ dutyCycle: 0.01 });
    await stage.clock.letBreathe();
    await stage.clock.advance(100, 20);
    const { steps } = stage.program;
    stage.replica.setDutyCycle(1);
    await stage.clock.advance(20, 20);
    await stage.clock.letBreathe();
    expect(stage.program.steps).toBeGreaterThan(steps);
  });

  test("is followed by the speed that heartbeats tell", async () => {
    const stage = await joined();
    await shareOver(stage, 10_000);
    const full = (await stage.numbers()).samplesPerSecond;
    stage.replica.setDutyCycle(0.25);
    expect((await stage.numbers()).samplesPerSecond / full).toBeCloseTo(0.25, 0);
    await shareOver(stage, 20_000);
    expect((await stage.numbers()).samplesPerSecond / full).toBeGreaterThan(0.15);
    expect((await stage.numbers()).samplesPerSecond / full).toBeLessThan(0.35);
  });
});

describe("A hidden tab", () => {
  test("exchanges every four periods, says so, and goes back to what is assigned when it is seen", async () => {
    const stage = await joined();
    await shareOver(stage, 1000);
    stage.pair.toFar.length = 0;
    stage.replica.setHidden(true);
    expect((await stage.numbers()).periodFactor).toBe(4);
    await stage.answer(1, undefined, { deltas: 0 });
    stage.replica.setHidden(true);
    const before = stage.program.steps;
    const push = await stage.nextPush();
    expect(push.header.steps).toBeGreaterThanOrEqual(4 * TAU);
    expect(stage.program.steps).toBeGreaterThan(before);
    expect(stage.assignment.communicationPeriod).toBe(TAU);
    stage.replica.setHidden(false);
    expect((await stage.numbers()).periodFactor).toBe(1);
  });

  test("does not sleep for transfers: its timers come late", async () => {
    const stage = await joined();
    stage.clock.transferMs = 4;
    stage.program.onStep = () => stage.clock.pass(100);
    stage.replica.setHidden(true);
    await stage.trainTo(8 * TAU);
    for (let step = 0; step < 5; step++) expect(await stage.clock.letBreathe()).toBe(true);
  });

  test("keeps its period where others wait for it, where a step is an exchange, and where exchanges are seldom anyway", () => {
    const assignment = { communicationPeriod: 10, samples: 64, learningRate: 0.1, momentum: 0, movingRate: 0.1 };
    const factor = (solver: Parameters<typeof replicaRuleOf>[0], speed: number): number =>
      hiddenPeriodFactor(replicaRuleOf(solver, "one-round-trip"), assignment, speed);
    expect(factor("ea-wild", 6400)).toBe(4);
    // A period of 4 s, and one of 64 s.
    expect(factor("ea-wild", 160)).toBe(2);
    expect(factor("ea-wild", 10)).toBe(1);
    expect(factor("ea-wild", 0)).toBe(1);
    expect(factor("sync-easgd", 6400)).toBe(1);
    expect(factor("original-easgd", 6400)).toBe(1);
    expect(factor("async-sgd", 6400)).toBe(1);
  });
});
