import { expect, test } from "vitest";
import { FrameBudget } from "../../client/replica/frame_budget.ts";
import { Progress, Speed } from "../../client/replica/progress.ts";
import { LIMITS } from "../../shared/wire/codes.ts";

test("The speed is right from the second step on, and follows a change within seconds", () => {
  const speed = new Speed();
  expect(speed.perSecond).toBe(0);
  let nowMs = 0;
  const run = (steps: number, stepMs: number): void => {
    for (let step = 0; step < steps; step++) speed.add(64, (nowMs += stepMs));
  };
  run(2, 100);
  expect(speed.perSecond).toBeCloseTo(640, 6);
  run(100, 100);
  expect(speed.perSecond).toBeCloseTo(640, 6);
  run(300, 50);
  expect(speed.perSecond).toBeGreaterThan(0.9 * 1280);
});

test("A pause does not count as slow training", () => {
  const speed = new Speed();
  for (let step = 0; step < 20; step++) speed.add(64, 100 * step);
  speed.interrupt();
  for (let step = 0; step < 20; step++) speed.add(64, 1e6 + 100 * step);
  expect(speed.perSecond).toBeCloseTo(640, 6);
});

test("Progress tells exchanges, answers, refusals and staleness apart", () => {
  const progress = new Progress();
  progress.stepped(64, 0);
  progress.stepped(64, 100);
  progress.pushed(2.5);
  progress.answered(3);
  progress.pushed(1.5);
  progress.refused("Too stale.");
  expect(progress.report({ replica: "r1", assignment: undefined, bytesUp: 10, bytesDown: 20 })).toEqual({
    replica: "r1",
    localSteps: 2,
    samples: 128,
    samplesPerSecond: 640,
    exchanges: 2,
    applied: 1,
    refused: 1,
    lastRefusal: "Too stale.",
    loss: 1.5,
    assignment: undefined,
    staleness: { mean: 3, p50: 3, p99: 3, max: 3 },
    lastStaleness: 3,
    bytesUp: 10,
    bytesDown: 20,
  });
});

test("[L2] A replica that always has something to send stays below what the coordinator refuses TOO_FAST", () => {
  const budget = new FrameBudget(0);
  let credit: number = LIMITS.frameBurst;
  let sent = 0;
  for (let nowMs = 1; nowMs <= 10_000; nowMs++) {
    credit = Math.min(LIMITS.frameBurst, credit + LIMITS.framesPerSecond / 1000);
    while (budget.allows(1, nowMs)) {
      budget.spend();
      sent++;
      credit--;
    }
    expect(credit).toBeGreaterThan(0);
  }
  expect(sent / 10).toBeGreaterThan(0.85 * LIMITS.framesPerSecond);
});
