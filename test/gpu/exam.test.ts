/** The entrance exam of a GPU, with the answers of WASM as the coordinator gives them: shared/engine/exam/. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../shared/engine/backend.ts";
import type { Answers } from "../../shared/engine/exam/answers.ts";
import { answerExam, examine, readAnswers } from "../../shared/engine/exam/examine.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import plainUrl from "../../shared/engine/wasm/build/plain.wasm?url";
import relaxedUrl from "../../shared/engine/wasm/build/relaxed.wasm?url";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { LAYER_MODELS, madeOf } from "../support/layer_models.ts";
import { broken } from "../support/broken_program.ts";
import { requestDevice, SHADERS } from "./gpu_device.ts";

const SEED = 3;
const PLAN = compilePlan(MODELS.lenet, {
  batch: 10,
  datasetExamples: 30,
  normalisation: { mean: [0.1307], deviation: [0.3081] },
});

async function bytesOf(url: string): Promise<ArrayBuffer> {
  return (await fetch(url)).arrayBuffer();
}

describe("The exam of a GPU", () => {
  let backend: Backend;
  let judge: Backend;
  let answers: Answers;

  beforeAll(async () => {
    const [plain, relaxed] = await Promise.all([bytesOf(plainUrl), bytesOf(relaxedUrl)]);
    judge = await createWasmBackend({ plain, relaxed });
    const stored = readAnswers(await answerExam(judge, PLAN, SEED), PLAN, SEED);
    if ("problem" in stored) throw new Error(stored.problem);
    answers = stored;
    backend = await createWebGpuBackend(await requestDevice(), { description: "test", isFallback: true }, SHADERS);
  });

  afterAll(() => backend.close());

  test("[E10] A correct device passes, freshly compiled and once more after that", async () => {
    const program = await backend.compile(PLAN);
    const passed = { isPassed: true, sentence: expect.stringContaining("one whole gradient agree") };
    expect(await examine(program, SEED, answers)).toEqual(passed);
    expect(await examine(program, SEED, answers)).toEqual(passed);
    program.close();
  });

  test.each(LAYER_MODELS)("[E10] A correct device passes with $title", async (item) => {
    const { plan } = madeOf(item);
    const stored = readAnswers(await answerExam(judge, plan, SEED), plan, SEED);
    if ("problem" in stored) throw new Error(stored.problem);
    const program = await backend.compile(plan);
    expect(await examine(program, SEED, stored)).toMatchObject({ isPassed: true });
    program.close();
  });

  test.each([2, 5])("[E11] A correct device passes with the batch in %i parts", async (microBatches) => {
    const plan = compilePlan(MODELS.lenet, { ...PLAN, microBatches });
    const stored = readAnswers(await answerExam(judge, plan, SEED), plan, SEED);
    if ("problem" in stored) throw new Error(stored.problem);
    const program = await backend.compile(plan);
    expect(await examine(program, SEED, stored)).toMatchObject({ isPassed: true });
    program.close();
  });

  test.each([
    ["conv1 forward", () => 0, /conv1 forward: conv1 is zero everywhere/],
    ["pool1 gradient", () => Number.NaN, /pool1 gradient: .+ is NaN instead of/],
    [
      "fc1 filter gradient",
      (value: number) => -value,
      /fc1 filter gradient: fc1\.(weights|bias)\[\d+\] is .+ instead of/,
    ],
  ])("[E12] A device whose %s is wrong is told so", async (operation, becomes, words) => {
    const program = await backend.compile(PLAN);
    const verdict = await examine(broken(program, SEED, { operation, becomes }), SEED, answers);
    expect(verdict).toMatchObject({ isPassed: false, kernel: operation, sentence: expect.stringMatching(words) });
    program.close();
  });

  test("[E13] A device that returns all-zero gradients is told so", async () => {
    const program = await backend.compile(PLAN);
    const verdict = await examine(broken(program, SEED, { gradient: true, becomes: () => 0 }), SEED, answers);
    expect(verdict).toMatchObject({ isPassed: false, kernel: "the whole gradient" });
    program.close();
  });

  test("[E13] A device that is lost in the exam breaks off instead of failing it", async () => {
    const device = await requestDevice();
    const lost = await createWebGpuBackend(device, { description: "test", isFallback: true }, SHADERS);
    const program = await lost.compile(PLAN);
    const examining = examine(program, SEED, answers);
    device.destroy();
    await expect(examining).rejects.toThrow(/mapAsync|lost|destroy/i);
    lost.close();
  });
});
