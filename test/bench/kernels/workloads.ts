/** What the kernel benchmarks measure: the four workloads of the training benchmark, square products, and one deep convolution. */

import { compilePlan } from "../../../shared/engine/plan.ts";
import { productKey } from "../../../shared/engine/webgpu/choice/candidate.ts";
import { isWeighted, productOf } from "../../../shared/engine/webgpu/products.ts";
import { isModelName, MODELS } from "../../../shared/model/catalogue.ts";
import type { ModelDescription } from "../../../shared/model/model.ts";
import type { NamedProduct, Workload } from "./job.ts";

const BATCHES: Readonly<Record<string, number>> = { mlp: 128, lenet: 64, "cifar-quick": 64, "resnet-20": 32 };
export const WORKLOAD_NAMES = Object.keys(BATCHES);

function batchOf(model: string): number {
  return BATCHES[model] ?? 16;
}

/** A dense layer whose three passes are products of three square matrices. */
function gemm(size: number): Workload {
  const model: ModelDescription = {
    name: `gemm ${size}`,
    input: { height: 1, width: 16, channels: 1 },
    classes: size,
    layers: [
      { kind: "dense", name: "before", units: size },
      { kind: "dense", name: `gemm ${size}`, units: size },
    ],
  };
  return { name: `gemm ${size}`, model, batch: size };
}

/** 3x3, 64 to 64 channels over 32x32 pixels: the convolution that the goals name. */
function deepConvolution(): Workload {
  const conv = { kind: "conv2d", kernel: 3, channels: 64, padding: 1 } as const;
  const model: ModelDescription = {
    name: "conv 64",
    input: { height: 32, width: 32, channels: 1 },
    classes: 2,
    layers: [
      { ...conv, name: "before" },
      { ...conv, name: "conv 64" },
      { kind: "global-average-pool", name: "pool" },
      { kind: "dense", name: "fc", units: 2 },
    ],
  };
  return { name: "conv 64", model, batch: 16 };
}

/** By name: a model of the catalogue, `gemm N` (also as `gemm-N`), or `conv-64`. Undefined where there is none. */
export function workloadNamed(name: string, batch: number | undefined): Workload | undefined {
  const square = /^gemm[- ](\d+)$/.exec(name);
  if (square) return gemm(Number(square[1]));
  if (name === "conv-64") return deepConvolution();
  if (!isModelName(name)) return undefined;
  return { name, model: MODELS[name], batch: batch ?? batchOf(name) };
}

/** The distinct products of a workload's step, each under the name of the first layer that needs it. */
export function productsOf({ model, batch }: Workload): NamedProduct[] {
  const plan = compilePlan(model, { batch, datasetExamples: batch, normalisation: { mean: [0], deviation: [1] } });
  const found = new Map<string, NamedProduct>();
  for (const operation of [...plan.forward, ...plan.backward]) {
    if (!isWeighted(operation)) continue;
    const product = productOf(operation);
    const key = productKey(product);
    if (!found.has(key)) found.set(key, { name: `${operation.name} ${product.pass}`, ...product });
  }
  return [...found.values()];
}

const PASSES = ["forward", "data-gradient", "filter-gradient"] as const;

/** `BATCHxHEIGHTxWIDTHxCHANNELS-KERNELxFILTERS`, such as 16x32x32x64-3x64, padded to keep the size; all three passes. */
export function productsOfShape(shape: string): NamedProduct[] | undefined {
  const found = /^(\d+)x(\d+)x(\d+)x(\d+)-(\d+)x(\d+)$/.exec(shape)?.slice(1).map(Number);
  if (!found || found.some((value) => value < 1)) return undefined;
  const [batch, height, width, channels, size, filters] = found as [number, number, number, number, number, number];
  if (size % 2 === 0) return undefined;
  const window = {
    batch,
    input: { height, width, channels },
    output: { height, width, channels: filters },
    size,
    stride: 1,
    padding: (size - 1) / 2,
    dilation: 1,
    groups: 1,
  };
  return PASSES.map((pass) => ({ name: `${shape} ${pass}`, pass, window }));
}

/** Caffe con Troll's question: the same convolution with input channels over output channels from 1/32 to 32. */
export function sweepOfChannels(batch: number): NamedProduct[] {
  return [
    [2, 64],
    [4, 64],
    [8, 64],
    [16, 64],
    [32, 64],
    [64, 64],
    [64, 32],
    [64, 16],
    [64, 8],
    [64, 4],
    [64, 2],
  ].map(([channels, filters]) => ({
    name: `${channels} to ${filters} channels`,
    pass: "forward",
    window: {
      batch,
      input: { height: 14, width: 14, channels: channels! },
      output: { height: 12, width: 12, channels: filters! },
      size: 3,
      stride: 1,
      padding: 0,
      dilation: 1,
      groups: 1,
    },
  }));
}
