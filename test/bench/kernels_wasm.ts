/**
 * A training step on the WASM backend, operation by operation: `node test/bench/kernels_wasm.ts [--model lenet] [--batch 64]
 * [--plain] [--json]`. Medians over rounds in which every operation runs once, so that a neighbour's load meets all alike, and
 * the best of them, which says more where there are neighbours.
 */

import { parseArgs } from "node:util";
import type { Operation } from "../../shared/engine/operation.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { invocationsOf } from "../../shared/engine/wasm/invocations.ts";
import { instantiate, invoke, type Instance, type Invocation } from "../../shared/engine/wasm/kernels.ts";
import { MemoryMap } from "../../shared/engine/wasm/memory_map.ts";
import { updateInvocations } from "../../shared/engine/wasm/update_invocations.ts";
import { webAssembly } from "../../shared/engine/wasm/webassembly.ts";
import { isModelName, MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const ROUNDS = 40;
/** Until then V8 has compiled every kernel with its optimiser, in a thread that a busy machine holds up. */
const WARM_UP_MS = 3000;
const EXAMPLES = 1024;

interface Measured {
  readonly operation: string;
  /** Median. */
  readonly ms: number;
  readonly bestMs: number;
  /** At the best. Absent where the operation is not made of products. */
  readonly gflops: number | undefined;
}

/** Multiplications and additions of an operation. */
function flopsOf(operation: Operation): number {
  if ("window" in operation && operation.kind.startsWith("convolve")) {
    const { batch, input, output, size, groups } = operation.window;
    return (2 * batch * output.height * output.width * output.channels * size * size * input.channels) / groups;
  }
  return "units" in operation ? 2 * operation.batch * operation.inputs * operation.units : 0;
}

interface Timed {
  readonly name: string;
  readonly flops: number;
  readonly invocations: readonly Invocation[];
  readonly timesMs: number[];
}

function timedOperations(plan: Plan, map: MemoryMap): Timed[] {
  const timed = [...plan.forward, ...plan.backward].map((operation) => ({
    name: `${operation.kind}${"name" in operation ? ` ${operation.name}` : ""}`,
    flops: flopsOf(operation),
    invocations: invocationsOf(operation, map),
    timesMs: [],
  }));
  return [...timed, { name: "update", flops: 0, invocations: updateInvocations(map), timesMs: [] }];
}

async function measure(
  model: ModelDescription,
  batch: number,
  variant: keyof typeof WASM_MODULES,
): Promise<Measured[]> {
  const plan = compilePlan(model, {
    batch,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.1307], deviation: [0.3081] },
  });
  const map = new MemoryMap(plan);
  const timed = timedOperations(plan, map);
  const instance = await instantiate(await webAssembly.compile(WASM_MODULES[variant]), map);
  load(instance, map);
  const steps: number[] = [];
  const warmAt = performance.now() + WARM_UP_MS;
  for (let round = 0; steps.length < ROUNDS; round++) {
    new Uint32Array(instance.memory, map.examples, batch).set(
      Uint32Array.from({ length: batch }, (_, row) => (round * batch + row) % EXAMPLES),
    );
    const begin = performance.now();
    const warm = begin > warmAt;
    for (const { invocations, timesMs } of timed) {
      const start = performance.now();
      invoke(instance, invocations);
      if (warm) timesMs.push(performance.now() - start);
    }
    if (warm) steps.push(performance.now() - begin);
  }
  const flops = timed.reduce((sum, operation) => sum + operation.flops, 0);
  return [...timed.map((one) => summary(one.name, one.timesMs, one.flops)), summary("step", steps, flops)];
}

/** MNIST's bytes, whatever the model's image shape and classes: they are only to be calculated with. */
function load(instance: Instance, map: MemoryMap): void {
  const { layout, model } = map.plan;
  const imageBytes = new Uint8Array(instance.memory, map.images, EXAMPLES * elementsOf(model.input));
  new Float32Array(instance.memory, map.settings, 6).set([0.01, 0.9, 5e-4, 1, 1, 1]);
  const { images, labels } = mnistExamples(EXAMPLES);
  new Uint8Array(instance.memory, map.labels, labels.length).set(labels);
  for (let index = 0; index < imageBytes.length; index++) imageBytes[index] = images[index % images.length]!;
  new Float32Array(instance.memory, map.parameters, layout.elements).set(initialParameters(layout, 1));
}

function summary(operation: string, timesMs: readonly number[], flops: number): Measured {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const ms = sorted[Math.floor(sorted.length / 2)]!;
  const bestMs = sorted[0]!;
  return { operation, ms, bestMs, gflops: flops === 0 ? undefined : flops / bestMs / 1e6 };
}

/** The convolution of which engines.md has the other engines' times: 3x3, 64 to 64 channels, 32x32, at batch 16. */
const CONVOLUTION_64: ModelDescription = {
  name: "convolution",
  input: { height: 32, width: 32, channels: 1 },
  classes: 10,
  layers: [
    { kind: "conv2d", name: "before", kernel: 1, channels: 64 },
    { kind: "conv2d", name: "conv 64", kernel: 3, channels: 64, padding: 1, bias: false },
    { kind: "global-average-pool", name: "pool" },
    { kind: "dense", name: "fc", units: 10 },
  ],
};

/** One layer of each kind on 32x32 images with 64 channels, for `--model kinds`. */
const KINDS: ModelDescription = {
  name: "kinds",
  input: { height: 32, width: 32, channels: 1 },
  classes: 10,
  layers: [
    { kind: "conv2d", name: "before", kernel: 1, channels: 64 },
    { kind: "conv2d", name: "depthwise", kernel: 3, channels: 64, padding: 1, groups: 64 },
    { kind: "conv2d", name: "1x1", kernel: 1, channels: 64 },
    { kind: "conv2d", name: "dilated", kernel: 3, channels: 64, padding: 2, dilation: 2 },
    { kind: "conv2d", name: "groups", kernel: 3, channels: 64, padding: 1, groups: 4 },
    { kind: "gelu", name: "gelu" },
    { kind: "silu", name: "silu" },
    { kind: "dropout", name: "dropout", rate: 0.5 },
    { kind: "tanh", name: "tanh" },
    { kind: "leaky-relu", name: "leaky" },
    { kind: "local-response-norm", name: "response" },
    { kind: "layer-norm", name: "layer norm" },
    { kind: "batch-norm", name: "batch norm" },
    { kind: "max-pool", name: "max 3x3", size: 3, stride: 1, padding: 1 },
    { kind: "average-pool", name: "average 3x3", size: 3, stride: 1, padding: 1 },
    { kind: "conv2d", name: "depthwise by 2", kernel: 3, channels: 64, padding: 1, stride: 2, groups: 64 },
    { kind: "conv2d", name: "1x1 by 2", kernel: 1, channels: 64, stride: 2 },
    { kind: "global-average-pool", name: "global" },
    { kind: "dense", name: "fc", units: 10 },
  ],
};

/** A dense layer whose three passes are products of square matrices. */
function square(side: number): ModelDescription {
  return {
    name: "gemm",
    input: { height: 1, width: side, channels: 1 },
    classes: side,
    layers: [
      { kind: "dense", name: "before", units: side },
      { kind: "dense", name: `gemm ${side}`, units: side },
    ],
  };
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    plain: { type: "boolean" },
    batch: { type: "string", default: "64" },
    model: { type: "string", default: "lenet" },
  },
});
const variant = values.plain ? "plain" : "relaxed";
const description = values.model === KINDS.name ? KINDS : isModelName(values.model) && MODELS[values.model];
if (!description)
  throw new Error(`There is no model "${values.model}"; there are ${Object.keys(MODELS).join(", ")} and kinds.`);
const model = await measure(description, Number(values.batch), variant);
const probes = [
  ...(await measure(square(512), 512, variant)),
  ...(await measure(square(1024), 1024, variant)),
  ...(await measure(CONVOLUTION_64, 16, variant)),
];
const results = [...model, ...probes.filter(({ operation }) => / (gemm|conv) \d+$/.test(operation))];
if (values.json) {
  process.stdout.write(`${JSON.stringify({ model: values.model, variant, results })}\n`);
} else {
  for (const { operation, ms, bestMs, gflops } of results) {
    const rate = gflops === undefined ? "" : `${gflops.toFixed(1)} GFLOP/s`;
    process.stdout.write(
      `${operation.padEnd(52)} ${ms.toFixed(3).padStart(9)} ms, best ${bestMs.toFixed(3).padStart(9)} ms  ${rate}\n`,
    );
  }
}
