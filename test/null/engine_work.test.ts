/** How much a training step computes, against counts by hand. */

import { expect, test } from "vitest";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { flopsPerSample } from "../../shared/engine/work.ts";
import { MODELS, type ModelName } from "../../shared/model/catalogue.ts";

function planOf(model: ModelName, batch: number, microBatches = 1): Plan {
  const normalisation = { mean: [0.5], deviation: [0.25] };
  return compilePlan(MODELS[model], { batch, microBatches, datasetExamples: batch, normalisation });
}

test("A sample of LeNet is 26.4 million multiplications and additions, counted by hand", () => {
  // Products of each layer: outputs times what each output sums.
  const first = 24 * 24 * 20 * (5 * 5 * 1);
  const second = 8 * 8 * 50 * (5 * 5 * 20);
  const third = 500 * 800;
  const fourth = 10 * 500;
  // Forward, the gradient of the weights, and that of the input, which nobody needs of the first layer.
  const products = 2 * first + 3 * (second + third + fourth);
  expect(flopsPerSample(planOf("lenet", 64))).toBe(2 * products);
});

test("It does not depend on the batch, nor on how many parts it is done in", () => {
  expect(flopsPerSample(planOf("cifar-quick", 32))).toBe(flopsPerSample(planOf("cifar-quick", 8, 4)));
});
