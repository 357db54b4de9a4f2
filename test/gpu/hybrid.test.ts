/** A GPU and a CPU as one device: shared/engine/hybrid/ on a real WebGPU device and the WASM kernels. */

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Backend, Program, StepSettings } from "../../shared/engine/backend.ts";
import { answerExam, examine, readAnswers } from "../../shared/engine/exam/examine.ts";
import { createHybridBackend } from "../../shared/engine/hybrid/hybrid_backend.ts";
import type { HybridProgram } from "../../shared/engine/hybrid/hybrid_program.ts";
import { compilePlan, type Plan, type PlanOptions } from "../../shared/engine/plan.ts";
import plainUrl from "../../shared/engine/wasm/build/plain.wasm?url";
import relaxedUrl from "../../shared/engine/wasm/build/relaxed.wasm?url";
import type { VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { fragmentOf } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import { OPTIMIZER_CASES, relativeError } from "../support/optimizer_cases.ts";
import { requestDevice, SHADERS } from "./gpu_device.ts";

const EXAMPLES = 24;
const SETTINGS: StepSettings = { learningRate: 0.05, momentum: 0.8, weightDecay: 0.001 };
/** Two devices round differently; three steps move the parameters by about a hundredth. */
const TOLERANCE = 2e-5;

const MODEL: ModelDescription = {
  name: "shared",
  input: { height: 8, width: 8, channels: 3 },
  classes: 5,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 8, padding: 1 },
    { kind: "relu", name: "relu" },
    { kind: "max-pool", name: "pool", size: 2, stride: 2 },
    { kind: "layer-norm", name: "norm" },
    { kind: "dropout", name: "drop", rate: 0.25 },
    { kind: "dense", name: "out", units: 5 },
  ],
};

const random = new Random(21);
const images = Uint8Array.from({ length: EXAMPLES * elementsOf(MODEL.input) }, () => random.below(256));
const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(5));
/** Time stands still, so that every device always seems as fast as the other. */
const CLOCK = { nowMs: () => 0, breathe: () => Promise.resolve() };

function planOf(options: Partial<PlanOptions> = {}): Plan {
  return compilePlan(MODEL, {
    batch: 12,
    microBatches: 4,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.5], deviation: [0.25] },
    augmentation: { cropPadding: 1, flip: true },
    seed: 6,
    ...options,
  });
}

function batchOf(step: number, length = 12): Uint32Array {
  return Uint32Array.from({ length }, (_, row) => (7 * step + 5 * row) % EXAMPLES);
}

let device: GPUDevice;
let owner: Awaited<ReturnType<typeof createWebGpuBackend>>;
let helper: Backend<VirtualProgram>;
const errors: string[] = [];

beforeAll(async () => {
  const [plain, relaxed] = await Promise.all(
    [plainUrl, relaxedUrl].map(async (url) => (await fetch(url)).arrayBuffer()),
  );
  helper = await createWasmBackend({ plain: plain!, relaxed: relaxed! });
  device = await requestDevice();
  device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  owner = await createWebGpuBackend(device, { description: "test adapter", isFallback: true }, SHADERS);
});

afterEach(() => expect(errors).toEqual([]));

afterAll(() => owner.close());

function begin<P extends Program>(program: P): P {
  program.loadExamples(0, images, labels);
  program.writeParameters(initialParameters(program.plan.layout, 3));
  return program;
}

async function hybrid(plan: Plan, speeds: readonly [number, number] = [1, 1], clock = CLOCK): Promise<HybridProgram> {
  return begin(await createHybridBackend({ owner, helper, clock, speeds }).compile(plan));
}

async function alone(plan: Plan): Promise<Program> {
  return begin(await helper.compile(plan));
}

/** How far two programs' parameters are apart, in units of the largest. */
async function distance(actual: Program, expected: Program): Promise<number> {
  return relativeError(await actual.readParameters(), Float64Array.from(await expected.readParameters()));
}

describe("[E15] Steps on both devices", () => {
  test.each(OPTIMIZER_CASES)("equal those of one, with $title", async ({ optimizer, settings }) => {
    const plan = planOf({ optimizer });
    const [both, one] = [await hybrid(plan), await alone(plan)];
    expect(both.split).toEqual([2, 2]);
    for (let step = 0; step < 3; step++) for (const each of [both, one]) each.step(batchOf(step), settings);
    expect(await distance(both, one)).toBeLessThan(TOLERANCE);
    const [taken, expected] = [await both.takeLoss(), await one.takeLoss()];
    expect(taken.steps).toBe(3);
    expect(taken.meanLoss).toBeCloseTo(expected.meanLoss, 5);
    expect(await both.takeLoss()).toEqual({ steps: 0, meanLoss: 0 });
    for (const each of [both, one]) each.close();
  });

  test("equal those of one, however the batch is split", async () => {
    const plan = planOf();
    const one = await alone(plan);
    for (let step = 0; step < 2; step++) one.step(batchOf(step), SETTINGS);
    for (const speeds of [
      [3, 1],
      [1, 20],
      [20, 1],
    ] as const) {
      const both = await hybrid(plan, speeds);
      expect(both.split).toEqual({ 3: [3, 1], 1: [1, 3], 20: [4, 0] }[speeds[0]]);
      for (let step = 0; step < 2; step++) both.step(batchOf(step), SETTINGS);
      expect(await distance(both, one)).toBeLessThan(TOLERANCE);
      both.close();
    }
    one.close();
  });

  test("and shares of a batch, gradients alone and exchanges between them do too", async () => {
    const plan = planOf();
    const [both, one] = [await hybrid(plan), await alone(plan)];
    const center = initialParameters(plan.layout, 4);
    for (const each of [both, one]) {
      each.step(batchOf(0, 3), SETTINGS);
      each.step(batchOf(1, 9), SETTINGS);
      each.step(batchOf(2), SETTINGS);
    }
    // Asked for before anything has been waited for.
    const [difference, expected] = await Promise.all([both.takeDifference(), one.takeDifference()]);
    expect(difference.steps).toBe(3);
    expect(difference.meanLoss).toBeCloseTo(expected.meanLoss, 5);
    expect(relativeError(difference.values, Float64Array.from(expected.values))).toBeLessThan(1e-3);
    for (const each of [both, one]) {
      each.step(batchOf(3), SETTINGS);
      const handed = center.slice();
      each.settle(handed, 0.3);
      each.step(batchOf(4), SETTINGS);
      each.rebase(handed, true);
      // Whoever hands a vector in may use it again.
      handed.fill(Number.NaN);
      each.step(batchOf(5), SETTINGS);
    }
    expect(await distance(both, one)).toBeLessThan(TOLERANCE);
    for (const each of [both, one]) {
      each.rebase(center, false);
      each.gradientStep(batchOf(6));
    }
    const [gradient, wanted] = [await both.takeGradient(), await one.takeGradient()];
    expect(relativeError(gradient.values, Float64Array.from(wanted.values))).toBeLessThan(TOLERANCE);
    expect(await both.readParameters()).toEqual(center);
    expect((await both.evaluate(batchOf(7))).correct).toBe((await one.evaluate(batchOf(7))).correct);
    for (const each of [both, one]) each.close();
  });

  test("and so do encoded exchanges of fragments between them", async () => {
    const plan = planOf();
    const [both, one] = [await hybrid(plan), await alone(plan)];
    const { elements } = plan.layout;
    const fragment = fragmentOf(elements, 2, 1);
    const change = initialParameters(plan.layout, 4).slice(fragment.fromElement, fragment.toElement);
    for (const each of [both, one]) each.step(batchOf(0), SETTINGS);
    const request = { what: "difference", codec: "int8", fragment } as const;
    const [taken, expected] = await Promise.all([both.takeEncoded(request), one.takeEncoded(request)]);
    expect(taken).toMatchObject({ isFinite: true, steps: 1 });
    expect(taken.meanLoss).toBeCloseTo(expected.meanLoss, 5);
    const [said, wanted] = [taken, expected].map(({ payload }) => decode("int8", payload, change.length));
    // A code more or less of a block's 127.
    expect(relativeError(said!, Float64Array.from(wanted!))).toBeLessThan(1.1 / 127);
    for (const each of [both, one]) {
      each.step(batchOf(1), SETTINGS);
      const delta = encode("int8", change);
      each.settleOnto({ kind: "deltas", fragment, codec: "int8", deltas: [delta] }, 0.3);
      each.step(batchOf(2), SETTINGS);
      each.unsend(fragment);
      const values = change.slice();
      each.rebaseOnto({ kind: "values", fragment, values }, true);
      // Whoever hands bytes in may use them again.
      delta.fill(255);
      values.fill(Number.NaN);
      each.step(batchOf(3), SETTINGS);
    }
    expect(await distance(both, one)).toBeLessThan(1e-3);
    const at = { what: "difference", codec: "f32", fragment } as const;
    const exact = await Promise.all([both, one].map(async (each) => (await each.takeEncoded(at)).payload.slice()));
    const [difference, other] = exact.map((bytes) => new Float32Array(bytes.buffer));
    expect(relativeError(difference!, Float64Array.from(other!))).toBeLessThan(1e-3);
    for (const each of [both, one]) each.close();
  });

  test("make no buffer, pipeline or bind group", async () => {
    const both = await hybrid(planOf());
    both.step(batchOf(0), SETTINGS);
    await both.idle();
    const made = (["createBuffer", "createBindGroup", "createShaderModule", "createComputePipelineAsync"] as const).map(
      (name) => vi.spyOn(device, name),
    );
    for (let step = 0; step < 3; step++) both.step(batchOf(step), SETTINGS);
    await both.idle();
    expect(made.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0, 0]);
    vi.restoreAllMocks();
    both.close();
  });
});

test("[E10] Both devices together pass the entrance exam", async () => {
  const plan = planOf();
  const answers = readAnswers(await answerExam(helper, plan, 3), plan, 3);
  if ("problem" in answers) throw new Error(answers.problem);
  const both = await createHybridBackend({ owner, helper, clock: CLOCK }).compile(plan);
  expect(await examine(both, 3, answers)).toMatchObject({ isPassed: true });
  both.close();
});

test("A GPU that is lost ends the steps with a sentence, whatever waits", async () => {
  const fragile = await requestDevice();
  const lost = await createWebGpuBackend(fragile, { description: "test", isFallback: true }, SHADERS);
  const backend = createHybridBackend({ owner: lost, helper, clock: CLOCK });
  const both = begin(await backend.compile(planOf()));
  both.step(batchOf(0), SETTINGS);
  await both.idle();
  for (let step = 0; step < 3; step++) both.step(batchOf(step), SETTINGS);
  fragile.destroy();
  expect(await backend.lost).toMatch(/The GPU device was lost/);
  await expect(both.takeDifference()).rejects.toThrow(/lost|destroy|mapAsync/i);
  await expect(both.idle()).rejects.toThrow(/lost|destroy|mapAsync/i);
  expect(() => both.step(batchOf(1), SETTINGS)).toThrow(/lost|destroy|mapAsync/i);
});

test("What is refused is refused at the door, and a closed program does nothing more", async () => {
  const both = await hybrid(planOf());
  expect(() => both.step(new Uint32Array(4), SETTINGS)).toThrow(/1 to 4 parts of 3 examples each/);
  expect(() => both.settle(new Float32Array(2), 0.5)).toThrow(/center/);
  expect(() => both.loadExamples(0, images, labels.subarray(1))).toThrow(/images/);
  await expect(both.evaluate(batchOf(0, 3))).rejects.toThrow(/of 3 examples came/);
  both.step(batchOf(0), SETTINGS);
  both.step(batchOf(1), SETTINGS);
  both.close();
  expect(() => both.step(batchOf(2), SETTINGS)).toThrow(/closed/);
});
