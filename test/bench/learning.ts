/**
 * How a model learns on one replica, without any exchange: `node test/bench/learning.ts [--model resnet-20] [--data cifar10]
 * [--steps 1500] [--batch 64] [--learning-rate 0.1] [--crop-padding 0] [--minutes 60] [--json]`. The learning rate warms up over a
 * twentieth of the steps and falls along a cosine; pictures (not digits) are flipped. Prints a markdown table of the curve; the
 * last point is taken over the whole test set.
 */

import { parseArgs } from "node:util";
import { Sampler } from "../../shared/sampler.ts";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { readWasmSources } from "../../coordinator/evaluation/wasm_sources.ts";
import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { isModelName, MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import { learningRateAt, type Schedule } from "../../shared/solver/schedule.ts";
import { cifar10Dataset } from "../support/cifar_examples.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "resnet-20" },
    data: { type: "string", default: "cifar10" },
    steps: { type: "string", default: "1500" },
    batch: { type: "string", default: "64" },
    "learning-rate": { type: "string", default: "0.1" },
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    "crop-padding": { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});

const EVALUATION_BATCH = 100;
/** Of the test set, at each point but the last. */
const SUBSET = 2000;
const POINTS = 15;
const MOMENTUM = 0.9;
const WEIGHT_DECAY = 1e-4;

interface Point {
  readonly step: number;
  readonly samples: number;
  readonly minutes: number;
  /** Mean over the steps since the point before. */
  readonly trainingLoss: number;
  readonly testLoss: number;
  readonly testAccuracy: number;
  readonly testImages: number;
}

function count(name: "steps" | "batch" | "seed" | "crop-padding", least = 1): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < least) {
    throw new Error(`--${name} is "${flags[name]}"; accepted is a whole number from ${least}.`);
  }
  return value;
}

function amount(name: "learning-rate" | "minutes"): number {
  const value = Number(flags[name]);
  if (!(value > 0 && Number.isFinite(value)))
    throw new Error(`--${name} is "${flags[name]}"; accepted is a number above 0.`);
  return value;
}

async function judge(
  program: Program,
  parameters: Float32Array,
  images: number,
): Promise<{ accuracy: number; loss: number }> {
  program.writeParameters(parameters);
  let correct = 0;
  let lossSum = 0;
  for (let first = 0; first < images; first += EVALUATION_BATCH) {
    const examples = Uint32Array.from({ length: EVALUATION_BATCH }, (_, index) => first + index);
    const evaluation = await program.evaluate(examples);
    correct += evaluation.correct;
    lossSum += evaluation.meanLoss * EVALUATION_BATCH;
  }
  return { accuracy: correct / images, loss: lossSum / images };
}

const model = flags.model;
if (!isModelName(model))
  throw new Error(`--model is "${model}"; accepted is one of ${Object.keys(MODELS).join(", ")}.`);
const steps = count("steps");
const batch = count("batch");
const baseRate = amount("learning-rate");
const seed = count("seed");
const endsAtMs = performance.now() + amount("minutes") * 60_000;

if (flags.data !== "cifar10" && flags.data !== "mnist") {
  throw new Error(`--data is "${flags.data}"; accepted is cifar10 or mnist.`);
}
const dataset = await (flags.data === "cifar10" ? cifar10Dataset() : loadMnist());
const { normalisation, train, test } = dataset;
const backend = await createWasmBackend(await readWasmSources());
const options = { normalisation, seed };
const plan: Plan = compilePlan(MODELS[model], {
  ...options,
  batch,
  datasetExamples: train.count,
  augmentation: { cropPadding: count("crop-padding", 0), flip: dataset.name === "cifar10" },
});
const program = await backend.compile(plan);
const judging = await backend.compile(
  compilePlan(MODELS[model], { ...options, batch: EVALUATION_BATCH, datasetExamples: test.count }),
);
program.loadExamples(0, train.images, train.labels);
judging.loadExamples(0, test.images, test.labels);
program.writeParameters(initialParameters(plan.layout, seed));

const schedule: Schedule = {
  warmUpSteps: Math.round(steps / 20),
  decay: { kind: "cosine", steps: steps - Math.round(steps / 20), floor: 0 },
};
const sampler = new Sampler(new Random(seed));
sampler.add({ first: 0, count: train.count });
const points: Point[] = [];
const beganMs = performance.now();
const every = Math.max(1, Math.ceil(steps / POINTS));
for (let step = 0; step < steps && performance.now() < endsAtMs; step++) {
  program.step(sampler.draw(batch), {
    learningRate: learningRateAt(schedule, baseRate, step),
    momentum: MOMENTUM,
    weightDecay: WEIGHT_DECAY,
  });
  const done = step + 1;
  if (done % every !== 0 && done < steps) continue;
  const { meanLoss } = await program.takeDifference();
  const images = done === steps ? test.count : Math.min(SUBSET, test.count);
  const { accuracy, loss } = await judge(judging, await program.readParameters(), images);
  const minutes = (performance.now() - beganMs) / 60_000;
  points.push({
    step: done,
    samples: done * batch,
    minutes,
    trainingLoss: meanLoss,
    testLoss: loss,
    testAccuracy: accuracy,
    testImages: images,
  });
  console.error(
    `step ${done} of ${steps}, ${minutes.toFixed(1)} min: training loss ${meanLoss.toFixed(3)}, test accuracy ${(100 * accuracy).toFixed(2)} % of ${images}`,
  );
}

const rows = points.map(
  ({ step, samples, minutes, trainingLoss, testLoss, testAccuracy, testImages }) =>
    `| ${step} | ${samples} | ${minutes.toFixed(1)} | ${trainingLoss.toFixed(3)} | ${testLoss.toFixed(3)} | ${(100 * testAccuracy).toFixed(2)} % | ${testImages} |`,
);
console.error(
  [
    `${model} on ${dataset.name}, ${backend.device}, batch ${batch}, learning rate ${baseRate}, seed ${seed}`,
    "",
    "| step | samples | minutes | training loss | test loss | test accuracy | test images |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n"),
);
if (flags.json)
  console.log(JSON.stringify({ model, data: dataset.name, device: backend.device, batch, steps, seed, points }));
