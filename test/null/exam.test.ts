/** The entrance exam on WASM: shared/engine/exam/. Its twin on a GPU is test/gpu/exam.test.ts. */

import { beforeAll, describe, expect, test } from "vitest";
import type { Backend, Program } from "../../shared/engine/backend.ts";
import { answerExam, examine, readAnswers, type Verdict } from "../../shared/engine/exam/examine.ts";
import { sampleRuns, questionsTo } from "../../shared/engine/exam/questions.ts";
import type { Answers } from "../../shared/engine/exam/answers.ts";
import { gradientsWrittenBy, writtenBy } from "../../shared/engine/operation_tensors.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { Random } from "../../shared/random.ts";
import { broken, type Fault } from "../support/broken_program.ts";
import { LAYER_MODELS, madeOf } from "../support/layer_models.ts";
import { WASM_VARIANTS, WASM_MODULES } from "../support/wasm_modules.ts";

const SEED = 7;
const NO_AUGMENTATION = { cropPadding: 0, flip: false };
const PLAN = compilePlan(MODELS.lenet, {
  batch: 12,
  datasetExamples: 40,
  normalisation: { mean: [0.13], deviation: [0.31] },
});

function answersIn(bytes: Uint8Array, plan: Plan = PLAN, seed = SEED): Answers {
  const answers = readAnswers(bytes, plan, seed);
  if ("problem" in answers) throw new Error(answers.problem);
  return answers;
}

describe("Questions", () => {
  test("Every output of every operation is asked for, once and in order", () => {
    const { moves, questions } = questionsTo(PLAN, SEED);
    const outputs = [...PLAN.forward, ...PLAN.backward].flatMap((operation) =>
      writtenBy(operation)
        .map((tensor) => PLAN.tensors[tensor]!.name)
        .concat(gradientsWrittenBy(operation).map(({ name }) => name)),
    );
    expect(questions.map(({ tensor }) => tensor)).toEqual(outputs);
    expect(moves.filter(({ kind }) => kind === "read")).toHaveLength(questions.length);
    expect(questions.map(({ operation }) => operation)).toContain("conv2 filter gradient");
  });

  test("Equal seeds ask the same, others elsewhere", () => {
    expect(questionsTo(PLAN, SEED)).toEqual(questionsTo(PLAN, SEED));
    expect(questionsTo(PLAN, SEED + 1).moves).not.toEqual(questionsTo(PLAN, SEED).moves);
  });

  test.each([1, 4, 256, 257, 1000, 100_003])(
    "At most 256 of %i elements are sampled, first and last among them",
    (elements) => {
      const runs = sampleRuns(elements, new Random(3));
      const indices = runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index));
      expect(indices).toHaveLength(Math.min(256, elements));
      expect(new Set(indices).size).toBe(indices.length);
      expect([indices[0], indices.at(-1)]).toEqual([0, elements - 1]);
      expect(indices).toEqual(indices.toSorted((a, b) => a - b));
    },
  );
});

describe.each(WASM_VARIANTS)("The exam on WASM with %s multiply-add", (_, sources) => {
  let backend: Backend;
  let stored: Uint8Array<ArrayBuffer>;

  beforeAll(async () => {
    backend = await createWasmBackend(sources);
    // The coordinator's own device, whatever the replica's is.
    const judge = await createWasmBackend(WASM_MODULES);
    stored = await answerExam(judge, PLAN, SEED);
  });

  async function fresh(): Promise<Program> {
    return backend.compile(PLAN);
  }

  async function examined(fault: Fault): Promise<Verdict> {
    return examine(broken(await fresh(), SEED, fault), SEED, answersIn(stored));
  }

  test("[E10] A correct device passes, and the verdict says what was examined", async () => {
    expect(await examine(await fresh(), SEED, answersIn(stored))).toEqual({
      isPassed: true,
      sentence: `The exam is passed: ${PLAN.forward.length + PLAN.backward.length} operations and one whole gradient agree with the coordinator's.`,
    });
  });

  test("[E12] Whatever operation gives zeros is caught and named", async () => {
    const names = [...new Set(questionsTo(PLAN, SEED).questions.map(({ operation }) => operation))];
    expect(names.length).toBeGreaterThan(12);
    for (const operation of names) {
      const verdict = await examined({ operation, becomes: () => 0 });
      expect(verdict).toMatchObject({ isPassed: false, kernel: operation });
      expect(verdict.sentence).toMatch(
        new RegExp(
          `^It failed the exam at ${operation.replaceAll(/[()]/g, String.raw`\$&`)}: .+ is zero everywhere\\.$`,
        ),
      );
    }
  });

  test("[E12] NaN, a wrong sign, a doubled and a slightly wrong value are caught and named", async () => {
    const faults: [Fault["becomes"], RegExp][] = [
      [() => Number.NaN, /is NaN instead of/],
      [(value) => -value, /instead of/],
      [(value) => 2 * value, /instead of/],
      [(value) => 1.02 * value, /instead of/],
    ];
    for (const [becomes, words] of faults) {
      const verdict = await examined({ operation: "conv2 filter gradient", becomes });
      expect(verdict).toMatchObject({
        isPassed: false,
        kernel: "conv2 filter gradient",
        sentence: expect.stringMatching(words),
      });
    }
  });

  test("[E12] Half precision in one operation is no failure", async () => {
    const verdict = await examined({
      operation: "conv2 forward",
      becomes: (value) => Math.fround(value * (1 + 2 ** -11)),
    });
    expect(verdict.isPassed).toBe(true);
  });

  test("[E13] A gradient of zeros, of half the size or with NaN is caught where every operation alone is right", async () => {
    const faults: [Fault["becomes"], RegExp][] = [
      [() => 0, /the whole gradient: conv1\.weights is zero everywhere/],
      [(value) => value / 2, /the whole gradient: conv1\.weights has norm .+ instead of/],
      [() => Number.NaN, /the whole gradient: conv1\.weights holds numbers that are not finite/],
      [(value) => -value, /the whole gradient: conv1\.weights is off by 200 % of its norm/],
    ];
    for (const [becomes, words] of faults) {
      const verdict = await examined({ gradient: true, becomes });
      expect(verdict).toMatchObject({
        isPassed: false,
        kernel: "the whole gradient",
        sentence: expect.stringMatching(words),
      });
    }
  });

  test("[E13] An update that does nothing and exchange kernels that are off are caught", async () => {
    const still = await fresh();
    still.step = (examples) => still.gradientStep(examples);
    expect(await examine(still, SEED, answersIn(stored))).toMatchObject({ isPassed: false, kernel: "the update" });
    const unmoved = await fresh();
    unmoved.settle = () => {};
    expect(await examine(unmoved, SEED, answersIn(stored))).toMatchObject({
      isPassed: false,
      kernel: "the elastic pull",
    });
  });

  test("[E11] Damaged answers are refused by what is wrong with them", async () => {
    const problemOf = (bytes: Uint8Array, plan = PLAN): string => {
      const answers = readAnswers(bytes, plan, SEED);
      return "problem" in answers ? answers.problem : "none";
    };
    expect(problemOf(stored)).toBe("none");
    const flipped = stored.slice();
    flipped[1000]! ^= 4;
    expect(problemOf(flipped)).toBe("their checksum is wrong");
    expect(problemOf(stored.subarray(0, -4))).toBe("their checksum is wrong");
    expect(problemOf(stored.subarray(0, 10))).toBe("they are 10 bytes");
    expect(problemOf(new TextEncoder().encode("<!doctype html>!"))).toBe("they are something else");
    const mlp = compilePlan(MODELS.mlp, { batch: 12, datasetExamples: 40, normalisation: PLAN.normalisation });
    expect(problemOf(stored, mlp)).toMatch(/^they are \d+ words, the exam has \d+: they answer another exam$/);
  });
});

describe.each([2, 4])("The exam of a batch in %i parts", (microBatches) => {
  const inParts = compilePlan(MODELS.lenet, { ...PLAN, microBatches });
  let judge: Backend;
  let stored: Uint8Array<ArrayBuffer>;

  beforeAll(async () => {
    judge = await createWasmBackend(WASM_MODULES);
    stored = await answerExam(judge, inParts, SEED);
  });

  test("[E11] A correct device passes with the answers for as many parts", async () => {
    const plain = await createWasmBackend(WASM_VARIANTS[0]![1]);
    const verdict = await examine(await plain.compile(inParts), SEED, answersIn(stored, inParts));
    expect(verdict).toMatchObject({ isPassed: true });
  });

  test("[E11] The answers for a batch done at once are to other questions, and no device passes with them", async () => {
    const whole = await answerExam(judge, PLAN, SEED);
    expect(readAnswers(whole, inParts, SEED)).toEqual({ problem: expect.stringMatching(/they answer another exam$/) });
    const verdict = await examine(await judge.compile(inParts), SEED, answersIn(whole));
    expect(verdict).toMatchObject({ isPassed: false });
  });

  test("[E13] A whole gradient that lacks a part is caught", async () => {
    const program = await judge.compile(inParts);
    const forgetful = broken(program, SEED, {
      gradient: true,
      becomes: (value) => value * (1 - 1 / microBatches),
    });
    const verdict = await examine(forgetful, SEED, answersIn(stored, inParts));
    expect(verdict).toMatchObject({ isPassed: false, kernel: "the whole gradient" });
  });
});

describe.each(LAYER_MODELS)("The exam of $title", (item) => {
  const { plan } = madeOf(item, { augmentation: item.input ? NO_AUGMENTATION : { cropPadding: 1, flip: true } });
  let plain: Backend;
  let answers: Answers;

  beforeAll(async () => {
    plain = await createWasmBackend(WASM_VARIANTS[0]![1]);
    answers = answersIn(await answerExam(await createWasmBackend(WASM_MODULES), plan, SEED), plan);
  });

  test("[E10] A device that rounds otherwise passes, random layers included", async () => {
    expect(await examine(await plain.compile(plan), SEED, answers)).toMatchObject({ isPassed: true });
  });

  test("[E11] A device that does the batch in parts passes with their answers, random layers included", async () => {
    const parts = compilePlan(plan.model, { ...plan, microBatches: 2 });
    const stored = await answerExam(await createWasmBackend(WASM_MODULES), parts, SEED);
    const verdict = await examine(await plain.compile(parts), SEED, answersIn(stored, parts));
    expect(verdict).toMatchObject({ isPassed: true });
  });

  test("[E12] Whatever operation gives zeros is caught and named", async () => {
    for (const operation of new Set(questionsTo(plan, SEED).questions.map((question) => question.operation))) {
      const program = broken(await plain.compile(plan), SEED, { operation, becomes: () => 0 });
      expect(await examine(program, SEED, answers)).toMatchObject({ isPassed: false, kernel: operation });
    }
  });

  test("[E13] Zeros for whole gradients are caught", async () => {
    const program = broken(await plain.compile(plan), SEED, { gradient: true, becomes: () => 0 });
    expect(await examine(program, SEED, answers)).toMatchObject({ isPassed: false, kernel: "the whole gradient" });
  });
});
