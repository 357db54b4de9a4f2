import { describe, expect, test } from "vitest";
import { descend } from "../../coordinator/reproduce/momentum/asynchrony.ts";
import { ReusableCenter } from "../../coordinator/reproduce/momentum/center.ts";
import {
  measureMomentum,
  solve,
  type MeasuredMomentum,
  type Trajectory,
} from "../../coordinator/reproduce/momentum/implicit_momentum.ts";
import measureImplicit from "../../coordinator/reproduce/momentum/implicit_task.ts";
import type { Objective } from "../../coordinator/reproduce/momentum/objective.ts";
import { quadratic } from "../../coordinator/reproduce/momentum/quadratic.ts";
import { Sketch } from "../../coordinator/reproduce/momentum/sketch.ts";
import { stalenessUnder } from "../../coordinator/reproduce/momentum/staleness_law.ts";
import { runTrial } from "../../coordinator/reproduce/momentum/trial.ts";
import { turnsOf, type TurnOrder } from "../../coordinator/reproduce/momentum/turns.ts";
import { yellowFinMomentum } from "../../coordinator/reproduce/momentum/yellowfin_sensor.ts";
import { Random } from "../../shared/random.ts";

const MODES = 24;
const ALPHA = 0.5;

async function quadraticTrials(
  order: TurnOrder,
  replicas: number,
  { trials, noise, buckets = MODES }: { trials: number; noise: number; buckets?: number },
): Promise<Trajectory[]> {
  const objective = quadratic(noise);
  const center = await ReusableCenter.create(objective.shape);
  const sketch = new Sketch(MODES, buckets, 7);
  return Array.from({ length: trials }, (_, trial) =>
    runTrial({ objective, center, sketch, order, replicas, learningRate: ALPHA, seed: trial + 1 }),
  );
}

async function measuredOnQuadratic(order: TurnOrder, replicas: number, trials = 256): Promise<MeasuredMomentum> {
  return measureMomentum(await quadraticTrials(order, replicas, { trials, noise: 0.02 }), {
    buckets: MODES,
    resamples: 100,
    seed: 1,
  });
}

describe("Implicit momentum", () => {
  test("Two unknowns by least squares equal those worked out by hand", () => {
    // before = (1, 2), gradient = (1, -1), after = 0.5 * before - 0.25 * gradient = (0.25, 1.25).
    const found = solve({
      beforeBefore: 5,
      beforeGradient: -1,
      gradientGradient: 2,
      beforeAfter: 2.75,
      gradientAfter: -1,
      afterAfter: 1.625,
    });
    expect(found.momentum).toBeCloseTo(0.5, 12);
    expect(found.step).toBeCloseTo(0.25, 12);
    expect(found.explained).toBeCloseTo(1, 12);
  });

  test("The products of two trials are taken across them, and the plain ones of their mean", () => {
    // Two updates of one bucket: before = 1 and 3, gradient = 2 and 1 (at the second update), after = 4 and -1.
    const trials: Trajectory[] = [
      { steps: Float32Array.of(1, 4), gradients: Float32Array.of(9, 2) },
      { steps: Float32Array.of(3, -1), gradients: Float32Array.of(9, 1) },
    ];
    const { momentum, step, plain } = measureMomentum(trials, { buckets: 1, resamples: 1, seed: 1 });
    // Across: bb = 3, bg = (1*1 + 3*2)/2 = 3.5, gg = 2, ba = (1*-1 + 3*4)/2 = 5.5, ga = (2*-1 + 1*4)/2 = 1; det = 6 - 12.25.
    expect(momentum).toBeCloseTo((5.5 * 2 - 1 * 3.5) / -6.25, 5);
    expect(step).toBeCloseTo(-(1 * 3 - 5.5 * 3.5) / -6.25, 5);
    // One row of the mean cannot tell two unknowns apart.
    expect(Number.isFinite(plain.momentum)).toBe(false);
  });

  test.each([2, 4, 8, 16])(
    "On the quadratic with 24 modes it is 1 - 1/M and the step alpha/M, M = %i",
    async (replicas) => {
      const measured = await measuredOnQuadratic("memoryless", replicas);
      expect(Math.abs(measured.momentum - (1 - 1 / replicas))).toBeLessThan(0.02);
      expect(Math.abs((replicas * measured.step) / ALPHA - 1)).toBeLessThan(0.08);
      expect(measured.explained).toBeGreaterThan(0.97);
      const lower = measured.resampled.filter(({ momentum }) => momentum < 1 - 1 / replicas).length;
      // The intervals hold the answer: not all resampled estimates lie on one side.
      expect(lower).toBeGreaterThan(0.01 * measured.resampled.length);
      expect(lower).toBeLessThan(0.99 * measured.resampled.length);
    },
  );

  test("Few noisy trials attenuate the plain regression and not the crossed one", async () => {
    const replicas = 8;
    const errors = { plain: 0, crossed: 0 };
    const trials = await quadraticTrials("memoryless", replicas, { trials: 512, noise: 0.3 });
    for (let first = 0; first < trials.length; first += 64) {
      const { momentum, plain } = measureMomentum(trials.slice(first, first + 64), {
        buckets: MODES,
        resamples: 100,
        seed: 1,
      });
      errors.plain += (plain.momentum - (1 - 1 / replicas)) / 8;
      errors.crossed += (momentum - (1 - 1 / replicas)) / 8;
    }
    expect(errors.plain).toBeLessThan(-0.05);
    expect(Math.abs(errors.crossed)).toBeLessThan(0.03);
  });

  test("A fixed lag and a permutation per sweep have other pairs of momentum and step", async () => {
    const distances: Record<string, number> = {};
    for (const order of ["memoryless", "exponential", "round-robin", "permutation"] as const) {
      const { momentum, step } = await measuredOnQuadratic(order, 4);
      distances[order] = Math.hypot(momentum - 0.75, step / ALPHA - 0.25);
    }
    expect(distances["memoryless"]).toBeLessThan(0.03);
    expect(distances["exponential"]).toBeLessThan(0.03);
    expect(distances["round-robin"]).toBeGreaterThan(0.1);
    expect(distances["permutation"]).toBeGreaterThan(0.1);
  });

  test("YellowFin's sensor sees an explicit momentum, and takes the step for alpha", () => {
    // D_t = 0.3 D_(t-1) - 0.5 g exactly, in one bucket.
    const gradients = Float32Array.of(1, 0.5, -0.25, 2);
    const steps = new Float32Array(4);
    steps[0] = -0.5;
    for (let t = 1; t < 4; t++) steps[t] = 0.3 * steps[t - 1]! - 0.5 * gradients[t]!;
    expect(yellowFinMomentum([{ steps, gradients }], 1, 0.5)).toBeCloseTo(0.3, 5);
  });

  test("On logistic regression over MNIST two replicas have it too", async () => {
    const { measured } = await measureImplicit({
      workbench: { model: "logistic", images: 512, batch: 64, observed: 128, heldOut: 64, seed: 1 },
      order: "memoryless",
      replicas: 2,
      learningRate: 0.03,
      trials: 256,
      buckets: 64,
    });
    expect(Math.abs(measured.momentum - 0.5)).toBeLessThan(0.12);
    expect(Math.abs(measured.step / 0.03 - 0.5)).toBeLessThan(0.15);
  });
});

describe("Staleness of an order of turns", () => {
  test.each(["memoryless", "exponential"] as const)("%s replicas give the geometric law", (order) => {
    for (const replicas of [2, 8]) {
      const { shares, mean, variance } = stalenessUnder(order, replicas, 200_000, 3);
      expect(mean).toBeCloseTo(replicas - 1, 0);
      expect(variance / (replicas * (replicas - 1))).toBeGreaterThan(0.95);
      expect(variance / (replicas * (replicas - 1))).toBeLessThan(1.05);
      const stay = 1 - 1 / replicas;
      for (let s = 0; s < 6; s++) expect(Math.abs(shares[s]! - stay ** s / replicas)).toBeLessThan(0.005);
    }
  });

  test("A round robin has one lag, a permutation the same mean and uniform times little spread", () => {
    expect(stalenessUnder("round-robin", 8, 8000, 1).shares[7]).toBe(1);
    expect(stalenessUnder("permutation", 8, 80_000, 1).mean).toBeCloseTo(7, 1);
    // Knowledge of the field: 5.9 for uniform(0.5, 1.5), about 74 for lognormal(1) where geometric would have 56.
    expect(stalenessUnder("uniform", 8, 80_000, 1).variance).toBeLessThan(8);
    expect(stalenessUnder("lognormal", 8, 200_000, 1).variance).toBeGreaterThan(60);
  });
});

describe("The asynchronous descent", () => {
  test("Equals a plain loop in single precision, with explicit momentum, bit for bit", async () => {
    const objective = quadratic(0.1);
    const center = await ReusableCenter.create(objective.shape);
    const rates = { learningRate: 0.2, momentum: -0.3 };
    const setting = { objective, replicas: 3, updates: 20, rates };
    const stalenesses: number[] = [];
    descend(
      { ...setting, center, turns: turnsOf("memoryless", 3, new Random(1)), random: new Random(2) },
      () => false,
      (staleness) => stalenesses.push(staleness),
    );
    const expected = plainDescent(objective, { ...setting, turns: turnsOf("memoryless", 3, new Random(1)) });
    expect([...center.values]).toEqual([...expected.center]);
    expect(stalenesses).toEqual(expected.stalenesses);
  });

  test("Begins anew from the start, without the velocity of the last descent", async () => {
    const objective = quadratic(0);
    const center = await ReusableCenter.create(objective.shape);
    const once = (): number[] => {
      const rates = { learningRate: 0.2, momentum: 0.9 };
      const turns = turnsOf("round-robin", 2, new Random(1));
      descend({ objective, center, replicas: 2, updates: 5, rates, turns, random: new Random(1) }, () => false);
      return [...center.values];
    };
    const first = once();
    expect(once()).toEqual(first);
  });
});

/** Heavy ball on plain arrays: v <- mu v - alpha g, w <- w + v, each operation rounded. */
function plainDescent(
  objective: Objective,
  setting: {
    turns: () => number;
    replicas: number;
    updates: number;
    rates: { learningRate: number; momentum: number };
  },
): { center: Float32Array; stalenesses: number[] } {
  const random = new Random(2);
  const center = objective.start.slice();
  const velocity = new Float32Array(center.length);
  const learningRate = Math.fround(setting.rates.learningRate);
  const momentum = Math.fround(setting.rates.momentum);
  const reads = Array.from({ length: setting.replicas }, () => ({ values: objective.start.slice(), version: 0 }));
  const stalenesses: number[] = [];
  for (let update = 0; update < setting.updates; update++) {
    const read = reads[setting.turns()]!;
    const gradient = objective.draw(read.values, random);
    stalenesses.push(update - read.version);
    for (let index = 0; index < center.length; index++) {
      const kept = Math.fround(momentum * velocity[index]!);
      velocity[index] = Math.fround(kept - Math.fround(learningRate * gradient[index]!));
      center[index]! += velocity[index]!;
    }
    read.values.set(center);
    read.version = update + 1;
  }
  return { center, stalenesses };
}
