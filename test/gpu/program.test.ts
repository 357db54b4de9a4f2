import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";
import { requestDevice, SHADERS, TestDevice } from "./gpu_device.ts";

const MODEL: ModelDescription = {
  name: "small",
  // 25 bytes an image: the data set on the device pads each to whole words.
  input: { height: 5, width: 5, channels: 1 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 5, padding: 1 },
    { kind: "max-pool", name: "pool", size: 2, stride: 2 },
    { kind: "relu", name: "relu" },
    { kind: "dense", name: "out", units: 3 },
  ],
};
const EXAMPLES = 12;
const NORMALISATION = { mean: [0.5], deviation: [0.25] };
const SETTINGS = { learningRate: 0.05, momentum: 0.8, weightDecay: 0.001 };
const BATCH = Uint32Array.of(2, 11, 0, 7);
const INFO = { description: "test adapter", isFallback: true };

const random = new Random(12);
const images = Uint8Array.from({ length: EXAMPLES * 25 }, () => random.below(256));
const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(3));
const plan = smallPlan(4, EXAMPLES);
const start = initialParameters(plan.layout, 9);

function smallPlan(batch: number, datasetExamples: number): Plan {
  return compilePlan(MODEL, { batch, datasetExamples, normalisation: NORMALISATION });
}

function randomVector(): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: plan.layout.elements }, () => random.normal());
}

let shared: TestDevice;
let trained: Program;

/** The program as if it were new. */
async function fresh(): Promise<Program> {
  trained.loadExamples(0, images, labels);
  trained.writeParameters(start);
  await trained.takeDifference();
  return trained;
}

beforeAll(async () => {
  shared = await TestDevice.open();
  trained = await shared.compile(plan);
});

afterEach(() => {
  const { errors } = shared;
  if (errors.length > 0) throw new Error(`The GPU reported: ${errors.join("; ")}`);
});

afterAll(() => shared.close());

test("[E1] No step, exchange or evaluation makes a buffer, pipeline or bind group; a step is one pass, and no submit or write of its own", async () => {
  const program = await fresh();
  program.step(BATCH, SETTINGS);
  const made = (["createBuffer", "createBindGroup", "createShaderModule", "createComputePipeline"] as const).map(
    (name) => vi.spyOn(shared.device, name),
  );
  const pipelines = vi.spyOn(shared.device, "createComputePipelineAsync");
  const submits = vi.spyOn(shared.device.queue, "submit");
  const writes = vi.spyOn(shared.device.queue, "writeBuffer");
  const passes = vi.spyOn(GPUCommandEncoder.prototype, "beginComputePass");
  for (let step = 0; step < 3; step++) program.step(BATCH, SETTINGS);
  await program.idle();
  expect(passes.mock.calls.length).toBe(3);
  expect(submits.mock.calls.length).toBeLessThanOrEqual(3);
  expect(writes.mock.calls.length).toBe(submits.mock.calls.length);
  await program.takeDifference();
  program.settle(start, 0.5);
  await program.evaluate(BATCH);
  program.gradientStep(BATCH);
  await program.takeGradient();
  expect([...made, pipelines].map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0, 0, 0]);
  vi.restoreAllMocks();
});

test("[E2] Parameters after five steps equal the reference's", async () => {
  const program = await fresh();
  const trainer = new ReferenceTrainer(plan, images, labels, start);
  for (let step = 0; step < 5; step++) {
    program.step(BATCH, SETTINGS);
    trainer.step(BATCH, SETTINGS);
  }
  const parameters = await program.readParameters();
  const errors = parameters.map((value, index) => Math.abs(value - trainer.memory.parameters[index]!));
  expect(Math.max(...errors)).toBeLessThan(1e-5);
});

test("A difference is exactly the parameters less the base", async () => {
  const program = await fresh();
  const center = randomVector();
  program.step(BATCH, SETTINGS);
  program.rebase(center, true);
  const parameters = await program.readParameters();
  const { values } = await program.takeDifference();
  expect(values).toEqual(parameters.map((value, index) => value - center[index]!));
});

test("Settling pulls by the parameters as they were sent, and takes the center as base", async () => {
  const program = await fresh();
  program.step(BATCH, SETTINGS);
  const sent = await program.readParameters();
  await program.takeDifference();
  program.step(BATCH, SETTINGS);
  const before = await program.readParameters();
  const center = randomVector();
  program.settle(center, 0.3);
  const after = await program.readParameters();
  const rate = Math.fround(0.3);
  const differs = after.findIndex((value, index) => {
    const pull = rate * Math.fround(sent[index]! - center[index]!);
    // With and without a fused multiply-add: WGSL allows both.
    const allowed = [before[index]! - Math.fround(pull), before[index]! - pull].map(Math.fround);
    return !allowed.includes(value);
  });
  expect(differs).toBe(-1);
  const { values } = await program.takeDifference();
  expect(values).toEqual(after.map((value, index) => value - center[index]!));
});

test("A rebase takes the center as parameters and stops the ball", async () => {
  const program = await fresh();
  program.step(BATCH, SETTINGS);
  const once = await program.readParameters();
  program.step(BATCH, SETTINGS);
  program.rebase(start, false);
  expect(await program.readParameters()).toEqual(start);
  program.step(BATCH, SETTINGS);
  expect(await program.readParameters()).toEqual(once);
});

test("A take brings the mean loss of the steps since the last one, in one readback", async () => {
  const program = await fresh();
  const trainer = new ReferenceTrainer(plan, images, labels, start);
  const losses = [0, 1].map(() => {
    program.step(BATCH, SETTINGS);
    return trainer.step(BATCH, SETTINGS);
  });
  const maps = vi.spyOn(GPUBuffer.prototype, "mapAsync");
  const taken = await program.takeDifference();
  expect(maps.mock.calls.length).toBe(1);
  maps.mockRestore();
  expect(taken.steps).toBe(2);
  expect(taken.meanLoss).toBeCloseTo((losses[0]! + losses[1]!) / 2, 5);
  expect(await program.takeDifference()).toMatchObject({ steps: 0, meanLoss: 0 });
  program.step(BATCH, SETTINGS);
  const { steps, meanLoss } = await program.takeLoss();
  expect(steps).toBe(1);
  expect(meanLoss).toBeCloseTo(trainer.step(BATCH, SETTINGS), 5);
  expect(await program.takeLoss()).toEqual({ steps: 0, meanLoss: 0 });
});

test("A gradient step leaves the parameters, an evaluation leaves the losses", async () => {
  const program = await fresh();
  program.gradientStep(BATCH);
  expect(await program.readParameters()).toEqual(start);
  const reference = new ReferenceTrainer(plan, images, labels, start).evaluate(BATCH);
  const evaluation = await program.evaluate(BATCH);
  expect(evaluation.meanLoss).toBeCloseTo(reference.meanLoss, 5);
  expect(evaluation.correct).toBe(reference.correct);
  expect((await program.takeGradient()).steps).toBe(1);
});

test("A diverged run has NaN as its loss and goes on after new parameters", async () => {
  const program = await fresh();
  for (let step = 0; step < 12; step++) program.step(BATCH, { ...SETTINGS, learningRate: 1e20 });
  expect((await program.takeDifference()).meanLoss).toBeNaN();
  program.writeParameters(start);
  program.step(BATCH, SETTINGS);
  expect((await program.takeDifference()).meanLoss).toBeGreaterThan(0);
});

test("What does not fit is refused at the door with a sentence that says how much was expected", async () => {
  const program = await fresh();
  expect(() => program.step(Uint32Array.of(1, 2), SETTINGS)).toThrow(/batch of 2 examples came.*for 4/);
  expect(() => program.step(Uint32Array.of(0, 1, 2, EXAMPLES), SETTINGS)).toThrow(/Example 12 is outside.*of 12/);
  expect(() => program.writeParameters(new Float32Array(3))).toThrow(/3 elements/);
  expect(() => program.settle(new Float32Array(3), 0.5)).toThrow(/center/);
  expect(() => program.loadExamples(0, new Uint8Array(24), new Uint8Array(1))).toThrow(/need 25/);
  expect(() => program.loadExamples(EXAMPLES, new Uint8Array(25), new Uint8Array(1))).toThrow(/do not fit.*of 12/);
  expect(() => program.loadExamples(0, new Uint8Array(25), Uint8Array.of(3))).toThrow(/label 3; there are 3 classes/);
  const first = program.readParameters();
  await expect(program.readParameters()).rejects.toThrow(/A readback is under way/);
  await first;
});

test("A plan that is too large for the device is refused by the tensor's name and the limit", async () => {
  await expect(shared.compile(smallPlan(4, 6_000_000))).rejects.toThrow(
    /"data set" of model "small" needs \d+ bytes.*binds 134217728 \(maxStorageBufferBindingSize\)/,
  );
  await expect(shared.compile(smallPlan(400_000, 4))).rejects.toThrow(/Tensor "conv/);
});

test("A kernel that does not compile is named with line and column", async () => {
  const broken = new Map(SHADERS).set("max_pool", "@compute @workgroup_size(1)\nfn main() { wrong }");
  const backend = await createWebGpuBackend(await requestDevice(), INFO, broken);
  await expect(backend.compile(plan)).rejects.toThrow(/"pool forward" did not compile.*max_pool\.wgsl:2:/s);
  backend.close();
});

test("A device that is lost is reported in words, and by every later call", async () => {
  const device = await requestDevice();
  const backend = await createWebGpuBackend(device, INFO, SHADERS);
  const program = await backend.compile(plan);
  program.step(BATCH, SETTINGS);
  await program.idle();
  device.destroy();
  expect(await backend.lost).toMatch(/The GPU device was lost/);
  expect(() => program.step(BATCH, SETTINGS)).toThrow(/The GPU device was lost/);
  await expect(program.takeDifference()).rejects.toThrow(/The GPU device was lost/);
});

test("An error that no call returned is thrown by the next call", async () => {
  const device = await requestDevice();
  const backend = await createWebGpuBackend(device, INFO, SHADERS);
  const reported = new Promise((resolve) => {
    device.addEventListener("uncapturederror", resolve);
  });
  device.createShaderModule({ code: "not a shader" });
  // Chromium sends what it has been told only when someone waits for the queue.
  await device.queue.onSubmittedWorkDone();
  await reported;
  await expect(backend.compile(plan)).rejects.toThrow(/The GPU reported an error/);
  backend.close();
});
