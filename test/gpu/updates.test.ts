/** The optimizers in WGSL against plain loops, update by update, and that a program begins them anew. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { updateWords } from "../../shared/engine/optimizer.ts";
import { runPass, type WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import { Random } from "../../shared/random.ts";
import { update } from "../reference/optimizer.ts";
import { emptyState, OPTIMIZER_CASES, optimizerPlan, randomVector, relativeError } from "../support/optimizer_cases.ts";
import { TestDevice } from "./gpu_device.ts";

const STEPS = 5;

let shared: TestDevice;

beforeAll(async () => {
  shared = await TestDevice.open();
});

afterEach(() => {
  const { errors } = shared;
  if (errors.length > 0) throw new Error(`The GPU reported: ${errors.join("; ")}`);
});

afterAll(() => shared.close());

async function vector(program: WebGpuProgram, buffer: GPUBuffer): Promise<Float32Array> {
  return new Float32Array(await shared.read(buffer, 0, program.plan.layout.elements));
}

test.each(OPTIMIZER_CASES)(`[E2] ${STEPS} updates of $title equal the reference's`, async ({ optimizer, settings }) => {
  const plan = optimizerPlan(optimizer);
  const program = await shared.compile(plan);
  const { memory, launches } = program;
  const { queue } = shared.device;
  const random = new Random(31);
  const start = randomVector(plan, random);
  const state = emptyState(start);
  queue.writeBuffer(memory.vectors.parameters, 0, start);
  for (let step = 1; step <= STEPS; step++) {
    const gradient = randomVector(plan, random, 0.1);
    queue.writeBuffer(memory.vectors.gradient, 0, gradient);
    queue.writeBuffer(memory.settings, 0, Float32Array.from(updateWords(optimizer, settings, step)));
    const { norms } = memory.update;
    for (const buffer of norms ? [norms.partials, norms.totals, norms.whole] : []) {
      queue.writeBuffer(buffer, 0, new Float32Array(buffer.size / 4).fill(Number.NaN));
    }
    const encoder = shared.device.createCommandEncoder();
    runPass(encoder, launches.update);
    queue.submit([encoder.finish()]);
    update(optimizer, plan.layout, state, gradient, settings);
    expect(relativeError(await vector(program, memory.vectors.parameters), state.parameters)).toBeLessThan(2e-6);
    expect(relativeError(await vector(program, memory.vectors.velocity), state.velocity)).toBeLessThan(2e-6);
  }
  program.close();
});

test.each(OPTIMIZER_CASES)("[E7] New parameters begin $title anew", async ({ optimizer, settings }) => {
  const plan = optimizerPlan(optimizer);
  const random = new Random(8);
  const images = Uint8Array.from({ length: 5 * 105 }, () => random.below(256));
  const start = randomVector(plan, random, 0.1);
  const program = await shared.compile(plan);
  program.loadExamples(0, images, Uint8Array.of(0, 1, 2, 3, 4));
  const trained = async (): Promise<Float32Array<ArrayBuffer>> => {
    for (let step = 0; step < 3; step++) program.step(Uint32Array.of(4, 0, 2), settings);
    return program.readParameters();
  };
  program.writeParameters(start);
  const first = Float64Array.from(await trained());
  expect(relativeError(start, first)).toBeGreaterThan(0);
  program.writeParameters(start);
  expect(relativeError(await trained(), first)).toBe(0);
  program.rebase(start, false);
  expect(relativeError(await trained(), first)).toBe(0);
  program.close();
});
