/** Steps on some of a batch's parts, and many replicas in one program. */

import { describe, expect, test } from "vitest";
import type { Program, StepSettings } from "../../shared/engine/backend.ts";
import type { Optimizer } from "../../shared/engine/optimizer.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { newReplicaState, type VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import { compileVirtual, createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { OPTIMIZER_CASES } from "../support/optimizer_cases.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const EXAMPLES = 48;
const PART = 4;
const SETTINGS: StepSettings = { learningRate: 0.05, momentum: 0.8, weightDecay: 0.001 };

/** Running statistics and dropout: what a replica has besides parameters. */
const NORMALISED: ModelDescription = {
  name: "normalised",
  input: MODELS.lenet.input,
  classes: 10,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 5, channels: 6, stride: 2, bias: false },
    { kind: "batch-norm", name: "norm" },
    { kind: "relu", name: "relu" },
    { kind: "dropout", name: "drop", rate: 0.25 },
    { kind: "dense", name: "out", units: 10 },
  ],
};

const { images, labels } = mnistExamples(EXAMPLES);

function planOf(model: ModelDescription, parts: number, optimizer: Optimizer = { kind: "momentum" }): Plan {
  return compilePlan(model, {
    batch: parts * PART,
    microBatches: parts,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.13], deviation: [0.31] },
    optimizer,
    seed: 4,
  });
}

function begin<P extends Program>(program: P): P {
  program.loadExamples(0, images, labels);
  program.writeParameters(initialParameters(program.plan.layout, 5));
  return program;
}

async function compiled(plan: Plan): Promise<Program> {
  return begin(await (await createWasmBackend(WASM_MODULES)).compile(plan));
}

async function virtual(plan: Plan): Promise<VirtualProgram> {
  return begin(await compileVirtual(WASM_MODULES, plan));
}

function batchOf(step: number, parts: number): Uint32Array {
  const random = new Random(100 + step);
  return Uint32Array.from({ length: parts * PART }, () => random.below(EXAMPLES));
}

describe("Any number of a batch's parts", () => {
  test.each(OPTIMIZER_CASES)("[E14] are a batch of that size, exactly, to $title", async ({ optimizer, settings }) => {
    for (const parts of [1, 2, 3]) {
      const [some, whole] = await Promise.all([
        compiled(planOf(MODELS.lenet, 4, optimizer)),
        compiled(planOf(MODELS.lenet, parts, optimizer)),
      ]);
      for (let step = 0; step < 3; step++) {
        some.step(batchOf(step, parts), settings);
        whole.step(batchOf(step, parts), settings);
      }
      const parameters = await some.readParameters();
      expect(parameters).toEqual(await whole.readParameters());
      expect(parameters).not.toEqual(initialParameters(some.plan.layout, 5));
      expect(await some.takeLoss()).toEqual(await whole.takeLoss());
      some.gradientStep(batchOf(9, parts));
      whole.gradientStep(batchOf(9, parts));
      expect((await some.takeGradient()).values).toEqual((await whole.takeGradient()).values);
    }
  });

  test("[E14] see statistics of their own, and move the running ones as often as there are parts", async () => {
    const [some, whole] = [await compiled(planOf(NORMALISED, 4)), await compiled(planOf(NORMALISED, 3))];
    some.step(batchOf(0, 3), SETTINGS);
    whole.step(batchOf(0, 3), SETTINGS);
    const moved = await some.readParameters();
    expect(moved).toEqual(await whole.readParameters());
    const { trainableElements } = some.plan.layout;
    expect(moved.slice(trainableElements)).not.toEqual(initialParameters(some.plan.layout, 5).slice(trainableElements));
  });

  test("count as they are: the mean loss is that of all examples seen", async () => {
    const program = await compiled(planOf(MODELS.lenet, 4));
    const losses: number[] = [];
    for (const parts of [1, 4]) {
      program.gradientStep(batchOf(parts, parts));
      losses.push((await program.takeLoss()).meanLoss);
    }
    for (const parts of [1, 4]) program.gradientStep(batchOf(parts, parts));
    const taken = await program.takeLoss();
    expect(taken.steps).toBe(2);
    expect(taken.meanLoss).toBeCloseTo((losses[0]! + 4 * losses[1]!) / 5, 10);
    expect(taken.meanLoss).not.toBeCloseTo((losses[0]! + losses[1]!) / 2, 5);
  });

  test("are refused where they are none, too many or broken", async () => {
    const program = await compiled(planOf(MODELS.lenet, 3));
    for (const length of [0, 6, 16]) {
      expect(() => program.step(new Uint32Array(length), SETTINGS)).toThrow(
        `A batch of ${length} examples came; the plan was compiled for 1 to 3 parts of 4 examples each.`,
      );
    }
    await expect(program.evaluate(new Uint32Array(8))).rejects.toThrow(/of 8 examples came.*for 12/);
  });
});

describe("Many replicas in one program", () => {
  test.each([
    ["momentum, running statistics and dropout", planOf(NORMALISED, 2)],
    ["adamw, clipped", planOf(MODELS.lenet, 2, { kind: "adamw", clipNorm: 1 })],
  ] as const)("equal as many programs, bit for bit: %s", async (_, plan) => {
    const program = await virtual(plan);
    const starts = [5, 6].map((seed) => initialParameters(plan.layout, seed));
    const states = starts.map((start) => newReplicaState(plan, start));
    const alone = await Promise.all(starts.map(() => compiled(plan)));
    for (const [index, start] of starts.entries()) alone[index]!.writeParameters(start);
    const center = initialParameters(plan.layout, 7);
    for (let step = 0; step < 4; step++) {
      for (const [index, state] of states.entries()) {
        const examples = batchOf(10 * step + index, 1 + ((step + index) % 2));
        program.loadReplica(state);
        for (const each of [program, alone[index]!]) each.step(examples, SETTINGS);
        if (step === 1) {
          const difference = program.takeDifferenceNow().values.slice();
          expect(difference).toEqual((await alone[index]!.takeDifference()).values);
        }
        if (step === 2) for (const each of [program, alone[index]!]) each.settle(center, 0.3);
        program.saveReplica(state);
      }
    }
    for (const [index, state] of states.entries()) {
      expect(state.parameters).toEqual(await alone[index]!.readParameters());
      program.loadReplica(state);
      expect(program.takeLossNow()).toEqual(await alone[index]!.takeLoss());
      expect(program.takeDifferenceNow().values).toEqual((await alone[index]!.takeDifference()).values);
    }
  });

  test("A saved replica is a copy, into the state that is given or a new one", async () => {
    const program = await virtual(planOf(MODELS.lenet, 2));
    const first = program.saveReplica();
    const before = first.parameters.slice();
    program.step(batchOf(0, 2), SETTINGS);
    expect(first.parameters).toEqual(before);
    expect([first.steps, first.updates]).toEqual([0, 0]);
    expect(program.saveReplica(first)).toBe(first);
    expect(first.parameters).not.toEqual(before);
    expect([first.steps, first.updates, first.examples]).toEqual([1, 1, 8]);
    expect(first.secondMoment.length).toBe(0);
    expect(() => program.loadReplica({ ...first, parameters: new Float32Array(3) })).toThrow(/3 elements/);
  });

  test("A gradient at given parameters is the one of a step there, its losses aside", async () => {
    const plan = planOf(NORMALISED, 2);
    const [program, alone] = [await virtual(plan), await compiled(plan)];
    const parameters = initialParameters(plan.layout, 8);
    const examples = batchOf(3, 1);
    alone.writeParameters(parameters);
    alone.gradientStep(examples);
    const expected = await alone.takeGradient();
    const { gradient, meanLoss } = program.gradientAt(parameters, examples);
    expect(gradient).toEqual(expected.values);
    expect(gradient.subarray(plan.layout.trainableElements).some((value) => value !== 0)).toBe(true);
    expect(meanLoss).toBe(expected.meanLoss);
    expect(program.takeLossNow().steps).toBe(0);
  });

  test("An evaluation at given parameters is the one of a program that holds them", async () => {
    const plan = planOf(MODELS.lenet, 2);
    const [program, alone] = [await virtual(plan), await compiled(plan)];
    const parameters = initialParameters(plan.layout, 8);
    alone.writeParameters(parameters);
    expect(program.evaluateAt(parameters, batchOf(3, 2))).toEqual(await alone.evaluate(batchOf(3, 2)));
    expect(() => program.evaluateAt(parameters.subarray(1), batchOf(3, 2))).toThrow(/elements/);
  });
});
