import { expect, test } from "vitest";
import { runOperation } from "../reference/operations.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { LAYER_MODEL_BATCH, LAYER_MODELS, madeOf } from "../support/layer_models.ts";

const STEP = 1e-5;

test.each(LAYER_MODELS)("[E3] Every gradient of the reference is the slope of its loss: $title", (item) => {
  const { plan, images, labels, start } = madeOf(item);
  expect(plan.backward.map(({ kind }) => kind)).toEqual(expect.arrayContaining([...item.tests]));
  const trainer = new ReferenceTrainer(plan, images, labels, start);
  const examples = Uint32Array.of(5, 0, 3, 2);
  const gradient = trainer.gradientStep(examples).gradient.slice();
  const { parameters, tensors } = trainer.memory;
  trainer.memory.draw = 0;
  const loss = (): number => {
    for (const operation of plan.forward) runOperation(operation, trainer.memory);
    return tensors[plan.losses]!.reduce((sum, value) => sum + value, 0) / LAYER_MODEL_BATCH;
  };
  const wrong: string[] = [];
  const unmoved: string[] = [];
  for (const { name, offset, elements } of plan.layout.tensors) {
    if (offset >= plan.layout.trainableElements) continue;
    let largest = 0;
    for (let index = offset; index < offset + elements; index++) {
      const kept = parameters[index]!;
      parameters[index] = kept + STEP;
      const above = loss();
      parameters[index] = kept - STEP;
      const below = loss();
      parameters[index] = kept;
      const slope = (above - below) / (2 * STEP);
      // Losses near 1 carry 1e-16 of rounding, over a step of 1e-5; third derivatives add step^2 / 6 of themselves.
      if (!(Math.abs(slope - gradient[index]!) < 1e-8)) {
        wrong.push(`${name} at ${index - offset}: ${gradient[index]} instead of ${slope}`);
      }
      largest = Math.max(largest, Math.abs(slope));
    }
    // A batch norm takes away what a bias before it adds.
    if (!(largest > 1e-4)) unmoved.push(name);
  }
  expect(wrong).toEqual([]);
  expect(unmoved.filter((name) => name !== "before.bias")).toEqual([]);
});
