import { InferenceSession, Tensor } from "onnxruntime-web";
import { expect, test } from "vitest";
import { liftVariances } from "../../coordinator/evaluation/lift_variances.ts";
import { onnxOf } from "../../coordinator/export/onnx.ts";
import type { Layer, ModelDescription } from "../../shared/model/model.ts";
import { elementsOf } from "../../shared/model/model.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import type { ModelName } from "../../shared/model/catalogue.ts";
import { Random } from "../../shared/random.ts";
import { CIFAR10_TIMEOUT_MS } from "../support/cifar_examples.ts";
import { LAYER_MODELS, madeOf } from "../support/layer_models.ts";
import {
  choices,
  largestDifference,
  OnnxComparison,
  referenceLogits,
  type Exported,
} from "../support/export/onnx_comparison.ts";
import { subjectOf, TRAINING } from "../support/export/onnx_subject.ts";

const NORMALISATION = { mean: [0.4], deviation: [0.3] };
const BATCH = 5;

const out: Layer = { kind: "dense", name: "out", units: 3 };

/** What the models of `layer_models.ts` leave out: forms, orders and geometries that an export could confuse. */
const ODD_MODELS: readonly Pick<ModelDescription, "name" | "layers" | "input" | "loss">[] = [
  {
    name: "pools that hang over one edge only, whose windows leave a rim, or which are wider than their stride",
    input: { height: 10, width: 7, channels: 3 },
    layers: [
      { kind: "max-pool", name: "hanging", size: 3, stride: 2, ceil: true, from: "input" },
      { kind: "average-pool", name: "wide", size: 2, stride: 3, padding: 1, ceil: true },
      { kind: "gelu", name: "gelu" },
      { kind: "max-pool", name: "rim", size: 2, stride: 2 },
      out,
    ],
  },
  {
    name: "rows and images in one sum and one concatenation",
    input: { height: 4, width: 3, channels: 2 },
    layers: [
      { kind: "conv2d", name: "conv", kernel: 2, channels: 4, stride: 2 },
      { kind: "global-average-pool", name: "pooled" },
      { kind: "flatten", name: "flat", from: "input" },
      { kind: "dense", name: "dense", units: 4 },
      { kind: "batch-norm", name: "norm", epsilon: 0.01 },
      { kind: "add", name: "sum", from: ["pooled", "norm"] },
      { kind: "layer-norm", name: "layer norm", from: "flat" },
      { kind: "concat", name: "both", from: ["sum", "layer norm", "norm"] },
      { kind: "local-response-norm", name: "response", size: 5, alpha: 0.5 },
      { kind: "silu", name: "silu" },
      { kind: "conv2d", name: "as dense", kernel: 1, channels: 6 },
      { kind: "dropout", name: "dropped", rate: 0.5 },
      out,
    ],
  },
  {
    name: "names that the graph has itself, and a normalisation of rows in an image's order",
    input: { height: 3, width: 4, channels: 2 },
    layers: [
      { kind: "conv2d", name: "images", kernel: 3, channels: 5, padding: 1 },
      { kind: "flatten", name: "logits" },
      { kind: "batch-norm", name: "probabilities", epsilon: 0.01 },
      { kind: "leaky-relu", name: "images/scaled" },
      { kind: "dense", name: "constant 0", units: 3 },
    ],
    loss: "mean-squared-error",
  },
];

/** Parameters that no two layers share, variances below zero among them (where epsilon keeps rounding from being blown up). */
function exportedOf(odd: (typeof ODD_MODELS)[number]): Exported {
  const model: ModelDescription = { ...odd, classes: 3 };
  const layout = layoutOf(model);
  const random = new Random(8);
  const parameters = initialParameters(layout, 3).map((value) => value + 0.2 * random.normal());
  for (const { name, offset } of layout.tensors) if (name.endsWith(".variance")) parameters[offset] = -1e-4;
  return { model, parameters, normalisation: NORMALISATION };
}

/** The largest differences of the runtime from plain loops and from Drove, as shares of the largest logit, and how far logits are apart. */
async function compared(exported: Exported): Promise<{ fromExact: number; fromDrove: number; spread: number }> {
  const random = new Random(31);
  const images = Uint8Array.from({ length: BATCH * elementsOf(exported.model.input) }, () => random.below(256));
  const comparison = await OnnxComparison.open(exported, BATCH);
  const { drove, runtime, probabilities } = await comparison.answers(images);
  await comparison.close();
  const lifted = exported.parameters.slice();
  liftVariances(lifted, layoutOf(exported.model));
  const exact = referenceLogits({ ...exported, parameters: lifted }, images);
  const scale = Math.max(1, ...exact.map(Math.abs));
  expect(probabilities.every((share) => share >= 0 && share <= 1)).toBe(true);
  return {
    fromExact: largestDifference(exact, runtime) / scale,
    fromDrove: largestDifference(drove, runtime) / scale,
    spread: Math.max(...exact) - Math.min(...exact),
  };
}

const CASES: readonly (readonly [string, Exported])[] = [
  ...LAYER_MODELS.map((item): [string, Exported] => {
    const { plan, start } = madeOf(item);
    return [item.title, { model: plan.model, parameters: new Float32Array(start), normalisation: plan.normalisation }];
  }),
  ...ODD_MODELS.map((odd): [string, Exported] => [odd.name, exportedOf(odd)]),
];

test.for(CASES)("ONNX Runtime answers as Drove does and as plain loops do: %s", async ([, exported]) => {
  const { fromExact, fromDrove, spread } = await compared(exported);
  expect(fromExact).toBeLessThan(1e-5);
  expect(fromDrove).toBeLessThan(1e-5);
  // Logits that are all alike would prove nothing.
  expect(spread).toBeGreaterThan(0.05);
});

/** The whole catalogue; `drove bench export` asks 1,000 images of every one. */
test.for<[ModelName, { images: number; batch: number; steps: number }]>([
  ["logistic", { images: 1000, batch: 100, steps: 100 }],
  ["mlp", { images: 1000, batch: 100, steps: 100 }],
  ["lenet", { images: 1000, batch: 50, steps: 30 }],
  ["cifar-quick", { images: 1000, batch: 50, steps: 5 }],
  ["resnet-20", { images: 100, batch: 20, steps: 3 }],
  ["densenet-40-12", { images: 20, batch: 10, steps: 0 }],
  ["resnet-50", { images: 2, batch: 2, steps: 0 }],
  ["caffenet", { images: 2, batch: 2, steps: 0 }],
])(
  "An exported %s gives the same logits to 1e-4, and the same answers, on real test images",
  { timeout: CIFAR10_TIMEOUT_MS },
  async ([name, { images, batch, steps }]) => {
    const subject = await subjectOf(name, { ...TRAINING[name], steps });
    const comparison = await OnnxComparison.open(subject, batch);
    const { classes } = subject.model;
    let largest = 0;
    let spread = 0;
    for (let first = 0; first < images; first += batch) {
      const { drove, runtime } = await comparison.answers(await subject.testImages(first, batch));
      largest = Math.max(largest, largestDifference(drove, runtime));
      spread = Math.max(spread, ...drove.map((value) => Math.abs(value)));
      const differing = choices(drove, classes).filter((choice, row) => choice !== choices(runtime, classes)[row]);
      expect(differing).toEqual([]);
    }
    await comparison.close();
    expect(largest).toBeLessThan(1e-4);
    // Logits that are all alike would prove nothing.
    expect(spread).toBeGreaterThan(0.1);
  },
);

test("The graph takes any number of raw images and gives logits and shares that add up to 1", async () => {
  const exported = exportedOf({ name: "small", input: { height: 2, width: 2, channels: 3 }, layers: [out] });
  const file = await onnxOf({ ...exported, version: 12, metadata: { run: "mine" }, fileStem: "mine" });
  expect([file.fileName, file.contentType]).toEqual(["mine.onnx", "application/octet-stream"]);
  const session = await InferenceSession.create(file.parts[0]!, { executionProviders: ["wasm"] });
  expect([session.inputNames, session.outputNames]).toEqual([["images"], ["logits", "probabilities"]]);
  for (const batch of [1, 7]) {
    const images = new Tensor("float32", new Float32Array(batch * 12).fill(200), [batch, 2, 2, 3]);
    const { logits, probabilities } = await session.run({ images });
    expect([logits?.dims, probabilities?.dims]).toEqual([
      [batch, 3],
      [batch, 3],
    ]);
    const shares = probabilities?.data as Float32Array;
    expect(shares[0]! + shares[1]! + shares[2]!).toBeCloseTo(1, 6);
  }
  await session.release();
});

test("A model of more than 2 GB is refused with a sentence that names the other format", async () => {
  const model: ModelDescription = {
    name: "huge",
    input: { height: 256, width: 256, channels: 3 },
    classes: 3000,
    layers: [{ kind: "dense", name: "fc", units: 3000 }],
  };
  const source = { model, parameters: new Float32Array(0), normalisation: NORMALISATION, version: 1 };
  await expect(onnxOf({ ...source, metadata: {}, fileStem: "huge" })).rejects.toThrow(
    "The parameters of huge take 2.2 GiB, and one ONNX file holds at most 2; export safetensors instead.",
  );
});
