import { expect, test } from "vitest";
import { compilePlan, type PlanOptions } from "../../shared/engine/plan.ts";
import type { OperationKind } from "../../shared/engine/operation.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type Layer, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { runOperation } from "../reference/operations.ts";
import { ReferenceTrainer } from "../reference/trainer.ts";

const BATCH = 4;
const EXAMPLES = 6;
const CLASSES = 3;
const STEP = 1e-5;

interface Case {
  readonly title: string;
  readonly layers: readonly Layer[];
  readonly input?: ModelDescription["input"];
  readonly loss?: ModelDescription["loss"];
  readonly options?: Partial<PlanOptions>;
  /** Backward operations that the case is there for. */
  readonly tests: readonly OperationKind[];
}

const out: Layer = { kind: "dense", name: "out", units: CLASSES };
const before: Layer = { kind: "conv2d", name: "before", kernel: 3, channels: 4, padding: 1 };

const CASES: readonly Case[] = [
  {
    title: "dilated, grouped and depthwise convolutions without bias",
    layers: [
      before,
      { kind: "leaky-relu", name: "leaky", slope: 0.3 },
      { kind: "conv2d", name: "dilated", kernel: 2, channels: 6, dilation: 2, padding: 1, groups: 2, bias: false },
      { kind: "tanh", name: "tanh" },
      { kind: "conv2d", name: "depthwise", kernel: 3, channels: 6, padding: 1, stride: 2, groups: 6, bias: false },
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "dense", name: "out", units: CLASSES, bias: false },
    ],
    tests: ["convolve-data-gradient", "convolve-filter-gradient", "dense-filter-gradient", "dense-data-gradient"],
  },
  {
    title: "pools with padding and ceil, and a global one",
    layers: [
      before,
      { kind: "max-pool", name: "max", size: 3, stride: 2, padding: 1, ceil: true },
      { kind: "relu", name: "relu" },
      { kind: "conv2d", name: "conv", kernel: 1, channels: 3 },
      { kind: "average-pool", name: "average", size: 3, stride: 1, padding: 1 },
      { kind: "tanh", name: "tanh" },
      { kind: "global-average-pool", name: "global" },
    ],
    tests: ["max-pool-gradient", "average-pool-gradient", "global-average-pool-gradient"],
  },
  {
    title: "residual blocks with batch norm in training",
    layers: [
      before,
      { kind: "batch-norm", name: "norm1" },
      { kind: "relu", name: "block" },
      { kind: "conv2d", name: "conv1", kernel: 3, channels: 4, padding: 1, bias: false },
      { kind: "batch-norm", name: "norm2" },
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "conv2d", name: "conv2", kernel: 1, channels: 4, bias: false },
      { kind: "batch-norm", name: "norm3" },
      { kind: "add", name: "sum", from: ["norm3", "block"] },
      { kind: "relu", name: "second" },
      { kind: "add", name: "doubled", from: ["second", "second"] },
      { kind: "tanh", name: "last" },
      { kind: "add", name: "mixed", from: ["last", "block"] },
      out,
    ],
    tests: ["batch-norm-scale-gradient", "batch-norm-data-gradient", "pass-gradient"],
  },
  {
    title: "layer norm and local response norm",
    layers: [
      before,
      { kind: "layer-norm", name: "norm" },
      { kind: "tanh", name: "tanh" },
      { kind: "local-response-norm", name: "response", size: 3, alpha: 0.8, beta: 0.75, k: 1.2 },
      out,
    ],
    tests: ["layer-norm-scale-gradient", "layer-norm-data-gradient", "local-response-norm-gradient"],
  },
  {
    title: "activations that stay operations, and dropout with its draw fixed",
    layers: [
      before,
      { kind: "gelu", name: "gelu" },
      { kind: "conv2d", name: "conv1", kernel: 1, channels: 4 },
      { kind: "silu", name: "silu" },
      { kind: "dropout", name: "drop1", rate: 0.4 },
      { kind: "tanh", name: "tanh" },
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "leaky-relu", name: "leaky" },
      { kind: "dropout", name: "drop2", rate: 0.2 },
      out,
    ],
    options: { seed: 77 },
    tests: ["activate-gradient", "dropout-gradient"],
  },
  {
    title: "concatenation, with inputs that several read",
    layers: [
      before,
      { kind: "relu", name: "relu" },
      { kind: "conv2d", name: "left", kernel: 3, channels: 3, padding: 1, from: "relu" },
      { kind: "sigmoid", name: "left sigmoid" },
      { kind: "concat", name: "both", from: ["relu", "left sigmoid", "left sigmoid"] },
      { kind: "tanh", name: "tanh" },
      out,
    ],
    tests: ["take-channels"],
  },
  {
    title: "embedding and mean squared error",
    input: { height: 1, width: 5, channels: 1 },
    layers: [
      { kind: "embedding", name: "embedding", vocabulary: 200, width: 3 },
      { kind: "layer-norm", name: "norm" },
      out,
    ],
    loss: "mean-squared-error",
    tests: ["embedding-gradient"],
  },
];

test.each(CASES)("[E3] Every gradient of the reference is the slope of its loss: $title", (item) => {
  const model: ModelDescription = {
    name: "tiny",
    input: item.input ?? { height: 5, width: 6, channels: 2 },
    classes: CLASSES,
    layers: item.layers,
    ...(item.loss && { loss: item.loss }),
  };
  const plan = compilePlan(model, {
    batch: BATCH,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.4], deviation: [0.3] },
    ...item.options,
  });
  expect(plan.backward.map(({ kind }) => kind)).toEqual(expect.arrayContaining([...item.tests]));
  const random = new Random(31);
  const images = Uint8Array.from({ length: EXAMPLES * elementsOf(model.input) }, () => random.below(256));
  const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(CLASSES));
  const start = initialParameters(plan.layout, 5).map((value) => value + 0.1 * random.normal());
  const trainer = new ReferenceTrainer(plan, images, labels, start);
  const examples = Uint32Array.of(5, 0, 3, 2);
  const gradient = trainer.gradientStep(examples).gradient.slice();
  const { parameters, tensors } = trainer.memory;
  trainer.memory.draw = 0;
  const loss = (): number => {
    for (const operation of plan.forward) runOperation(operation, trainer.memory);
    return tensors[plan.losses]!.reduce((sum, value) => sum + value, 0) / BATCH;
  };
  const wrong: string[] = [];
  const unmoved: string[] = [];
  for (const { name, offset, elements } of plan.layout.tensors) {
    if (offset >= plan.layout.trainableElements) continue;
    let largest = 0;
    for (let index = offset; index < offset + elements; index++) {
      const kept = parameters[index]!;
      parameters[index] = kept + STEP;
      const above = loss();
      parameters[index] = kept - STEP;
      const below = loss();
      parameters[index] = kept;
      const slope = (above - below) / (2 * STEP);
      // Losses near 1 carry 1e-16 of rounding, over a step of 1e-5; third derivatives add step^2 / 6 of themselves.
      if (!(Math.abs(slope - gradient[index]!) < 1e-8)) {
        wrong.push(`${name} at ${index - offset}: ${gradient[index]} instead of ${slope}`);
      }
      largest = Math.max(largest, Math.abs(slope));
    }
    // A batch norm takes away what a bias before it adds.
    if (!(largest > 1e-4)) unmoved.push(name);
  }
  expect(wrong).toEqual([]);
  expect(unmoved.filter((name) => name !== "before.bias")).toEqual([]);
});
