import { expect, test } from "vitest";
import { compilePlan } from "../../shared/engine/plan.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { maxPool } from "../reference/pooling.ts";
import { tolerance } from "../reference/tolerance.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { heavyBall, settled } from "../reference/update.ts";

/** Strided and padded convolution, overlapping pools, fused relus: every gradient path, few enough weights to probe all. */
const TINY: ModelDescription = {
  name: "tiny",
  input: { height: 9, width: 8, channels: 2 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv1", kernel: 3, channels: 3, padding: 1 },
    { kind: "relu", name: "relu1" },
    { kind: "max-pool", name: "pool1", size: 3, stride: 2 },
    { kind: "conv2d", name: "conv2", kernel: 2, channels: 4, stride: 2, padding: 1 },
    { kind: "max-pool", name: "pool2", size: 2, stride: 1 },
    { kind: "relu", name: "relu2" },
    { kind: "dense", name: "fc1", units: 5 },
    { kind: "relu", name: "relu3" },
    { kind: "dense", name: "fc2", units: 3 },
  ],
};

function tinyTrainer(seed: number): { trainer: ReferenceTrainer; examples: Uint32Array } {
  const random = new Random(seed);
  const plan = compilePlan(TINY, { batch: 4, datasetExamples: 6, normalisation: { mean: [0.4], deviation: [0.3] } });
  const images = Uint8Array.from({ length: 6 * 9 * 8 * 2 }, () => random.below(256));
  const labels = Uint8Array.from({ length: 6 }, () => random.below(3));
  const parameters = initialParameters(layoutOf(TINY), seed);
  return { trainer: new ReferenceTrainer(plan, images, labels, parameters), examples: Uint32Array.of(5, 0, 3, 3) };
}

test("Every reference gradient equals the slope of the loss found by finite differences", () => {
  const { trainer, examples } = tinyTrainer(21);
  const gradient = trainer.gradientStep(examples).gradient.slice();
  const { parameters } = trainer.memory;
  const step = 1e-6;
  const wrong: string[] = [];
  let largest = 0;
  for (const tensor of trainer.plan.layout.tensors) {
    for (let index = tensor.offset; index < tensor.offset + tensor.elements; index++) {
      const kept = parameters[index]!;
      parameters[index] = kept + step;
      const above = trainer.evaluate(examples).meanLoss;
      parameters[index] = kept - step;
      const below = trainer.evaluate(examples).meanLoss;
      parameters[index] = kept;
      const slope = (above - below) / (2 * step);
      // Losses near 1 carry 1e-16 of rounding, over a step of 1e-6; the curvature adds step^2.
      if (!(Math.abs(slope - gradient[index]!) < 1e-8)) wrong.push(`${tensor.name} at ${index - tensor.offset}`);
      largest = Math.max(largest, Math.abs(slope));
    }
  }
  expect(wrong).toEqual([]);
  expect(largest).toBeGreaterThan(0.01);
});

test("The reference trainer drives its loss down on a batch that it keeps", () => {
  const { trainer, examples } = tinyTrainer(5);
  const settings = { learningRate: 0.05, momentum: 0.9, weightDecay: 0 };
  const first = trainer.step(examples, settings);
  for (let step = 0; step < 60; step++) trainer.step(examples, settings);
  expect(trainer.evaluate(examples).meanLoss).toBeLessThan(first / 4);
});

test("The first of equal inputs wins a pool", () => {
  const shape = { height: 2, width: 2, channels: 1 };
  const window = {
    batch: 1,
    input: shape,
    output: { height: 1, width: 1, channels: 1 },
    size: 2,
    stride: 2,
    padding: 0,
    dilation: 1,
    groups: 1,
  };
  const { output, choice } = maxPool(window, [1, 7, 7, 2]);
  expect([output[0], choice[0]]).toEqual([7, 1]);
});

test("The heavy ball gathers speed and weight decay pulls towards zero", () => {
  const parameters = Float64Array.of(1);
  const velocity = Float64Array.of(0.5);
  heavyBall(parameters, velocity, [2], { learningRate: 0.1, momentum: 0.5, weightDecay: 1 }, 1);
  expect(velocity[0]).toBeCloseTo(0.25 - 0.3, 12);
  expect(parameters[0]).toBeCloseTo(0.95, 12);
});

test("The elastic pull moves the parameters by the sent difference, not by the present one", () => {
  expect(settled([5], [3], [1], 0.25)[0]).toBe(4.5);
});

test("A tolerance grows with the sum, at first in proportion and later with the root of its length", () => {
  expect(tolerance(2, 1)).toBeCloseTo(5 * 2 ** -24, 12);
  expect(tolerance(40_000, 1) / tolerance(10_000, 1)).toBeCloseTo(2, 3);
});
