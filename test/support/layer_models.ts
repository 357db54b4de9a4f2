/** Small models that between them contain every kind of layer, with few enough weights to probe them all. */

import type { OperationKind } from "../../shared/engine/operation.ts";
import { compilePlan, type Plan, type PlanOptions } from "../../shared/engine/plan.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type Layer, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";

export const LAYER_MODEL_BATCH = 4;
const EXAMPLES = 6;
const CLASSES = 3;

export interface LayerModel {
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

export const LAYER_MODELS: readonly LayerModel[] = [
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

/** A plan for the model, a data set and a start off the zeros. */
export function madeOf(
  item: LayerModel,
  options: Partial<PlanOptions> = {},
): { plan: Plan; images: Uint8Array; labels: Uint8Array; start: Float32Array } {
  const model: ModelDescription = {
    name: "tiny",
    input: item.input ?? { height: 5, width: 6, channels: 2 },
    classes: CLASSES,
    layers: item.layers,
    ...(item.loss && { loss: item.loss }),
  };
  const plan = compilePlan(model, {
    batch: LAYER_MODEL_BATCH,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.4], deviation: [0.3] },
    ...item.options,
    ...options,
  });
  const random = new Random(31);
  const images = Uint8Array.from({ length: EXAMPLES * elementsOf(model.input) }, () => random.below(256));
  const labels = Uint8Array.from({ length: EXAMPLES }, () => random.below(CLASSES));
  const start = initialParameters(plan.layout, 5).map((value) => value + 0.1 * random.normal());
  return { plan, images, labels, start };
}
