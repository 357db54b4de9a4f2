import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { tfjsLosses } from "../reference/tfjs_oracle.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { requestDevice, SHADERS } from "./gpu_device.ts";
import { mnistExamples, type Examples } from "./mnist_examples.ts";

const EXAMPLES = 60;
const SETTINGS = { learningRate: 0.01, momentum: 0.9, weightDecay: 0.0005 };

let backend: Backend;
let mnist: Examples;

beforeAll(async () => {
  mnist = await mnistExamples(EXAMPLES);
  backend = await createWebGpuBackend(await requestDevice(), { description: "test", isFallback: true }, SHADERS);
});

afterAll(() => backend.close());

function lenetPlan(batch: number): Plan {
  const normalisation = { mean: [0.1307], deviation: [0.3081] };
  return compilePlan(MODELS.lenet, { batch, datasetExamples: EXAMPLES, normalisation });
}

describe("LeNet on MNIST", () => {
  test("[E2] Ten losses equal those of TensorFlow.js within 1e-3", async () => {
    // TensorFlow.js takes 0.7 s an image.
    const plan = lenetPlan(2);
    const parameters = initialParameters(plan.layout, 1);
    const batches = Array.from({ length: 10 }, (_, step) => Uint32Array.of(2 * step, 2 * step + 1));
    const expected = await tfjsLosses(plan, { ...mnist, parameters, batches, settings: SETTINGS });
    const program = await backend.compile(plan);
    program.loadExamples(0, mnist.images, mnist.labels);
    program.writeParameters(parameters);
    const errors: number[] = [];
    for (const [step, examples] of batches.entries()) {
      program.step(examples, SETTINGS);
      const { meanLoss, steps } = await program.takeDifference();
      expect(steps).toBe(1);
      errors.push(Math.abs(meanLoss - expected[step]!));
    }
    expect(Math.max(...errors)).toBeLessThan(1e-3);
    program.close();
  });

  test("[E2] The gradient of a whole step equals the reference, tensor by tensor", async () => {
    const plan = lenetPlan(5);
    const parameters = initialParameters(plan.layout, 4);
    const examples = Uint32Array.of(7, 0, 33, 7, 59);
    const program = await backend.compile(plan);
    program.loadExamples(0, mnist.images, mnist.labels);
    program.writeParameters(parameters);
    program.gradientStep(examples);
    const taken = await program.takeGradient();
    const reference = new ReferenceTrainer(plan, mnist.images, mnist.labels, parameters);
    const { meanLoss, gradient } = reference.gradientStep(examples);
    expect(Math.abs(taken.meanLoss - meanLoss)).toBeLessThan(1e-5);
    const wrong: string[] = [];
    for (const { name, offset, elements } of plan.layout.tensors) {
      const expected = gradient.subarray(offset, offset + elements);
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const error = expected.reduce(
        (most, value, index) => Math.max(most, Math.abs(taken.values[offset + index]! - value)),
        0,
      );
      // Eight layers, each within 7 * sqrt(800) * 2^-24 of its sum's magnitude: 1e-4 of the largest element.
      if (!(error <= 1e-4 * largest)) wrong.push(`${name}: off by ${error}, its largest element is ${largest}`);
    }
    expect(wrong).toEqual([]);
    program.close();
  });
});
