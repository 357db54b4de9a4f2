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

const REPORTED = {
  replica: "r1",
  assignment: undefined,
  bytesUp: 10,
  bytesDown: 20,
  transport: "webrtc",
  bytesFetched: 30,
  firstStep: undefined,
  periodFactor: 1,
} as const;

test("Progress tells exchanges, answers, refusals and staleness apart", () => {
  const progress = new Progress();
  progress.stepped(64, -100, 0);
  progress.stepped(64, 25, 100);
  progress.pushed({ meanLoss: 2.5, steps: 16 });
  progress.answered(3);
  progress.pushed({ meanLoss: 1.5, steps: 24 });
  progress.refused({ code: "TOO_STALE", sentence: "Too stale." });
  expect(progress.report({ ...REPORTED, nowMs: 120 })).toEqual({
    replica: "r1",
    localSteps: 2,
    samples: 128,
    samplesPerSecond: 640,
    // 100 and 75 of 220 ms.
    busyShare: 175 / 220,
    computingShare: 0.75,
    exchanges: 2,
    stepsPerExchange: 20,
    applied: 1,
    refused: 1,
    lastRefusal: "Too stale.",
    refusals: { TOO_STALE: 1 },
    loss: 1.5,
    assignment: undefined,
    staleness: { mean: 3, p50: 3, p99: 3, max: 3 },
    lastStaleness: 3,
    bytesUp: 10,
    bytesDown: 20,
    transport: "webrtc",
    bytesFetched: 30,
    firstStep: undefined,
    periodFactor: 1,
  });
});

test("Waiting counts as time in which a replica is not busy; a pause and a duty cycle's rest do not count at all", () => {
  const progress = new Progress();
  const share = (nowMs: number): number | undefined => progress.report({ ...REPORTED, nowMs }).busyShare;
  expect(share(1000)).toBeUndefined();
  progress.stepped(64, 1000, 1080);
  expect(share(1080)).toBe(1);
  progress.stepped(64, 1100, 1180);
  expect(share(1180)).toBeCloseTo(160 / 180, 12);
  expect(share(1200)).toBe(0.8);
  progress.rested(1200, 5000);
  expect(share(5000)).toBe(0.8);
  progress.interrupted();
  expect(share(9000)).toBe(0.8);
  progress.stepped(64, 9000, 9200);
  expect(share(9200)).toBe(0.9);
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
