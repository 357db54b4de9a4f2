import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { compilePlan, type Plan, type PlanOptions } from "../../shared/engine/plan.ts";
import type { WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { TestDevice } from "./gpu_device.ts";

const EXAMPLES = 12;
const SETTINGS = { learningRate: 0.05, momentum: 0.8, weightDecay: 0.001 };
const NORMALISATION = { mean: [0.5], deviation: [0.25] };

/** Every kind of layer that has no batch norm, so that a batch in parts is the same batch. */
const PARTS: ModelDescription = {
  name: "parts",
  input: { height: 8, width: 8, channels: 3 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 8, padding: 1 },
    { kind: "relu", name: "relu" },
    { kind: "local-response-norm", name: "response" },
    { kind: "max-pool", name: "pool", size: 3, stride: 2, ceil: true },
    { kind: "conv2d", name: "left", kernel: 1, channels: 4 },
    { kind: "conv2d", name: "right", kernel: 3, channels: 4, padding: 1, groups: 4, from: "pool" },
    { kind: "concat", name: "both", from: ["left", "right"] },
    { kind: "layer-norm", name: "norm" },
    { kind: "gelu", name: "gelu" },
    { kind: "add", name: "add", from: ["gelu", "pool"] },
    { kind: "average-pool", name: "mean", size: 2, stride: 2 },
    { kind: "dense", name: "out", units: 3 },
  ],
};

/** What changes from step to step besides: running statistics, dropout, shifts and flips. */
const RANDOM: ModelDescription = {
  name: "random",
  input: { height: 6, width: 6, channels: 3 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 8, padding: 1, bias: false },
    { kind: "batch-norm", name: "norm" },
    { kind: "relu", name: "relu" },
    { kind: "conv2d", name: "conv 2", kernel: 3, channels: 8, padding: 1, bias: false },
    { kind: "batch-norm", name: "norm 2" },
    { kind: "add", name: "add", from: ["norm 2", "relu"] },
    { kind: "leaky-relu", name: "leaky" },
    { kind: "global-average-pool", name: "pool" },
    { kind: "dropout", name: "drop", rate: 0.25 },
    { kind: "dense", name: "out", units: 3 },
  ],
};

const random = new Random(5);
const images = Uint8Array.from({ length: EXAMPLES * 8 * 8 * 3 }, () => random.below(256));
const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(3));

let shared: TestDevice;

beforeAll(async () => {
  shared = await TestDevice.open();
});

afterEach(() => {
  expect(shared.errors).toEqual([]);
});

afterAll(() => shared.close());

function planOf(model: ModelDescription, options: Partial<PlanOptions> = {}): Plan {
  return compilePlan(model, { batch: 4, datasetExamples: EXAMPLES, normalisation: NORMALISATION, ...options });
}

function imagesOf({ model }: Plan): Uint8Array {
  return images.slice(0, EXAMPLES * elementsOf(model.input));
}

async function begin(plan: Plan, nowMs?: () => number): Promise<WebGpuProgram> {
  const program = await shared.compile(plan, "quads", nowMs);
  program.loadExamples(0, imagesOf(plan), labels);
  program.writeParameters(initialParameters(plan.layout, 3));
  return program;
}

function batchOf(step: number): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, row) => (5 * step + 3 * row) % EXAMPLES);
}

function largestDifference(actual: Float32Array, expected: ArrayLike<number>): number {
  return Math.max(...actual.map((value, index) => Math.abs(value - expected[index]!)));
}

const AUGMENTED: Partial<PlanOptions> = { augmentation: { cropPadding: 2, flip: true }, seed: 11 };

describe("[E2] Whole steps", () => {
  test.each([
    ["pools, norms over rows, groups and a concatenation", PARTS, {}],
    ["batch norms, a residual, dropout, crops and flips", RANDOM, AUGMENTED],
  ] as const)("equal the reference's, step after step: %s", async (_, model, options) => {
    const plan = planOf(model, options);
    const program = await begin(plan);
    const trainer = new ReferenceTrainer(plan, imagesOf(plan), labels, initialParameters(plan.layout, 3));
    const losses = [0, 1, 2].map((step) => {
      program.step(batchOf(step), SETTINGS);
      return trainer.step(batchOf(step), SETTINGS);
    });
    const taken = await program.takeDifference();
    expect(taken.meanLoss).toBeCloseTo(losses.reduce((sum, loss) => sum + loss) / 3, 5);
    expect(largestDifference(await program.readParameters(), trainer.memory.parameters)).toBeLessThan(1e-5);
    const evaluation = await program.evaluate(batchOf(9));
    const expected = trainer.evaluate(batchOf(9));
    expect(evaluation.correct).toBe(expected.correct);
    expect(evaluation.meanLoss).toBeCloseTo(expected.meanLoss, 5);
    program.close();
  });

  test("[E9] A gradient carries what the base has to lose to become the running statistics", async () => {
    const plan = planOf(RANDOM, AUGMENTED);
    const program = await begin(plan);
    const trainer = new ReferenceTrainer(plan, imagesOf(plan), labels, initialParameters(plan.layout, 3));
    program.gradientStep(batchOf(0));
    const { gradient } = trainer.gradientStep(batchOf(0));
    const { values } = await program.takeGradient();
    const { trainableElements } = plan.layout;
    const trained = values.slice(0, trainableElements);
    expect(largestDifference(trained, gradient)).toBeLessThan(1e-5);
    const begun = initialParameters(plan.layout, 3).subarray(trainableElements);
    const lost = trainer.memory.parameters.subarray(trainableElements).map((value, index) => begun[index]! - value);
    expect(lost.some((value) => value !== 0)).toBe(true);
    expect(largestDifference(values.slice(trainableElements), lost)).toBeLessThan(1e-6);
    program.close();
  });
});

test("Several steps in one submit equal single submits bit for bit", async () => {
  const plan = planOf(RANDOM, AUGMENTED);
  const alone = await begin(plan);
  for (let step = 0; step < 12; step++) {
    alone.step(batchOf(step), { ...SETTINGS, learningRate: 0.05 / (step + 1) });
    await alone.idle();
  }
  const expected = await alone.readParameters();
  alone.close();
  // A clock on which every step takes 10 ms, so that ten fit into a submit.
  let clockMs = 0;
  const program = await begin(plan, () => (clockMs += 10));
  program.step(batchOf(0), SETTINGS);
  await program.idle();
  const submits = vi.spyOn(shared.device.queue, "submit");
  for (let step = 1; step < 12; step++) program.step(batchOf(step), { ...SETTINGS, learningRate: 0.05 / (step + 1) });
  const parameters = await program.readParameters();
  expect(submits.mock.calls.length).toBeLessThan(8);
  submits.mockRestore();
  expect(parameters).toEqual(expected);
  program.close();
});

test("A caller that only steps sees its steps done", async () => {
  const plan = planOf(PARTS);
  let clockMs = 0;
  const program = await begin(plan, () => (clockMs += 10));
  program.step(batchOf(0), SETTINGS);
  await program.idle();
  const passes = vi.spyOn(GPUCommandEncoder.prototype, "beginComputePass");
  for (let step = 0; step < 6; step++) program.step(batchOf(step), SETTINGS);
  await vi.waitFor(() => expect(passes.mock.calls.length).toBe(6), 20_000);
  passes.mockRestore();
  program.close();
});

test("A batch in parts gives the gradient, the loss, the update and the evaluation of the whole", async () => {
  const whole = await begin(planOf(PARTS));
  whole.gradientStep(batchOf(1));
  const { values, meanLoss } = await whole.takeGradient();
  const gradient = values.slice();
  whole.step(batchOf(2), SETTINGS);
  const parameters = await whole.readParameters();
  const evaluation = await whole.evaluate(batchOf(3));
  whole.close();
  for (const microBatches of [2, 4]) {
    const parts = await begin(planOf(PARTS, { microBatches }));
    parts.gradientStep(batchOf(1));
    const taken = await parts.takeGradient();
    expect(taken).toMatchObject({ steps: 1 });
    expect(taken.meanLoss).toBeCloseTo(meanLoss, 5);
    expect(largestDifference(taken.values, gradient)).toBeLessThan(1e-5);
    parts.step(batchOf(2), SETTINGS);
    expect(largestDifference(await parts.readParameters(), parameters)).toBeLessThan(1e-5);
    const inParts = await parts.evaluate(batchOf(3));
    expect(inParts.correct).toBe(evaluation.correct);
    expect(inParts.meanLoss).toBeCloseTo(evaluation.meanLoss, 5);
    parts.close();
  }
});

/** Batches of one, two and three parts of two examples each, in turn. */
function sharesOf(step: number): Uint32Array {
  return Uint32Array.from({ length: 2 * (1 + (step % 3)) }, (_, row) => (5 * step + 3 * row) % EXAMPLES);
}

test.each([
  ["momentum", PARTS, { optimizer: { kind: "momentum" } }],
  ["lars", PARTS, { optimizer: { kind: "lars", trust: 0.02 } }],
  ["adamw, clipped", PARTS, { optimizer: { kind: "adamw", clipNorm: 0.01 } }],
  ["momentum, with running statistics, dropout, crops and flips", RANDOM, AUGMENTED],
] as const)(
  "[E14] Any number of a batch's parts is a batch of that size, exactly, to %s",
  async (_, model, options) => {
    for (const step of [0, 1]) {
      const parts = 1 + step;
      const some = await begin(planOf(model, { ...options, batch: 6, microBatches: 3 }));
      const whole = await begin(planOf(model, { ...options, batch: 2 * parts, microBatches: parts }));
      for (const program of [some, whole]) {
        for (let times = 0; times < 2; times++) program.step(sharesOf(step), SETTINGS);
      }
      const parameters = await some.readParameters();
      expect(parameters).not.toEqual(initialParameters(some.plan.layout, 3));
      expect(parameters).toEqual(await whole.readParameters());
      expect(await some.takeLoss()).toEqual(await whole.takeLoss());
      for (const program of [some, whole]) program.gradientStep(sharesOf(step));
      expect((await some.takeGradient()).values).toEqual((await whole.takeGradient()).values);
      some.close();
      whole.close();
    }
  },
);

test("Steps of several sizes in one submit equal single submits bit for bit, and their loss is per example", async () => {
  const plan = planOf(RANDOM, { ...AUGMENTED, batch: 6, microBatches: 3 });
  const [alone, separately] = [await begin(plan), await begin(plan)];
  let lossSum = 0;
  let examples = 0;
  for (let step = 0; step < 9; step++) {
    alone.step(sharesOf(step), SETTINGS);
    await alone.idle();
    separately.step(sharesOf(step), SETTINGS);
    lossSum += sharesOf(step).length * (await separately.takeLoss()).meanLoss;
    examples += sharesOf(step).length;
  }
  let clockMs = 0;
  const program = await begin(plan, () => (clockMs += 10));
  for (let step = 0; step < 9; step++) program.step(sharesOf(step), SETTINGS);
  expect(await program.readParameters()).toEqual(await alone.readParameters());
  const { steps, meanLoss } = await program.takeLoss();
  expect(steps).toBe(9);
  expect(meanLoss).toBeCloseTo(lossSum / examples, 5);
  for (const each of [alone, separately, program]) each.close();
});

test("Parts that are none, too many or broken are refused", async () => {
  const program = await begin(planOf(PARTS, { batch: 6, microBatches: 3 }));
  for (const length of [0, 5, 8]) {
    expect(() => program.step(new Uint32Array(length), SETTINGS)).toThrow(/1 to 3 parts of 2 examples each/);
    expect(() => program.gradientStep(new Uint32Array(length))).toThrow(/1 to 3 parts of 2 examples each/);
  }
  await expect(program.evaluate(new Uint32Array(4))).rejects.toThrow(/of 4 examples came.*for 6/);
  program.close();
});
