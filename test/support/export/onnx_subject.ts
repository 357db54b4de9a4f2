/**
 * Models to be exported and compared: every one of the catalogue after a few real training steps on real images, so that logits
 * tell images apart and running statistics are those of real activations. ImageNet's shapes get CIFAR-10's pictures, scaled up.
 */

import sharp from "sharp";
import type { Dataset, Examples } from "../../../coordinator/data/dataset.ts";
import { loadMnist } from "../../../coordinator/data/mnist.ts";
import { readWasmSources } from "../../../coordinator/evaluation/wasm_sources.ts";
import { compilePlan, type Normalisation } from "../../../shared/engine/plan.ts";
import { createWasmBackend } from "../../../shared/engine/wasm/wasm_backend.ts";
import { MODELS, type ModelName } from "../../../shared/model/catalogue.ts";
import { initialParameters, type ParameterLayout } from "../../../shared/model/layout.ts";
import { elementsOf, type ImageShape, type ModelDescription } from "../../../shared/model/model.ts";
import { Random } from "../../../shared/random.ts";
import { cifar10Dataset } from "../cifar_examples.ts";

export interface Subject {
  readonly model: ModelDescription;
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly normalisation: Normalisation;
  /** Held out, scaled to the model's input: [count, height, width, channels] as bytes. */
  testImages(first: number, count: number): Promise<Uint8Array<ArrayBuffer>>;
  readonly testLabels: Uint8Array;
}

interface Training {
  readonly batch: number;
  readonly steps: number;
  readonly learningRate: number;
}

export const TRAINING: Readonly<Record<ModelName, Training>> = {
  logistic: { batch: 64, steps: 200, learningRate: 0.03 },
  mlp: { batch: 64, steps: 200, learningRate: 0.03 },
  lenet: { batch: 64, steps: 100, learningRate: 0.02 },
  "cifar-quick": { batch: 64, steps: 150, learningRate: 0.005 },
  "resnet-20": { batch: 32, steps: 30, learningRate: 0.03 },
  caffenet: { batch: 8, steps: 3, learningRate: 0.001 },
  "densenet-40-12": { batch: 16, steps: 6, learningRate: 0.03 },
  "resnet-50": { batch: 8, steps: 3, learningRate: 0.01 },
};
const MOMENTUM = 0.9;
const BRANCH_SCALE = 0.2;

/** `training` in the place of what the table says, for tests that are in a hurry. */
export async function subjectOf(name: ModelName, training: Training = TRAINING[name]): Promise<Subject> {
  const model: ModelDescription = MODELS[name];
  const dataset = await (model.input.channels === 1 ? loadMnist() : cifar10Dataset());
  const { normalisation, test } = dataset;
  return {
    model,
    parameters: await trained(model, dataset, training),
    normalisation,
    testImages: (first, count) => scaledTo(model.input, dataset.shape, imagesOf(test, first, count)),
    testLabels: test.labels,
  };
}

async function trained(
  model: ModelDescription,
  dataset: Dataset,
  training: Training,
): Promise<Float32Array<ArrayBuffer>> {
  const { batch, steps, learningRate } = training;
  const { train, normalisation, shape } = dataset;
  const backend = await createWasmBackend(await readWasmSources());
  const plan = compilePlan(statisticsAtOnce(model), { batch, datasetExamples: batch, normalisation });
  const program = await backend.compile(plan);
  program.writeParameters(offTheirStart(model, plan.layout));
  const examples = Uint32Array.from({ length: batch }, (_, index) => index);
  for (let step = 0; step <= steps; step++) {
    const first = (step * batch) % (train.count - batch);
    const images = await scaledTo(model.input, shape, imagesOf(train, first, batch));
    program.loadExamples(0, images, train.labels.subarray(first, first + batch));
    // The last pass only makes the statistics those of the last parameters.
    if (step < steps) program.step(examples, { learningRate, momentum: MOMENTUM, weightDecay: 0 });
    else program.gradientStep(examples);
  }
  const parameters = await program.readParameters();
  program.close();
  return parameters;
}

/** The same model, whose running statistics are the last batch's. */
function statisticsAtOnce(model: ModelDescription): ModelDescription {
  return {
    ...model,
    layers: model.layers.map((layer) => (layer.kind === "batch-norm" ? { ...layer, momentum: 0 } : layer)),
  };
}

/**
 * Initial parameters where nothing is exactly 0 or 1, so that an export that mixes two of them up is noticed. Norms that end a residual
 * branch begin small, as is usual where deep networks are trained (Goyal et al. 2017, section 5.1): with the identity's full size in
 * every branch, fifty untrained layers magnify rounding several hundred times.
 */
function offTheirStart(model: ModelDescription, layout: ParameterLayout): Float32Array<ArrayBuffer> {
  const parameters = initialParameters(layout, 5);
  const random = new Random(6);
  const branchEnds = new Set(branchEndsOf(model).map((name) => `${name}.scale`));
  for (const { name, offset, elements } of layout.tensors) {
    const size = branchEnds.has(name) ? BRANCH_SCALE : 1;
    for (let at = offset; at < offset + elements; at++) {
      if (name.endsWith(".scale")) parameters[at]! *= size * Math.exp(0.2 * random.normal());
      if (name.endsWith(".shift") || name.endsWith(".bias")) parameters[at]! += 0.05 * random.normal();
    }
  }
  return parameters;
}

/** What a sum's branch ends with; its other source is the identity, or a projection. */
function branchEndsOf({ layers }: ModelDescription): string[] {
  return layers.flatMap((layer) => (layer.kind === "add" && Array.isArray(layer.from) ? [String(layer.from[0])] : []));
}

function imagesOf({ images, count }: Examples, first: number, length: number): Uint8Array<ArrayBuffer> {
  const imageBytes = images.length / count;
  return images.subarray(first * imageBytes, (first + length) * imageBytes);
}

async function scaledTo(
  to: ImageShape,
  from: ImageShape,
  images: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (to.height === from.height && to.width === from.width) return images;
  const bytesBefore = elementsOf(from);
  const count = images.length / bytesBefore;
  const scaled = new Uint8Array(count * elementsOf(to));
  for (let image = 0; image < count; image++) {
    const picture = sharp(images.subarray(image * bytesBefore, (image + 1) * bytesBefore), {
      raw: { width: from.width, height: from.height, channels: 3 },
    });
    const bytes = await picture.resize(to.width, to.height, { kernel: "cubic" }).raw().toBuffer();
    scaled.set(bytes, image * elementsOf(to));
  }
  return scaled;
}
