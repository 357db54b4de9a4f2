import { describe, expect, test } from "vitest";
import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { WASM_MODULES, WASM_VARIANTS } from "../support/wasm_modules.ts";

const MODEL: ModelDescription = {
  name: "small",
  input: { height: 6, width: 6, channels: 1 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 5, padding: 1 },
    { kind: "max-pool", name: "pool", size: 2, stride: 2 },
    { kind: "relu", name: "relu" },
    { kind: "dense", name: "out", units: 3 },
  ],
};
const EXAMPLES = 12;
const SETTINGS = { learningRate: 0.05, momentum: 0.8, weightDecay: 0.001 };
const BATCH = Uint32Array.of(2, 11, 0, 7);

const random = new Random(12);
const images = Uint8Array.from({ length: EXAMPLES * 36 }, () => random.below(256));
const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(3));
const plan: Plan = compilePlan(MODEL, {
  batch: 4,
  datasetExamples: EXAMPLES,
  normalisation: { mean: [0.5], deviation: [0.25] },
});
const start = initialParameters(plan.layout, 9);

function randomVector(): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: plan.layout.elements }, () => random.normal());
}

async function program(sources = WASM_VARIANTS[1]![1]): Promise<Program> {
  const made = await (await createWasmBackend(sources)).compile(plan);
  made.loadExamples(0, images, labels);
  made.writeParameters(start);
  return made;
}

describe.each(WASM_VARIANTS)("%s", (_name, sources) => {
  test("[E2] Parameters after five steps equal the reference's", async () => {
    const trained = await program(sources);
    const trainer = new ReferenceTrainer(plan, images, labels, start);
    for (let step = 0; step < 5; step++) {
      trained.step(BATCH, SETTINGS);
      trainer.step(BATCH, SETTINGS);
    }
    const parameters = await trained.readParameters();
    const error = parameters.reduce(
      (largest, value, index) => Math.max(largest, Math.abs(value - trainer.memory.parameters[index]!)),
      0,
    );
    expect(error).toBeLessThan(1e-5);
  });

  test("A difference is exactly the parameters less the base", async () => {
    const trained = await program(sources);
    const center = randomVector();
    trained.step(BATCH, SETTINGS);
    trained.rebase(center, true);
    const parameters = await trained.readParameters();
    const { values } = await trained.takeDifference();
    expect(values).toEqual(parameters.map((value, index) => value - center[index]!));
  });

  test("Settling pulls by the parameters as they were sent, exactly, and takes the center as base", async () => {
    const trained = await program(sources);
    trained.step(BATCH, SETTINGS);
    const sent = await trained.readParameters();
    await trained.takeDifference();
    trained.step(BATCH, SETTINGS);
    const before = await trained.readParameters();
    const center = randomVector();
    trained.settle(center, 0.3);
    const rate = Math.fround(0.3);
    const expected = before.map(
      (value, index) => value - Math.fround(rate * Math.fround(sent[index]! - center[index]!)),
    );
    expect(await trained.readParameters()).toEqual(expected);
    const { values } = await trained.takeDifference();
    expect(values).toEqual(expected.map((value, index) => value - center[index]!));
  });
});

test("The relaxed module is taken where the engine accepts it, the plain one elsewhere, and the device says which", async () => {
  expect((await createWasmBackend(WASM_MODULES)).device).toBe("WASM SIMD, relaxed multiply-add, 1 thread");
  expect((await createWasmBackend(WASM_VARIANTS[0]![1])).device).toBe("WASM SIMD, plain multiply-add, 1 thread");
});

test("A rebase takes the center as parameters and stops the ball, unless told to keep them", async () => {
  const [rebased, fresh] = [await program(), await program()];
  rebased.step(BATCH, SETTINGS);
  rebased.rebase(start, false);
  rebased.step(BATCH, SETTINGS);
  fresh.step(BATCH, SETTINGS);
  expect(await rebased.readParameters()).toEqual(await fresh.readParameters());
});

test("A take brings the mean loss of the steps since the last one", async () => {
  const trained = await program();
  const trainer = new ReferenceTrainer(plan, images, labels, start);
  const losses = [0, 1].map(() => {
    trained.step(BATCH, SETTINGS);
    return trainer.step(BATCH, SETTINGS);
  });
  const taken = await trained.takeDifference();
  expect(taken.steps).toBe(2);
  expect(taken.meanLoss).toBeCloseTo((losses[0]! + losses[1]!) / 2, 5);
  expect(await trained.takeDifference()).toMatchObject({ steps: 0, meanLoss: 0 });
  trained.step(BATCH, SETTINGS);
  expect((await trained.takeLoss()).meanLoss).toBeCloseTo(trainer.step(BATCH, SETTINGS), 5);
  expect(await trained.takeLoss()).toEqual({ steps: 0, meanLoss: 0 });
});

test("A gradient step leaves the parameters, an evaluation leaves the losses", async () => {
  const trained = await program();
  trained.gradientStep(BATCH);
  expect(await trained.readParameters()).toEqual(start);
  const { meanLoss } = await trained.evaluate(BATCH);
  const reference = new ReferenceTrainer(plan, images, labels, start).evaluate(BATCH);
  expect(meanLoss).toBeCloseTo(reference.meanLoss, 5);
  expect((await trained.evaluate(BATCH)).correct).toBe(reference.correct);
  expect((await trained.takeGradient()).steps).toBe(1);
});

test("A diverged run has NaN as its loss and goes on", async () => {
  const trained = await program();
  for (let step = 0; step < 12; step++) trained.step(BATCH, { ...SETTINGS, learningRate: 1e20 });
  expect((await trained.takeDifference()).meanLoss).toBeNaN();
  trained.writeParameters(start);
  trained.step(BATCH, SETTINGS);
  expect((await trained.takeDifference()).meanLoss).toBeGreaterThan(0);
});

test("[E1] Steps reuse one memory: what the program holds does not grow", async () => {
  const trained = await program();
  trained.step(BATCH, SETTINGS);
  const { values } = await trained.takeDifference();
  for (let step = 0; step < 20; step++) trained.step(BATCH, SETTINGS);
  expect((await trained.takeDifference()).values).toBe(values);
});

test("What does not fit is refused at the door with a sentence that says how much was expected", async () => {
  const trained = await program();
  expect(() => trained.step(Uint32Array.of(1, 2), SETTINGS)).toThrow(/batch of 2 examples came.*for 4/);
  expect(() => trained.step(Uint32Array.of(0, 1, 2, EXAMPLES), SETTINGS)).toThrow(
    /Example 12 is outside the data set of 12/,
  );
  expect(() => trained.writeParameters(new Float32Array(3))).toThrow(/3 elements.*384/);
  expect(() => trained.settle(new Float32Array(3), 0.5)).toThrow(/center/);
  expect(() => trained.rebase(new Float32Array(3), true)).toThrow(/center/);
  expect(() => trained.loadExamples(0, new Uint8Array(35), new Uint8Array(1))).toThrow(/need 36/);
  expect(() => trained.loadExamples(EXAMPLES, new Uint8Array(36), new Uint8Array(1))).toThrow(
    /do not fit into a data set of 12/,
  );
  expect(() => trained.loadExamples(0, new Uint8Array(36), Uint8Array.of(3))).toThrow(/label 3; there are 3 classes/);
  trained.close();
  expect(() => trained.step(BATCH, SETTINGS)).toThrow(/closed/);
});
