import { expect, test, describe } from "vitest";
import { compilePlan, type PlanOptions } from "../../shared/engine/plan.ts";
import { invocationsOf } from "../../shared/engine/wasm/invocations.ts";
import { instantiate, invoke } from "../../shared/engine/wasm/kernels.ts";
import { MemoryMap } from "../../shared/engine/wasm/memory_map.ts";
import { webAssembly } from "../../shared/engine/wasm/webassembly.ts";
import type { Layer, ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";
import { wasmMismatch } from "../support/wasm_operation.ts";

/** Operations are compared one at a time: every input random, every output poisoned, in the program's own memory. */
interface Case {
  readonly title: string;
  readonly batch: number;
  readonly model: ModelDescription;
  readonly options?: Partial<PlanOptions>;
}

const CLASSES = 7;

function convolutionCase(
  batch: number,
  size: readonly [height: number, width: number],
  inChannels: number,
  kernel: number,
  channels: number,
  stride: number,
  padding: number,
): Case {
  return {
    title: `convolution ${size.join("x")}x${inChannels} to ${channels}, kernel ${kernel}, stride ${stride}, padding ${padding}, batch ${batch}`,
    batch,
    model: {
      name: "convolution",
      input: { height: size[0], width: size[1], channels: 2 },
      classes: CLASSES,
      layers: [
        // The first layer gives the second its input channels and a relu to undo.
        { kind: "conv2d", name: "before", kernel: 1, channels: inChannels },
        { kind: "relu", name: "relu before" },
        { kind: "conv2d", name: "conv", kernel, channels, stride, padding },
        ...(channels % 2 === 0 ? ([{ kind: "relu", name: "relu" }] as const) : []),
        { kind: "dense", name: "out", units: CLASSES },
      ],
    },
  };
}

function poolCase(batch: number, side: number, channels: number, size: number, stride: number, relu: boolean): Case {
  return {
    title: `max-pool ${side}x${side}x${channels}, size ${size}, stride ${stride}, batch ${batch}`,
    batch,
    model: {
      name: "pool",
      input: { height: side, width: side, channels: 1 },
      classes: CLASSES,
      layers: [
        { kind: "conv2d", name: "before", kernel: 1, channels },
        ...(relu ? ([{ kind: "relu", name: "relu before" }] as const) : []),
        { kind: "max-pool", name: "pool", size, stride },
        ...(relu ? [] : ([{ kind: "relu", name: "relu" }] as const)),
        { kind: "dense", name: "out", units: CLASSES },
      ],
    },
  };
}

function denseCase(batch: number, inputs: number, units: number): Case {
  return {
    title: `dense ${inputs} to ${units}, batch ${batch}`,
    batch,
    model: {
      name: "dense",
      input: { height: 1, width: inputs, channels: 1 },
      classes: units,
      layers: [
        { kind: "dense", name: "before", units: inputs },
        { kind: "relu", name: "relu before" },
        { kind: "dense", name: "dense", units },
      ],
    },
  };
}

/** Layers after a convolution that gives them `channels` channels of `height` x `width` pixels. */
function layersCase(
  title: string,
  batch: number,
  [height, width, channels]: readonly [number, number, number],
  layers: readonly Layer[],
  more: Partial<ModelDescription> & { readonly options?: Partial<PlanOptions> } = {},
): Case {
  const { options, ...model } = more;
  return {
    title: `${title}, ${height}x${width}x${channels}, batch ${batch}`,
    batch,
    model: {
      name: "layers",
      input: { height, width, channels: 2 },
      classes: CLASSES,
      layers: [
        { kind: "conv2d", name: "before", kernel: 1, channels },
        ...layers,
        { kind: "dense", name: "out", units: CLASSES },
      ],
      ...model,
    },
    ...(options && { options }),
  };
}

const FUSED = [
  { kind: "relu", name: "a" },
  { kind: "leaky-relu", name: "a", slope: 0.2 },
  { kind: "tanh", name: "a" },
  { kind: "sigmoid", name: "a" },
] as const satisfies readonly Layer[];

function convolutionLayer(
  name: string,
  [kernel, channels, stride, padding, dilation, groups]: readonly [number, number, number, number, number, number],
  bias = true,
): Layer {
  return { kind: "conv2d", name, kernel, channels, stride, padding, dilation, groups, bias };
}

/** Every layer that an activation is fused into, and the undoing of it in what comes before. */
const FUSED_CASES = FUSED.map((activation) =>
  layersCase(
    `everything that ends or begins with a fused ${activation.kind}`,
    3,
    [9, 7, 6],
    [
      { ...activation, name: "a1" },
      convolutionLayer("conv", [3, 10, 2, 1, 1, 2]),
      { ...activation, name: "a2" },
      { kind: "max-pool", name: "max", size: 2, stride: 1 },
      { ...activation, name: "a3" },
      { kind: "average-pool", name: "average", size: 3, stride: 2, padding: 1, ceil: true },
      { ...activation, name: "a4" },
      { kind: "batch-norm", name: "norm1" },
      { ...activation, name: "a5" },
      { kind: "layer-norm", name: "norm2" },
      { ...activation, name: "a6" },
      { kind: "add", name: "sum", from: ["a6", "a5"] },
      { ...activation, name: "a7" },
      { kind: "dense", name: "dense", units: 11, bias: false },
      { ...activation, name: "a8" },
      { kind: "gelu", name: "gelu" },
      { kind: "dense", name: "dense2", units: 5 },
      { ...activation, name: "a9" },
      { kind: "dropout", name: "drop", rate: 0.3 },
    ],
  ),
);

/** Gradients that add to another's and undo what lies before them: everything reads "a". */
const SHARED_CASES = FUSED.map((activation) =>
  layersCase(
    `gradients that add to each other, ${activation.kind}`,
    2,
    [4, 3, 5],
    [
      activation,
      { ...convolutionLayer("conv", [3, 5, 1, 1, 1, 1]), from: "a" },
      { ...convolutionLayer("deep", [3, 5, 1, 1, 1, 5]), from: "a" },
      { kind: "max-pool", name: "max", size: 3, stride: 1, padding: 1, from: "a" },
      { kind: "average-pool", name: "average", size: 3, stride: 1, padding: 1, from: "a" },
      { kind: "batch-norm", name: "norm1", from: "a" },
      { kind: "layer-norm", name: "norm2", from: "a" },
      { kind: "local-response-norm", name: "norm3", size: 3, alpha: 0.5, beta: 0.6, from: "a" },
      { kind: "gelu", name: "gelu", from: "a" },
      { kind: "dropout", name: "drop", rate: 0.4, from: "a" },
      { kind: "add", name: "twice", from: ["a", "a"] },
      { kind: "concat", name: "joined", from: ["conv", "a", "deep", "max", "average", "norm1", "norm2", "norm3"] },
      { kind: "global-average-pool", name: "global", from: "a" },
      { kind: "dense", name: "fc1", units: 9, from: "a" },
      { kind: "dense", name: "fc2", units: 9, from: "global" },
      { kind: "dense", name: "fc3", units: 9, from: "joined" },
      { kind: "dense", name: "fc4", units: 9, from: "gelu" },
      { kind: "dense", name: "fc5", units: 9, from: "drop" },
      { kind: "dense", name: "fc6", units: 9, from: "twice" },
      { kind: "concat", name: "all", from: ["fc1", "fc2", "fc3", "fc4", "fc5", "fc6"] },
    ],
  ),
);

const CONVOLUTIONS: readonly (readonly [number, number, number, number, number, number])[] = [
  [3, 12, 1, 1, 1, 6],
  [3, 6, 1, 1, 1, 6],
  [3, 6, 2, 1, 1, 6],
  [5, 6, 1, 4, 2, 6],
  [3, 9, 1, 2, 2, 1],
  [2, 4, 3, 1, 2, 2],
  [3, 5, 2, 0, 3, 1],
  [1, 13, 2, 0, 1, 1],
  [1, 6, 2, 0, 1, 6],
  [4, 8, 3, 2, 1, 2],
  [3, 8, 4, 1, 2, 1],
];

const LAYER_CASES: readonly Case[] = [
  ...CONVOLUTIONS.map((numbers, index) =>
    layersCase(
      `convolution with kernel, channels, stride, padding, dilation, groups ${numbers.join(", ")}`,
      2,
      [9, 8, 6],
      [FUSED[index % 4]!, convolutionLayer("conv", numbers, index % 3 === 0)],
    ),
  ),
  ...FUSED_CASES,
  ...SHARED_CASES,
  ...[1, 4, 7, 18].flatMap((channels) => [
    layersCase(
      "batch norm, residual, global pool",
      3,
      [5, 3, channels],
      [
        { kind: "batch-norm", name: "norm" },
        { kind: "relu", name: "block" },
        convolutionLayer("conv", [3, channels, 1, 1, 1, 1], false),
        { kind: "batch-norm", name: "norm2", epsilon: 1e-3, momentum: 0.6 },
        { kind: "add", name: "sum", from: ["norm2", "block"] },
        FUSED[channels % 4]!,
        { kind: "global-average-pool", name: "global" },
      ],
    ),
    layersCase(
      "layer norm, local response norm",
      2,
      [3, 3, channels],
      [
        { kind: "layer-norm", name: "norm" },
        { kind: "relu", name: "relu" },
        { kind: "local-response-norm", name: "response", alpha: 0.9 },
        { kind: "local-response-norm", name: "response 3", size: 3, alpha: 0.9, beta: 1.3, k: 2 },
        { kind: "local-response-norm", name: "response 7", size: 7, alpha: 0.2, beta: 0.75, k: 2 },
      ],
    ),
    layersCase(
      "pools",
      3,
      [8, 7, channels],
      [
        { kind: "relu", name: "relu" },
        { kind: "max-pool", name: "max1", size: 3, stride: 2, padding: 1, ceil: true },
        convolutionLayer("conv", [1, channels, 1, 0, 1, 1]),
        { kind: "average-pool", name: "average", size: 2, stride: 2, ceil: true },
        { kind: "tanh", name: "tanh" },
        { kind: "max-pool", name: "max2", size: 2, stride: 2, padding: 1 },
      ],
    ),
    layersCase(
      "activations with inputs of their own, dropout",
      3,
      [3, 3, channels],
      [
        { kind: "gelu", name: "gelu" },
        { kind: "silu", name: "silu" },
        { kind: "dropout", name: "drop1", rate: 0.5 },
        { kind: "tanh", name: "tanh" },
        { kind: "sigmoid", name: "sigmoid" },
        { kind: "leaky-relu", name: "leaky" },
        { kind: "dropout", name: "drop2", rate: 0.123 },
        { kind: "relu", name: "relu" },
      ],
      { options: { seed: 4_123_456_789 } },
    ),
  ]),
  layersCase("mean squared error of a part of a batch", 4, [4, 4, 3], [{ kind: "relu", name: "relu" }], {
    loss: "mean-squared-error",
    options: { microBatches: 2 },
  }),
  layersCase("cross-entropy of a part of a batch", 6, [4, 4, 3], [], { options: { microBatches: 3 } }),
  ...[
    { cropPadding: 2, flip: true },
    { cropPadding: 0, flip: true },
    { cropPadding: 3, flip: false },
  ].map((augmentation) =>
    layersCase(`augmentation ${JSON.stringify(augmentation)}`, 9, [7, 9, 1], [], {
      options: { augmentation, seed: 99, normalisation: { mean: [0.3, 0.5], deviation: [0.2, 0.7] } },
    }),
  ),
  layersCase("normalisation by channel", 5, [3, 11, 3], [], {
    input: { height: 3, width: 11, channels: 3 },
    options: { normalisation: { mean: [0.3, 0.5, 0.1], deviation: [0.2, 0.7, 1.2] } },
  }),
  // More than fits the cache at once: several chunks of images, of lines and of rows.
  layersCase(
    "chunks",
    2,
    [31, 31, 20],
    [
      { kind: "tanh", name: "a1" },
      convolutionLayer("conv", [3, 20, 1, 1, 1, 1]),
      { kind: "batch-norm", name: "norm" },
      { kind: "tanh", name: "a2" },
      convolutionLayer("deep", [3, 20, 2, 1, 1, 20]),
      { kind: "batch-norm", name: "norm2" },
      { kind: "relu", name: "a3" },
      { kind: "max-pool", name: "max", size: 3, stride: 2 },
      { kind: "gelu", name: "gelu" },
    ],
  ),
  {
    title: "an embedding",
    batch: 5,
    model: {
      name: "tokens",
      input: { height: 1, width: 7, channels: 1 },
      classes: CLASSES,
      layers: [
        { kind: "embedding", name: "embedding", vocabulary: 19, width: 5 },
        { kind: "layer-norm", name: "norm" },
        { kind: "dense", name: "out", units: CLASSES },
      ],
    },
  },
];

const CASES: readonly Case[] = [
  ...LAYER_CASES,
  convolutionCase(1, [6, 6], 1, 5, 20, 1, 0),
  convolutionCase(3, [5, 7], 2, 3, 16, 1, 1),
  convolutionCase(5, [4, 4], 3, 1, 5, 1, 0),
  convolutionCase(3, [9, 8], 5, 2, 7, 2, 1),
  convolutionCase(1, [7, 7], 7, 3, 1, 2, 2),
  convolutionCase(3, [6, 5], 16, 3, 50, 1, 1),
  convolutionCase(5, [8, 8], 20, 5, 50, 1, 0),
  convolutionCase(1, [11, 6], 50, 3, 3, 3, 2),
  convolutionCase(5, [5, 5], 1, 5, 2, 1, 4),
  convolutionCase(1, [17, 19], 3, 5, 10, 1, 2),
  poolCase(3, 6, 20, 2, 2, true),
  poolCase(1, 7, 5, 2, 2, false),
  poolCase(5, 7, 3, 3, 2, true),
  poolCase(3, 8, 1, 3, 3, false),
  poolCase(1, 6, 7, 2, 1, true),
  poolCase(1, 9, 50, 2, 3, true),
  denseCase(1, 1, 1),
  denseCase(3, 33, 7),
  denseCase(5, 7, 33),
  denseCase(7, 50, 10),
  denseCase(13, 129, 101),
  denseCase(401, 7, 13),
];

describe.each(["plain", "relaxed"] as const)("%s", (variant) => {
  test.each(CASES)(
    "[E2] [E3] Every operation of a $title equals the reference and writes its whole output",
    async (item) => {
      const plan = compilePlan(item.model, {
        batch: item.batch,
        datasetExamples: 9,
        normalisation: { mean: [0.3], deviation: [0.7] },
        ...item.options,
      });
      const random = new Random(item.title.length * 977 + item.batch);
      for (const operation of new Set([...plan.forward, ...plan.backward, ...plan.evaluation])) {
        expect(await wasmMismatch(variant, plan, operation, random)).toBeUndefined();
      }
    },
  );
});

test("No denormal arises from a class that is out of the question", async () => {
  const options = { batch: 1, datasetExamples: 1, normalisation: { mean: [0], deviation: [1] } };
  const plan = compilePlan(denseCase(1, 3, 3).model, options);
  const map = new MemoryMap(plan);
  const loss = plan.forward.find((operation) => operation.kind === "softmax-cross-entropy")!;
  const invocations = invocationsOf(loss, map);
  const instance = await instantiate(await webAssembly.compile(WASM_MODULES.plain), map);
  new Float32Array(instance.memory, map.tensor(loss.outputs), 3).set([95, 0, 94]);
  new Uint32Array(instance.memory, map.stepExamples, 1)[0] = 1;
  invoke(instance, invocations);
  const gradient = new Float32Array(instance.memory, map.tensor(loss.gradient), 3);
  expect(Array.from(gradient, Math.sign)).toEqual([-1, 0, 1]);
});
