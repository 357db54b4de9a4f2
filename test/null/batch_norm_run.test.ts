/** SPEC E9: the running statistics of batch norm through exchanges, the center's step, checkpoints and evaluation. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Evaluator } from "../../coordinator/evaluation/evaluator.ts";
import { readCheckpoint } from "../../coordinator/store/checkpoint.ts";
import { CheckpointWriter } from "../../coordinator/store/checkpoint_writer.ts";
import type { Program } from "../../shared/engine/backend.ts";
import { layoutOf, initialParameters, type ParameterLayout } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { LiveRun, program } from "../support/live_replicas.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { TINY_SETTINGS } from "../support/tiny_run.ts";

const MODEL: ModelDescription = {
  name: "normalised",
  input: { height: 28, width: 28, channels: 1 },
  classes: 10,
  layers: [
    { kind: "dense", name: "fc1", units: 48, bias: false },
    { kind: "batch-norm", name: "norm1" },
    { kind: "relu", name: "relu1" },
    { kind: "dense", name: "fc2", units: 10 },
  ],
};
const LAYOUT = layoutOf(MODEL);
const BATCH = 50;
const CHANNELS = 48;

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function live(settings: Parameters<typeof LiveRun.create>[0]): Promise<LiveRun> {
  const run = await LiveRun.create({ ...settings, model: { ...MODEL, layers: [...MODEL.layers] } });
  undo.push(() => run.close());
  return run;
}

function tensorOf(parameters: Float32Array, name: string, layout: ParameterLayout = LAYOUT): Float32Array {
  const { offset, elements } = layout.tensors.find((tensor) => tensor.name === name)!;
  return parameters.subarray(offset, offset + elements);
}

/** The statistics of the data at these parameters: what the running ones forget all else for. */
async function statisticsAt(run: LiveRun, parameters: Float32Array): Promise<Float32Array> {
  const judge = await program(run.settings);
  judge.writeParameters(parameters);
  const random = new Random(77);
  for (let step = 0; step < 60; step++) {
    judge.gradientStep(Uint32Array.from({ length: BATCH }, () => random.below(4000)));
  }
  const settled = await judge.readParameters();
  judge.close();
  return settled;
}

for (const [solver, versions, learningRate] of [
  ["sync-sgd", 150, 0.02],
  ["ea-wild", 60, 0.02],
] as const) {
  test(`[E9] [X15] A model with batch norm that ${solver} trains has the data's statistics at the center, and is judged by them`, async () => {
    const run = await live({ solver, learningRate, momentum: 0.9 });
    const replicas = [await run.join(1), await run.join(2)];
    await run.until(versions);
    run.run.finish("stopped", "The test is over.");
    const endings = await Promise.all(replicas.map(({ ended }) => ended));
    expect(endings.map(({ kind }) => kind)).toEqual(["finished", "finished"]);
    const { parameters } = run.center.snapshot();
    const settled = await statisticsAt(run, parameters);
    const [mean, variance] = ["norm1.mean", "norm1.variance"].map((name) => tensorOf(parameters, name));
    const [trueMean, trueVariance] = ["norm1.mean", "norm1.variance"].map((name) => tensorOf(settled, name));
    for (let channel = 0; channel < CHANNELS; channel++) {
      const deviation = Math.sqrt(trueVariance![channel]!);
      expect(Math.abs(mean![channel]! - trueMean![channel]!)).toBeLessThan(0.5 * deviation);
      expect(Math.abs(Math.log(variance![channel]! / trueVariance![channel]!))).toBeLessThan(Math.log(2));
    }
    expect(await run.accuracy()).toBeGreaterThan(0.8);
  });
}

test("[E9] A gradient carries base less statistics in their place, and the other elements are the gradient's", async () => {
  const settings = { ...TINY_SETTINGS, model: { ...MODEL, layers: [...MODEL.layers] }, batch: BATCH };
  const replica = await program(settings);
  undo.push(async () => replica.close());
  const base = initialParameters(LAYOUT, 3);
  replica.writeParameters(base);
  replica.gradientStep(Uint32Array.from({ length: BATCH }, (_, index) => index));
  const after = await replica.readParameters();
  const { values } = await replica.takeGradient();
  const { trainableElements, elements } = LAYOUT;
  expect(elements - trainableElements).toBe(128);
  const isRight = Array.from(
    values,
    (value, at) => at < trainableElements || value === Math.fround(base[at]! - after[at]!),
  );
  expect(isRight.every(Boolean)).toBe(true);
  expect(tensorOf(values, "norm1.variance").every((value) => value !== 0)).toBe(true);
  expect(
    Buffer.compare(
      Buffer.from(base.buffer, 0, 4 * trainableElements),
      Buffer.from(after.buffer, 0, 4 * trainableElements),
    ),
  ).toBe(0);
});

async function trained(): Promise<{ parameters: Float32Array<ArrayBuffer>; replica: Program }> {
  const settings = { ...TINY_SETTINGS, model: { ...MODEL, layers: [...MODEL.layers] }, batch: BATCH };
  const replica = await program(settings);
  undo.push(async () => replica.close());
  replica.writeParameters(initialParameters(LAYOUT, 3));
  const random = new Random(3);
  for (let step = 0; step < 120; step++) {
    const examples = Uint32Array.from({ length: BATCH }, () => random.below(4000));
    replica.step(examples, { learningRate: 0.02, momentum: 0.9, weightDecay: 0 });
  }
  return { parameters: await replica.readParameters(), replica };
}

test("[E9] [L5] Statistics survive a checkpoint: the resumed center is judged as the old one was", async () => {
  const folder = await mkdtemp(join(tmpdir(), "drove-batch-norm-"));
  undo.push(() => rm(folder, { recursive: true }));
  const { parameters } = await trained();
  const writer = new CheckpointWriter(folder, LAYOUT);
  undo.push(() => writer.close());
  await writer.write({ version: 7, parameters: parameters.slice(), velocity: null, state: { seconds: 1 } });
  const restored = await readCheckpoint(folder, LAYOUT);
  expect(restored?.version).toBe(7);
  expect(Buffer.from(restored!.parameters.buffer).equals(Buffer.from(parameters.buffer))).toBe(true);
  const { images, labels } = mnistExamples(5000);
  const unseen = { images: images.slice(4000 * 784), labels: labels.slice(4000), count: 1000 };
  const evaluator = await Evaluator.create({
    model: MODEL,
    test: unseen,
    normalisation: TINY_SETTINGS.data.normalisation,
  });
  undo.push(() => evaluator.close());
  const request = { scope: "all", turn: 0, stopWhenBelow: null } as const;
  const before = await evaluator.evaluate(parameters, request);
  const after = await evaluator.evaluate(restored!.parameters, request);
  expect(before.accuracy).toBeGreaterThan(0.8);
  expect([after.correct, after.meanLoss]).toEqual([before.correct, before.meanLoss]);
  // Without its statistics the same model is worse: evaluation does use them.
  const forgotten = parameters.slice();
  tensorOf(forgotten, "norm1.mean").fill(0);
  tensorOf(forgotten, "norm1.variance").fill(1);
  expect((await evaluator.evaluate(forgotten, request)).correct).toBeLessThan(before.correct);
  // And a variance below zero counts as zero.
  tensorOf(forgotten, "norm1.variance").fill(-1e-3);
  expect((await evaluator.evaluate(forgotten, request)).meanLoss).toBeGreaterThan(0);
});
