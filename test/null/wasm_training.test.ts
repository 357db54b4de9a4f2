import { describe, expect, test } from "vitest";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { tfjsLosses } from "../reference/tfjs_oracle.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { WASM_VARIANTS } from "../support/wasm_modules.ts";

const EXAMPLES = 60;
const SETTINGS = { learningRate: 0.01, momentum: 0.9, weightDecay: 0.0005 };
const { images, labels } = mnistExamples(EXAMPLES);

function lenetPlan(batch: number): Plan {
  const normalisation = { mean: [0.1307], deviation: [0.3081] };
  return compilePlan(MODELS.lenet, { batch, datasetExamples: EXAMPLES, normalisation });
}

function batches(count: number, batch: number): Uint32Array[] {
  const all = Uint32Array.from({ length: count * batch }, (_, index) => index);
  return Array.from({ length: count }, (_, step) => all.slice(step * batch, (step + 1) * batch));
}

describe("LeNet on MNIST", () => {
  test("[E2] Ten losses equal those of TensorFlow.js within 1e-3, in both modules", async () => {
    // TensorFlow.js takes 0.7 s an image.
    const plan = lenetPlan(2);
    const parameters = initialParameters(plan.layout, 1);
    const run = { parameters, images, labels, batches: batches(10, plan.batch), settings: SETTINGS };
    const expected = await tfjsLosses(plan, run);
    for (const [, sources] of WASM_VARIANTS) {
      const errors: number[] = [];
      const program = await (await createWasmBackend(sources)).compile(plan);
      program.loadExamples(0, images, labels);
      program.writeParameters(parameters);
      for (const [step, examples] of run.batches.entries()) {
        program.step(examples, SETTINGS);
        const { meanLoss, steps } = await program.takeDifference();
        expect(steps).toBe(1);
        errors.push(Math.abs(meanLoss - expected[step]!));
      }
      // Largest seen: plain 3.9e-6, relaxed 2.9e-6 (2026-11-21).
      expect(Math.max(...errors)).toBeLessThan(1e-3);
    }
  });

  test.each(WASM_VARIANTS)("[E2] The gradient of a whole step equals the reference, %s", async (_name, sources) => {
    const plan = lenetPlan(5);
    const parameters = initialParameters(plan.layout, 4);
    const examples = Uint32Array.of(7, 0, 33, 7, 59);
    const program = await (await createWasmBackend(sources)).compile(plan);
    program.loadExamples(0, images, labels);
    program.writeParameters(parameters);
    program.gradientStep(examples);
    const taken = await program.takeGradient();
    const { meanLoss, gradient } = new ReferenceTrainer(plan, images, labels, parameters).gradientStep(examples);
    expect(Math.abs(taken.meanLoss - meanLoss)).toBeLessThan(1e-5);
    const wrong: string[] = [];
    for (const { name, offset, elements } of plan.layout.tensors) {
      let largest = 0;
      let error = 0;
      for (let index = offset; index < offset + elements; index++) {
        largest = Math.max(largest, Math.abs(gradient[index]!));
        error = Math.max(error, Math.abs(taken.values[index]! - gradient[index]!));
      }
      // Eight layers, each within 7 * sqrt(800) * 2^-24 of its sum's magnitude: 1e-4 of the largest element.
      if (!(error <= 1e-4 * largest)) wrong.push(`${name}: off by ${error}, its largest element is ${largest}`);
    }
    expect(wrong).toEqual([]);
  });
});
