import { describe, expect, test } from "vitest";
import type { Program } from "../../shared/engine/backend.ts";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import { createWasmBackend, type WasmSources } from "../../shared/engine/wasm/wasm_backend.ts";
import { runOperation } from "../reference/operations.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { LAYER_MODELS, madeOf } from "../support/layer_models.ts";
import { WASM_VARIANTS } from "../support/wasm_modules.ts";

const SETTINGS = { learningRate: 0.02, momentum: 0.9, weightDecay: 0.001 };
const BATCHES = [Uint32Array.of(5, 0, 3, 2), Uint32Array.of(1, 1, 4, 0), Uint32Array.of(2, 3, 5, 4)] as const;

async function programOf(
  sources: WasmSources,
  { plan, images, labels, start }: ReturnType<typeof madeOf>,
): Promise<Program> {
  const program = await (await createWasmBackend(sources)).compile(plan);
  program.loadExamples(0, images, labels);
  program.writeParameters(start);
  return program;
}

/** Tensors whose largest error is beyond the rounding of a few layers, measured against the largest of all gradients. */
function wrongTensors(
  { tensors, trainableElements }: ParameterLayout,
  actual: Float32Array,
  expected: Float64Array,
): string[] {
  const largestOf = (from: number, to: number): number =>
    expected.subarray(from, to).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const scale = largestOf(0, trainableElements);
  return tensors
    .filter(({ offset }) => offset < trainableElements)
    .flatMap(({ name, offset, elements }) => {
      const end = offset + elements;
      const error = actual
        .subarray(offset, end)
        .reduce((largest, value, index) => Math.max(largest, Math.abs(value - expected[offset + index]!)), 0);
      const allowed = 2e-5 * largestOf(offset, end) + 1e-6 * scale;
      return error <= allowed ? [] : [`${name}: off by ${error}, allowed ${allowed}`];
    });
}

describe.each(WASM_VARIANTS)("%s", (_name, sources) => {
  test.each(LAYER_MODELS)(
    "[E2] Three whole steps equal the reference's, and what is evaluated then: $title",
    async (item) => {
      const made = madeOf(item);
      const { plan, images, labels, start } = made;
      const program = await programOf(sources, made);
      const trainer = new ReferenceTrainer(plan, images, labels, start);
      for (const examples of BATCHES) {
        program.step(examples, SETTINGS);
        const loss = trainer.step(examples, SETTINGS);
        const taken = await program.takeGradient();
        expect(Math.abs(taken.meanLoss - loss)).toBeLessThan(1e-5 * Math.max(1, loss));
        expect(wrongTensors(plan.layout, taken.values, trainer.memory.gradient)).toEqual([]);
      }
      const parameters = await program.readParameters();
      const errors = parameters.map((value, index) => Math.abs(value - trainer.memory.parameters[index]!));
      expect(Math.max(...errors)).toBeLessThan(1e-5);
      const evaluation = await program.evaluate(BATCHES[1]);
      const expected = trainer.evaluate(BATCHES[1]);
      expect(evaluation.correct).toBe(expected.correct);
      expect(evaluation.meanLoss).toBeCloseTo(expected.meanLoss, 4);
    },
  );

  test.each(LAYER_MODELS)("[E2] A batch done in two parts gives the reference's gradient: $title", async (item) => {
    const made = madeOf(item, { microBatches: 2, augmentation: { cropPadding: 1, flip: true }, seed: 3 });
    const program = await programOf(sources, made);
    for (const examples of BATCHES) program.gradientStep(examples);
    const taken = await program.takeGradient();
    const { gradient, meanLoss, evaluation } = inParts(made);
    expect(Math.abs(taken.meanLoss - meanLoss)).toBeLessThan(1e-5 * Math.max(1, meanLoss));
    expect(wrongTensors(made.plan.layout, taken.values, gradient)).toEqual([]);
    expect(await program.evaluate(BATCHES[0])).toMatchObject({ correct: evaluation.correct });
  });
});

/** The reference, part by part: each part is a gathering of its own. */
function inParts({ plan, images, labels, start }: ReturnType<typeof madeOf>): {
  gradient: Float64Array;
  meanLoss: number;
  evaluation: { correct: number };
} {
  const { memory } = new ReferenceTrainer(plan, images, labels, start);
  const gradient = new Float64Array(plan.layout.elements);
  let lossSum = 0;
  for (const examples of BATCHES) {
    gradient.fill(0);
    for (const part of partsOf(examples)) {
      memory.examples = part;
      for (const operation of [...plan.forward, ...plan.backward]) runOperation(operation, memory);
      lossSum += sumOf(memory.tensors[plan.losses]!);
      for (let index = 0; index < gradient.length; index++) gradient[index]! += memory.gradient[index]!;
      memory.draw++;
    }
  }
  let correct = 0;
  for (const part of partsOf(BATCHES[0])) {
    memory.examples = part;
    for (const operation of plan.evaluation) runOperation(operation, memory);
    correct += sumOf(memory.tensors[plan.correct]!);
  }
  return { gradient, meanLoss: lossSum / (plan.batch * BATCHES.length), evaluation: { correct } };
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function partsOf(examples: Uint32Array): Uint32Array[] {
  return [examples.subarray(0, 2), examples.subarray(2)];
}
