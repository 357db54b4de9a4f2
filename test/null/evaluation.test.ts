import { pathToFileURL } from "node:url";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { Evaluator } from "../../coordinator/evaluation/evaluator.ts";
import { readWasmSources } from "../../coordinator/evaluation/wasm_sources.ts";
import type { Dataset, Examples } from "../../coordinator/data/dataset.ts";
import type { EvaluationRequest } from "../../coordinator/evaluation/selection.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";

const SUBSET: EvaluationRequest = { scope: "subset", turn: 0, stopWhenBelow: null };
const ALL: EvaluationRequest = { scope: "all", turn: 0, stopWhenBelow: null };

let mnist: Dataset;
/** Of the MLP, trained for two seconds. */
let trained: Float32Array<ArrayBuffer>;
let evaluator: Evaluator;

beforeAll(async () => {
  mnist = await loadMnist();
  const backend = await createWasmBackend(await readWasmSources());
  const plan = compilePlan(MODELS.mlp, { batch: 64, datasetExamples: 20_000, normalisation: mnist.normalisation });
  const program = await backend.compile(plan);
  program.loadExamples(0, mnist.train.images.subarray(0, 20_000 * 784), mnist.train.labels.subarray(0, 20_000));
  program.writeParameters(initialParameters(plan.layout, 3));
  const random = new Random(3);
  for (let step = 0; step < 600; step++) {
    const examples = Uint32Array.from({ length: 64 }, () => random.below(20_000));
    program.step(examples, { learningRate: 0.05, momentum: 0.9, weightDecay: 0 });
  }
  trained = await program.readParameters();
  program.close();
  evaluator = await Evaluator.create({ model: MODELS.mlp, test: mnist.test, normalisation: mnist.normalisation });
});
afterAll(() => evaluator.close());

function part({ images, labels }: Examples, count: number): Examples {
  return { images: images.slice(0, count * 784), labels: labels.slice(0, count), count };
}

test("A trained model is judged far above chance, and its subsets together exactly as all", async () => {
  const all = await evaluator.evaluate(trained, ALL);
  expect(all).toMatchObject({ scope: "all", images: 10_000, stoppedEarly: false });
  expect(all.accuracy).toBeGreaterThan(0.93);
  expect(all.accuracy).toBe(all.correct / 10_000);
  expect(all.cpuMs).toBeGreaterThan(0);
  let correct = 0;
  let loss = 0;
  for (let turn = 7; turn < 17; turn++) {
    const subset = await evaluator.evaluate(trained, { ...SUBSET, turn });
    expect(subset.images).toBe(1000);
    correct += subset.correct;
    loss += subset.meanLoss / 10;
  }
  expect(correct).toBe(all.correct);
  expect(loss).toBeCloseTo(all.meanLoss, 6);
});

test("A full evaluation ends when the target is out of reach, and not before", async () => {
  const all = await evaluator.evaluate(trained, ALL);
  const impossible = await evaluator.evaluate(trained, { ...ALL, stopWhenBelow: 0.999 });
  expect(impossible.stoppedEarly).toBe(true);
  expect(impossible.images).toBeLessThan(5000);
  expect(impossible.images - impossible.correct).toBeGreaterThan(10);
  const reached = await evaluator.evaluate(trained, { ...ALL, stopWhenBelow: all.accuracy });
  expect(reached).toMatchObject({ stoppedEarly: false, correct: all.correct });
  const missedByOne = await evaluator.evaluate(trained, { ...ALL, stopWhenBelow: all.accuracy + 0.0001 });
  expect(missedByOne.accuracy).toBeLessThan(all.accuracy + 0.0001);
});

test("A test set that does not divide into batches is counted exactly, as the naive loops count it", async () => {
  const heldOut = part(mnist.test, 137);
  const small = await Evaluator.create({ model: MODELS.mlp, test: heldOut, normalisation: mnist.normalisation });
  const result = await small.evaluate(trained, ALL);
  await small.close();
  const plan = compilePlan(MODELS.mlp, { batch: 137, datasetExamples: 137, normalisation: mnist.normalisation });
  const reference = new ReferenceTrainer(plan, heldOut.images, heldOut.labels, trained).evaluate(
    Uint32Array.from({ length: 137 }, (_, index) => index),
  );
  expect(result).toMatchObject({ images: 137, correct: reference.correct });
  expect(result.meanLoss).toBeCloseTo(reference.meanLoss, 4);
});

test("Parameters in shared memory may move on while they are judged", async () => {
  const shared = new Float32Array(new SharedArrayBuffer(trained.byteLength));
  shared.set(trained);
  const judging = evaluator.evaluate(shared, SUBSET);
  shared.fill(Number.NaN);
  expect((await judging).accuracy).toBeGreaterThan(0.9);
});

test("A closed evaluator and missing WASM files are sentences", async () => {
  const small = await Evaluator.create({
    model: MODELS.mlp,
    test: part(mnist.test, 100),
    normalisation: mnist.normalisation,
  });
  await small.close();
  await expect(small.evaluate(trained, ALL)).rejects.toThrow("The evaluator has been closed.");
  await expect(readWasmSources(pathToFileURL(`${tmpdir()}/nowhere/`))).rejects.toThrow(
    /(plain|relaxed)\.wasm is missing; run: npm run build:wasm/,
  );
});
