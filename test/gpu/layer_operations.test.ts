import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Operation } from "../../shared/engine/operation.ts";
import { compilePlan, type Plan, type PlanOptions } from "../../shared/engine/plan.ts";
import { isWeighted } from "../../shared/engine/webgpu/products.ts";
import type { Layer } from "../../shared/model/layer.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { TestDevice, type TraitsName } from "./gpu_device.ts";
import { firstWrongOperation } from "./single_operation.ts";

/**
 * Layers without weights, many in one compiled program: each operation that the plan has is run by itself. A 1x1
 * convolution before a layer stands for what has weights; channels that 4 divides take other paths than
 * odd ones. Layers with several readers accumulate, those after a fused activation undo it.
 */
interface Case {
  readonly title: string;
  readonly traits?: TraitsName;
  readonly batch: number;
  readonly input: ModelDescription["input"];
  readonly loss?: ModelDescription["loss"];
  readonly layers: readonly Layer[];
  readonly options?: Partial<PlanOptions>;
}

const CLASSES = 7;

function conv(name: string, channels: number): Layer {
  return { kind: "conv2d", name, kernel: 1, channels };
}

const SMALL = { height: 3, width: 5, channels: 2 };

const CASES: readonly Case[] = [
  {
    title: "batch norms with a residual, 16 channels; images cropped and flipped",
    batch: 3,
    input: { height: 5, width: 7, channels: 3 },
    layers: [
      conv("first", 16),
      { kind: "batch-norm", name: "norm" },
      { kind: "relu", name: "relu" },
      conv("second", 16),
      { kind: "batch-norm", name: "norm 2" },
      { kind: "add", name: "add", from: ["norm 2", "relu"] },
      { kind: "relu", name: "relu 2" },
      { kind: "global-average-pool", name: "pool" },
    ],
    options: {
      normalisation: { mean: [0.3, 0.4, 0.5], deviation: [0.7, 0.8, 0.9] },
      augmentation: { cropPadding: 2, flip: true },
      seed: 77,
    },
  },
  {
    title: "batch norms of 5 channels between activations",
    batch: 3,
    input: { height: 5, width: 7, channels: 3 },
    layers: [
      conv("first", 5),
      { kind: "batch-norm", name: "norm" },
      { kind: "tanh", name: "tanh" },
      conv("second", 5),
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "batch-norm", name: "norm 2" },
      { kind: "leaky-relu", name: "leaky" },
      { kind: "add", name: "add", from: ["leaky", "tanh"] },
      { kind: "leaky-relu", name: "leaky 2", slope: 0.2 },
      { kind: "global-average-pool", name: "pool" },
    ],
    options: { normalisation: { mean: [0.3, 0.4, 0.5], deviation: [0.7, 0.8, 0.9] } },
  },
  ...(["quads", "hardware"] as const).flatMap((traits) =>
    [6, 8].map((channels) => ({
      title: `batch norm of ${channels} channels over more rows than a chunk has`,
      traits,
      batch: 5,
      input: { height: 17, width: 13, channels: 1 },
      layers: [
        conv("first", channels),
        { kind: "batch-norm", name: "norm" },
        { kind: "relu", name: "relu" },
        { kind: "global-average-pool", name: "pool" },
      ] as const,
    })),
  ),
  {
    title: "layer norms",
    batch: 3,
    input: SMALL,
    layers: [
      conv("first", 8),
      { kind: "tanh", name: "tanh" },
      { kind: "layer-norm", name: "norm" },
      { kind: "leaky-relu", name: "leaky" },
      conv("second", 7),
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "layer-norm", name: "norm 2" },
      { kind: "add", name: "add", from: ["norm 2", "sigmoid"] },
      { kind: "layer-norm", name: "norm 3" },
    ],
  },
  {
    title: "local response norms, by vectors and by elements, windows of 3, 5, 9 and 11",
    batch: 3,
    input: SMALL,
    layers: [
      conv("first", 12),
      { kind: "relu", name: "relu" },
      { kind: "local-response-norm", name: "norm", alpha: 0.3, k: 1.2 },
      conv("second", 7),
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "local-response-norm", name: "norm 2", size: 3, alpha: 0.5, beta: 0.6 },
      { kind: "add", name: "add", from: ["norm 2", "sigmoid"] },
      conv("third", 8),
      { kind: "local-response-norm", name: "norm 3", size: 9, alpha: 0.5, beta: 0.75 },
      { kind: "local-response-norm", name: "norm 4", size: 11, alpha: 0.5, beta: 1 },
    ],
  },
  {
    title: "max-pools that overlap, hang over the edge and have padding",
    batch: 3,
    input: { height: 7, width: 6, channels: 1 },
    layers: [
      conv("first", 8),
      { kind: "leaky-relu", name: "leaky" },
      { kind: "max-pool", name: "pool", size: 3, stride: 2, ceil: true },
      { kind: "tanh", name: "tanh" },
      conv("second", 5),
      { kind: "max-pool", name: "pool 2", size: 2, stride: 1, padding: 1 },
    ],
  },
  {
    title: "max-pools that tile; the squared error",
    batch: 3,
    input: { height: 6, width: 6, channels: 1 },
    loss: "mean-squared-error",
    layers: [
      conv("first", 6),
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "max-pool", name: "pool", size: 2, stride: 2 },
      conv("second", 4),
      { kind: "relu", name: "relu" },
      { kind: "max-pool", name: "pool 2", size: 3, stride: 3 },
    ],
  },
  {
    title: "average pools",
    batch: 3,
    input: { height: 7, width: 6, channels: 1 },
    layers: [
      conv("first", 8),
      { kind: "relu", name: "relu" },
      { kind: "average-pool", name: "pool", size: 3, stride: 2, ceil: true },
      { kind: "sigmoid", name: "sigmoid" },
      conv("second", 5),
      { kind: "average-pool", name: "pool 2", size: 3, stride: 1, padding: 1 },
    ],
  },
  {
    title: "pools of all kinds that read one layer",
    batch: 2,
    input: { height: 4, width: 4, channels: 4 },
    layers: [
      conv("first", 8),
      { kind: "tanh", name: "tanh" },
      { kind: "max-pool", name: "largest", size: 2, stride: 1, padding: 1, from: ["tanh"] },
      { kind: "average-pool", name: "mean", size: 2, stride: 1, padding: 1, from: ["tanh"] },
      { kind: "add", name: "add", from: ["largest", "mean"] },
      { kind: "global-average-pool", name: "global", from: ["tanh"] },
      { kind: "global-average-pool", name: "global 2", from: ["add"] },
      { kind: "add", name: "sum", from: ["global", "global 2"] },
    ],
  },
  {
    title: "wide pools with stride 2 that read one layer",
    batch: 2,
    input: { height: 6, width: 5, channels: 2 },
    layers: [
      conv("first", 6),
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "max-pool", name: "largest", size: 5, stride: 2, padding: 2, from: ["sigmoid"] },
      { kind: "average-pool", name: "mean", size: 5, stride: 2, padding: 2, from: ["sigmoid"] },
      { kind: "add", name: "add", from: ["largest", "mean"] },
      { kind: "average-pool", name: "last", size: 2, stride: 2, ceil: true },
    ],
  },
  {
    title: "activations that cannot be fused",
    batch: 3,
    input: SMALL,
    layers: [
      conv("first", 5),
      { kind: "tanh", name: "tanh" },
      { kind: "gelu", name: "gelu" },
      { kind: "silu", name: "silu" },
      { kind: "add", name: "add", from: ["silu", "tanh"] },
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "tanh", name: "tanh 2" },
      { kind: "leaky-relu", name: "leaky" },
      { kind: "relu", name: "relu" },
      { kind: "gelu", name: "gelu 2" },
    ],
  },
  {
    title: "dropout, whose gradient finds its numbers again",
    batch: 3,
    input: SMALL,
    layers: [
      conv("first", 5),
      { kind: "tanh", name: "tanh" },
      { kind: "dropout", name: "drop", rate: 0.3 },
      conv("second", 4),
      { kind: "leaky-relu", name: "leaky" },
      { kind: "dropout", name: "drop 2", rate: 0.5 },
      { kind: "add", name: "add", from: ["drop 2", "leaky"] },
    ],
    options: { seed: 4_000_000_000 },
  },
  {
    title: "concatenations",
    batch: 3,
    input: SMALL,
    layers: [
      conv("first", 8),
      { kind: "tanh", name: "tanh" },
      conv("second", 4),
      { kind: "concat", name: "both", from: ["tanh", "second"] },
      conv("third", 5),
      { kind: "sigmoid", name: "sigmoid" },
      { kind: "concat", name: "all", from: ["tanh", "sigmoid", "both"] },
    ],
  },
  {
    title: "an embedding of tokens",
    batch: 3,
    input: { height: 1, width: 11, channels: 1 },
    layers: [
      { kind: "embedding", name: "words", vocabulary: 13, width: 6 },
      { kind: "layer-norm", name: "norm" },
      { kind: "global-average-pool", name: "pool" },
    ],
  },
];

/** The kernels of layers with weights take long to compile, and have tests of their own. */
function withoutWeights(plan: Plan): Plan {
  const forward = bare(plan.forward);
  const evaluation = plan.evaluation === plan.forward ? forward : bare(plan.evaluation);
  return { ...plan, forward, backward: bare(plan.backward), evaluation };
}

function bare(operations: readonly Operation[]): Operation[] {
  return operations.filter((operation) => !isWeighted(operation));
}

let shared: TestDevice;

beforeAll(async () => {
  shared = await TestDevice.open();
});

afterAll(() => shared.close());

describe("[E2] [E3] Every operation without weights equals the reference and writes its whole output", () => {
  test.each(CASES)("$title", async ({ title, traits, batch, input, loss, layers, options }) => {
    const model: ModelDescription = {
      name: "layers",
      input,
      classes: CLASSES,
      ...(loss ? { loss } : {}),
      layers: [...layers, { kind: "dense", name: "out", units: CLASSES }],
    };
    const normalisation = { mean: [0.3], deviation: [0.7] };
    const plan = withoutWeights(compilePlan(model, { batch, datasetExamples: 9, normalisation, ...options }));
    const program = await shared.compile(plan, traits ?? "quads");
    expect(await firstWrongOperation(shared, program, new Random(title.length))).toBeUndefined();
    program.close();
    expect(shared.errors).toEqual([]);
  });
});
