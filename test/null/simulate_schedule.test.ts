/** Who meets the center when, in virtual time and without gradients: against what queueing theory and the papers say. */

import { describe, expect, test } from "vitest";
import { fixedUpdateSeconds, randomUpdateSeconds } from "../../coordinator/autotune/hardware_model.ts";
import type { Scenario } from "../../coordinator/simulate/scenario.ts";
import { Simulator } from "../../coordinator/simulate/simulator.ts";
import type { SimulationReport } from "../../coordinator/simulate/report.ts";

const simulator = new Simulator();

/** Takes no time on the way and at the center, unless the scenario says so. */
function schedule(scenario: Scenario): Promise<SimulationReport> {
  return simulator.simulate({ gradients: false, applySeconds: 0, stepSeconds: 1, samples: 1e9, ...scenario });
}

function withoutClock(report: SimulationReport): unknown {
  return { ...report, wallSeconds: 0 };
}

function perUpdate({ virtualSeconds, centerSteps }: SimulationReport): number {
  return virtualSeconds / centerSteps;
}

describe("The lock", () => {
  const SETTINGS = [1, 2, 3, 5, 8].flatMap((replicas) => [0.05, 0.2, 0.5].map((apply) => [replicas, apply] as const));
  test.each(SETTINGS)("with %i replicas and applies of %f steps is the repairman of the machines", async (p, apply) => {
    const report = await schedule({ solver: "async-sgd", replicas: p, applySeconds: apply, centerSteps: 3000 });
    expect(perUpdate(report)).toBeCloseTo(fixedUpdateSeconds(1, apply, p), 2);
  });

  test.each([2, 4, 8])(
    "with exponential steps of %i replicas waits more, and less than for exponential applies",
    async (p) => {
      const apply = 1 / p;
      const report = await schedule({
        solver: "async-sgd",
        replicas: p,
        stepTimes: { kind: "exponential" },
        applySeconds: apply,
        centerSteps: 40_000,
      });
      expect(perUpdate(report)).toBeGreaterThan(1.02 * fixedUpdateSeconds(1, apply, p));
      expect(perUpdate(report)).toBeLessThan(0.99 * randomUpdateSeconds(1, apply, p));
    },
  );

  test("of many replicas is waited for as in the M/D/1 queue", async () => {
    const [replicas, apply] = [2000, 0.00025];
    const report = await schedule({
      solver: "async-sgd",
      replicas,
      stepTimes: { kind: "exponential" },
      applySeconds: apply,
      centerSteps: 200_000,
    });
    const { utilisation, waitedSeconds } = report.lock;
    expect(utilisation).toBeCloseTo(0.5, 1);
    // Pollaczek and Khinchine, for a fixed service time.
    const expected = (utilisation * apply) / (2 * (1 - utilisation));
    expect(waitedSeconds / report.centerSteps / expected).toBeGreaterThan(0.95);
    expect(waitedSeconds / report.centerSteps / expected).toBeLessThan(1.05);
  });

  test("is not waited for where the center has none", async () => {
    const common: Scenario = { replicas: 8, applySeconds: 0.5, applierThreads: 8, centerSteps: 1000 };
    const wild = await schedule({ solver: "hogwild-sgd", ...common });
    const locked = await schedule({ solver: "hogwild-sgd", ...common, applier: "locked" });
    expect(wild.lock.waitedSeconds).toBe(0);
    expect(perUpdate(wild)).toBeCloseTo(1.5 / 8, 2);
    expect(perUpdate(locked)).toBeCloseTo(0.5, 2);
    // What a lock would be in use is told of both.
    expect(wild.lock.utilisation).toBeGreaterThan(2);
  });
});

describe("Staleness", () => {
  test.each([2, 4, 8, 16])("of %i replicas with exponential steps is geometric", async (replicas) => {
    const report = await schedule({
      solver: "async-sgd",
      replicas,
      stepTimes: { kind: "exponential" },
      centerSteps: 60_000,
    });
    const { mean, counts } = report.staleness;
    const pushes = report.exchanges;
    expect(mean).toBeCloseTo(replicas - 1, 0);
    expect(Math.abs(mean / (replicas - 1) - 1)).toBeLessThan(0.01);
    expect((counts[0] ?? 0) / pushes).toBeCloseTo(1 / replicas, 2);
    const squares = counts.reduce((sum, count, staleness) => sum + count * (staleness - mean) ** 2, 0);
    // Geometric with p = 1/M: variance M (M - 1).
    expect(squares / pushes / (replicas * (replicas - 1))).toBeGreaterThan(0.9);
    expect(squares / pushes / (replicas * (replicas - 1))).toBeLessThan(1.1);
  });

  test("is that of everybody else in a round robin", async () => {
    const report = await schedule({
      solver: "original-easgd",
      replicas: 6,
      stepTimes: { kind: "uniform", spread: 0.4 },
      communicationPeriod: 3,
      centerSteps: 600,
    });
    expect(report.staleness.counts.slice(0, 6)).toEqual([1, 1, 1, 1, 1, 595]);
    expect(report.staleness.max).toBe(5);
  });

  test("is none behind a barrier, and a bound refuses what is above it", async () => {
    expect((await schedule({ solver: "sync-easgd", replicas: 5, centerSteps: 50 })).staleness.max).toBe(0);
    const bounded = await schedule({
      solver: "async-sgd",
      replicas: 6,
      stepTimes: { kind: "exponential" },
      staleness: { kind: "bound", limit: 4 },
      centerSteps: 5000,
    });
    expect(bounded.staleness.max).toBe(4);
    expect(bounded.refused.tooStale).toBeGreaterThan(1000);
    expect(bounded.centerSteps).toBe(bounded.exchanges);
  });
});

describe("A barrier", () => {
  test("waits for the slowest, and nobody else does", async () => {
    const common: Scenario = { replicas: 8, slowness: [1, 1, 1, 10], virtualSeconds: 200 };
    const barrier = await schedule({ solver: "sync-sgd", ...common });
    expect(barrier.centerSteps).toBe(20);
    expect(barrier.replicas[0]?.busyShare).toBeCloseTo(0.1, 2);
    expect(barrier.replicas[3]?.busyShare).toBeCloseTo(1, 2);
    const free = await schedule({ solver: "async-sgd", ...common });
    expect(free.replicas.map(({ exchanges }) => exchanges)).toEqual([200, 200, 200, 20, 200, 200, 200, 200]);
    expect(free.replicas.every(({ waitedSeconds }) => waitedSeconds === 0)).toBe(true);
  });

  test("adds pushes one by one at a star's center, or in log2 P hops along a tree", async () => {
    const common: Scenario = {
      solver: "sync-easgd",
      replicas: 8,
      communicationPeriod: 1,
      latencySeconds: 0.1,
      payloadBytes: 1000,
      upBytesPerSecond: 10_000,
      downBytesPerSecond: 10_000,
      applySeconds: 0.01,
      centerSteps: 100,
    };
    // a + b n = 0.2 s. Up at once, eight additions, one apply, down at once.
    const star = await schedule(common);
    expect(perUpdate(star)).toBeCloseTo(1 + 0.2 + 0.08 + 0.01 + 0.2, 1);
    const tree = await schedule({ ...common, topology: "tree" });
    expect(perUpdate(tree)).toBeCloseTo(1 + 3 * 0.2 + 0.01 + 3 * 0.2, 1);
    // One message at a time: eight up, eight down (SC17: P (a + b n)), while those who are answered first compute already.
    const serial = await schedule({ ...common, topology: "serial" });
    expect(perUpdate(serial)).toBeCloseTo(8 * 0.2 + 8 * 0.2, 1);
    expect(star.bytesUp).toBe(tree.bytesUp);
    // With the next step during the exchange (SC17's Sync EASGD3).
    const overlapped = await schedule({ ...common, topology: "tree", overlap: true });
    expect(perUpdate(overlapped)).toBeLessThan(perUpdate(tree) - 0.5);
    expect(overlapped.localSteps / overlapped.exchanges).toBeCloseTo(1, 1);
  });
});

describe("Compute groups", () => {
  test("share a batch in proportion to speed and do not wait for each other", async () => {
    const report = await schedule({
      solver: "async-sgd",
      replicas: 4,
      groups: 2,
      batch: 64,
      slowness: [1, 3, 1, 3],
      virtualSeconds: 300,
    });
    // A group's speeds are 1 and 1/3: 6 and 2 of 8 parts, so both are done after 3/4 of a second.
    expect(perUpdate(report)).toBeCloseTo(0.375, 2);
    expect((report.replicas[0]?.samples ?? 0) / (report.replicas[1]?.samples ?? 0)).toBeCloseTo(3, 1);
    expect(report.replicas.every(({ busyShare }) => busyShare > 0.99)).toBe(true);
    expect(report.staleness.p50).toBe(1);
  });

  test("go on without a member that is far too late", async () => {
    const report = await schedule({
      solver: "async-easgd",
      replicas: 4,
      groups: 1,
      shares: "equal",
      communicationPeriod: 4,
      churn: { kind: "times", spans: [{ replica: 3, joinSeconds: 0, leaveSeconds: 41 }] },
      virtualSeconds: 100,
    });
    expect(report.centerSteps).toBeGreaterThanOrEqual(24);
    expect(report.replicas[3]?.exchanges).toBe(10);
  });

  test("give slower replicas shorter periods (DyLU), so that all exchange equally often", async () => {
    const report = await schedule({
      solver: "async-easgd",
      replicas: 3,
      periods: "speed",
      slowness: [1, 2, 5],
      communicationPeriod: 20,
      virtualSeconds: 400,
    });
    expect(report.replicas.map(({ exchanges }) => exchanges)).toEqual([20, 20, 20]);
    expect(report.replicas.map(({ steps }) => steps)).toEqual([400, 200, 80]);
  });
});

describe("A link", () => {
  const SLOW: Scenario = { latencySeconds: 0.5, replicas: 2, communicationPeriod: 4, virtualSeconds: 100 };

  test("costs nothing where replicas train meanwhile, and its round trip where they do not", async () => {
    const overlapped = await schedule({ solver: "async-easgd", ...SLOW });
    expect(overlapped.replicas[0]).toMatchObject({ steps: 100, waitedSeconds: 0 });
    const waiting = await schedule({ solver: "async-easgd", ...SLOW, overlap: false });
    expect(waiting.replicas[0]).toMatchObject({ steps: 80, exchanges: 20 });
    expect(waiting.replicas[0]?.waitedSeconds).toBeCloseTo(20, 6);
  });

  test("is gone over twice in the exchange of the EASGD paper", async () => {
    const twice = await schedule({ solver: "async-easgd", ...SLOW, overlap: false, exchange: "two-round-trip" });
    expect(twice.replicas[0]?.waitedSeconds).toBeCloseTo(2 * 16, 6);
    // One vector each way all the same.
    expect(twice.bytesUp / twice.exchanges).toBeCloseTo(twice.bytesDown / twice.exchanges, -5);
  });
});

describe("Churn", () => {
  test.each(["ea-wild", "async-sgd", "sync-sgd", "original-easgd", "diloco"] as const)(
    "of %s loses what was not pushed once, and nothing counts twice",
    async (solver) => {
      const report = await schedule({
        solver,
        replicas: 12,
        stepTimes: { kind: "exponential" },
        latencySeconds: 0.3,
        applySeconds: 0.01,
        churn: { kind: "rates", meanLifetimeSeconds: 30, meanAbsenceSeconds: 10 },
        virtualSeconds: 1000,
        batch: 1,
      });
      expect(report.endedBy).toBe("virtualSeconds");
      expect(report.samples).toBe(report.replicas.reduce((sum, { samples }) => sum + samples, 0));
      // Batches of 1: samples are steps that counted. What is missing was under way when time was over, or refused.
      const missing = report.localSteps - report.samples - report.lostSteps;
      expect(missing).toBeGreaterThanOrEqual(0);
      expect(missing).toBeLessThanOrEqual(12 * 30 + 30 * report.refused.tooStale);
      // A gradient is one step: what is interrupted was not taken.
      expect(report.lostSteps > 0).toBe(!solver.endsWith("-sgd"));
      const present = report.replicas.reduce((sum, { presentSeconds }) => sum + presentSeconds, 0) / 12_000;
      expect(present).toBeCloseTo(0.75, 1);
      expect(report.exchanges).toBeGreaterThan(100);
    },
  );

  test("ends a run that nobody comes back to", async () => {
    const spans = [0, 1].map((replica) => ({ replica, joinSeconds: 0, leaveSeconds: 10 + replica }));
    const report = await schedule({ solver: "sync-sgd", replicas: 2, churn: { kind: "times", spans } });
    expect(report).toMatchObject({ endedBy: "nobody", virtualSeconds: 11 });
    // The one that is left trains alone in its last second, and who leaves at a step's end has not pushed it.
    expect(report.centerSteps).toBe(10);
    expect(report.replicas.map(({ exchanges }) => exchanges)).toEqual([9, 10]);
  });
});

describe("A simulation", () => {
  test("is the same again for a seed, and another for another", async () => {
    const scenario: Scenario = {
      solver: "ea-wild",
      replicas: 16,
      stepTimes: { kind: "lognormal", sigma: 0.7 },
      slowness: { kind: "lognormal", sigma: 0.5 },
      latencySeconds: 0.2,
      applySeconds: 0.05,
      churn: { kind: "rates", meanLifetimeSeconds: 50, meanAbsenceSeconds: 5 },
      virtualSeconds: 200,
    };
    const first = await schedule(scenario);
    expect(withoutClock(await schedule(scenario))).toEqual(withoutClock(first));
    expect(first.localSteps).not.toBe((await schedule({ ...scenario, seed: 2 })).localSteps);
  });

  test("of 10,000 replicas is over soon and takes little memory", async () => {
    const heapBytes = process.memoryUsage().heapUsed;
    const begun = performance.now();
    const report = await schedule({
      solver: "ea-wild",
      replicas: 10_000,
      stepTimes: { kind: "lognormal", sigma: 1 },
      slowness: { kind: "lognormal", sigma: 0.5 },
      latencySeconds: 0.05,
      applySeconds: 1e-5,
      communicationPeriod: 10,
      virtualSeconds: 100,
    });
    expect((performance.now() - begun) / 1000).toBeLessThan(30);
    expect(report.exchanges).toBeGreaterThan(80_000);
    expect(process.memoryUsage().heapUsed - heapBytes).toBeLessThan(200e6);
    expect(report.memory.bytesPerReplica).toBeLessThan(10_000);
  });
});
