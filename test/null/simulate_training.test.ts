/** Simulations with real gradients on real MNIST: what is learned, that it is the same each time, and going back and on. */

import { describe, expect, test } from "vitest";
import { Simulator } from "../../coordinator/simulate/simulator.ts";
import type { Scenario } from "../../coordinator/simulate/scenario.ts";
import type { SimulationReport } from "../../coordinator/simulate/report.ts";
import { SOLVER_NAMES, type SolverName } from "../../shared/solver/catalogue.ts";

const simulator = new Simulator();

/** Where the defaults are not good for four replicas that exchange every five steps. */
const LEARNS: Readonly<Partial<Record<SolverName, Scenario>>> = {
  "sync-sgd": { learningRate: 0.05 },
  "async-sgd": { learningRate: 0.1 },
  "async-msgd": { learningRate: 0.02, momentum: 0.5 },
  "hogwild-sgd": { learningRate: 0.1 },
  downpour: { learningRate: 0.03, communicationPeriod: 2 },
  diloco: { outerLearningRate: 0.5, outerMomentum: 0.5 },
  "async-diloco": { outerLearningRate: 0.5, outerMomentum: 0.3 },
};
const WITHOUT_MOMENTUM: Scenario = { learningRate: 0.1 };

function scenarioOf(solver: SolverName): Scenario {
  const gradients = { solver, batch: 32, samples: 40_000, evaluateEverySamples: 4000, targetAccuracy: 0.9 };
  const plain = solver === "original-easgd" || solver === "sync-easgd" || solver === "async-easgd";
  const isGradient = solver.endsWith("sgd") && LEARNS[solver] !== undefined;
  return {
    ...gradients,
    ...(isGradient ? {} : { communicationPeriod: 5 }),
    ...(plain ? WITHOUT_MOMENTUM : {}),
    ...LEARNS[solver],
  };
}

function withoutClock(report: SimulationReport): unknown {
  return { ...report, wallSeconds: 0 };
}

describe("In a simulation", () => {
  test.each(SOLVER_NAMES)("%s learns MNIST to 90 %", async (solver) => {
    const report = await simulator.simulate(scenarioOf(solver));
    expect(report.endedBy).toBe("targetAccuracy");
    expect(report.accuracy).toBeGreaterThanOrEqual(0.9);
    expect(report.targets[0]?.virtualSeconds).toBeLessThanOrEqual(report.virtualSeconds);
    expect(report.refused).toEqual({ tooStale: 0, notFinite: 0, outOfBounds: 0 });
  });

  test("everything but the wall clock is the same for a seed, bit for bit, whatever was simulated before", async () => {
    const scenario: Scenario = {
      solver: "ea-wild",
      batch: 16,
      replicas: 5,
      stepTimes: { kind: "exponential" },
      latencySeconds: 0.01,
      applySeconds: 0.004,
      churn: { kind: "rates", meanLifetimeSeconds: 1, meanAbsenceSeconds: 0.3 },
      samples: 8000,
      evaluateEverySeconds: 0.5,
    };
    const first = await simulator.simulate(scenario);
    expect(first.curve.length).toBeGreaterThan(2);
    await simulator.simulate({ ...scenario, solver: "async-sgd", samples: 500, churn: null });
    expect(withoutClock(await simulator.simulate(scenario))).toEqual(withoutClock(first));
    expect(withoutClock(await new Simulator().simulate(scenario))).toEqual(withoutClock(first));
    expect((await simulator.simulate({ ...scenario, seed: 2 })).loss).not.toBe(first.loss);
  });

  test("a step size that is too large is seen to diverge", async () => {
    const report = await simulator.simulate({ solver: "async-msgd", batch: 32, learningRate: 0.5, samples: 20_000 });
    expect(report).toMatchObject({ diverged: true, endedBy: "diverged" });
    expect(report.samples).toBeLessThan(20_000);
  });

  test("one compute group shares one batch, and a barrier adds whole ones", async () => {
    const common: Scenario = { batch: 32, replicas: 4, learningRate: 0.05, centerSteps: 40, shares: "equal" };
    // Each of four members has eight images.
    const grouped = await simulator.simulate({ ...common, solver: "async-msgd", momentum: 0.5, groups: 1 });
    expect(grouped.samples).toBe(40 * 32);
    expect(grouped.staleness.max).toBe(0);
    const barrier = await simulator.simulate({ ...common, solver: "sync-sgd", momentum: 0.5 });
    expect(barrier.samples).toBe(40 * 4 * 32);
    expect(grouped.curve[0]).toEqual(barrier.curve[0]);
    expect(grouped.loss).toBeLessThan(1.5);
  });

  test("what a replica holds is said, and gradient solvers hold the least", async () => {
    const common: Scenario = { batch: 16, replicas: 8, samples: 2000, trainExamples: 1000, communicationPeriod: 1 };
    const elastic = await simulator.simulate({ ...common, solver: "async-measgd" });
    const gradient = await simulator.simulate({ ...common, solver: "sync-sgd" });
    const vector = 4 * 235_146;
    // Parameters, velocity and a push under way; of a barrier all hold one center.
    expect(elastic.memory.bytesPerReplica / vector).toBeGreaterThan(2);
    expect(elastic.memory.bytesPerReplica / vector).toBeLessThan(3.5);
    expect(gradient.memory.bytesPerReplica / vector).toBeLessThan(0.7);
  });
});

describe("A simulated run", () => {
  const SCENARIO: Scenario = {
    solver: "async-msgd",
    batch: 32,
    replicas: 4,
    learningRate: 0.03,
    momentum: 0.3,
    stepTimes: { kind: "exponential" },
    virtualSeconds: 100,
  };

  test("stands still between two advances, and goes back to a snapshot with its clock going on", async () => {
    const run = await simulator.open(SCENARIO, { willRegroup: true });
    const first = run.advance(0.5);
    expect(first.samples).toBeGreaterThan(500);
    expect(first.lossMean).toBeLessThan(2.4);
    const snapshot = run.snapshot();
    const second = run.advance(0.5);
    expect(second.lossMean).toBeLessThan(first.lossMean);
    expect(run.snapshot().parameters).not.toEqual(snapshot.parameters);
    run.restart(snapshot);
    expect(run.snapshot().parameters).toEqual(snapshot.parameters);
    expect(run.snapshot().velocity).toEqual(snapshot.velocity);
    expect(run.nowSeconds).toBe(1);
    const again = run.advance(0.5);
    expect(again.samples).toBeGreaterThan(500);
    expect(again.isOver).toBe(false);
  });

  test("takes up groups, momentum and learning rate as it goes, and tells their timings", async () => {
    const run = await simulator.open(SCENARIO, { willRegroup: true });
    run.advance(0.3);
    expect(run.timings().every(({ groupSize }) => groupSize === 1)).toBe(true);
    run.retune({ groups: 2, momentum: -0.3, learningRate: 0.02 });
    run.advance(1);
    const sizes = run.timings().map(({ groupSize }) => groupSize);
    expect(sizes.filter((size) => size === 2).length / sizes.length).toBeGreaterThan(0.8);
    expect(run.settings).toMatchObject({ groups: 2, momentum: -0.3, learningRate: 0.02 });
    run.retune({ groups: 1 });
    run.advance(1);
    expect(run.timings().at(-1)?.groupSize).toBe(4);
    run.retune({ groups: 4 });
    const { lossMean, diverged } = run.advance(1);
    expect(run.timings().at(-1)?.groupSize).toBe(1);
    expect(diverged).toBe(false);
    expect(lossMean).toBeLessThan(1);
  });

  test("that diverged goes on from where it is taken back to", async () => {
    const run = await simulator.open({ ...SCENARIO, evaluateEverySamples: 500 });
    run.advance(0.2);
    const snapshot = run.snapshot();
    run.retune({ learningRate: 30 });
    expect(run.advance(2)).toMatchObject({ diverged: true, isOver: true });
    run.retune({ learningRate: 0.03 });
    run.restart(snapshot);
    const stretch = run.advance(0.5);
    expect(stretch).toMatchObject({ diverged: false, isOver: false });
    expect(stretch.lossMean).toBeLessThan(2.3);
  });
});
