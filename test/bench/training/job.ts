/**
 * What the conductor of the training benchmark (`conductor.ts`) and its contestants say to each other: JSON over one
 * WebSocket for each contestant, which runs in a Web Worker of its own or, in Node, in a process of its own.
 */

import type { ModelDescription } from "../../../shared/model/model.ts";

/** Which engine on which backend. Those called Drove's are ours. */
export const CONTESTANTS = {
  "drove-webgpu": { engine: "drove", backend: "webgpu" },
  "drove-wasm": { engine: "drove", backend: "wasm" },
  tfjs: { engine: "tfjs", backend: "webgpu" },
  jax: { engine: "jax", backend: "webgpu" },
  "tfjs-wasm": { engine: "tfjs", backend: "wasm" },
  "tfjs-webgl": { engine: "tfjs", backend: "webgl" },
  "tfjs-cpu": { engine: "tfjs", backend: "cpu" },
  "jax-wasm": { engine: "jax", backend: "wasm" },
  convnetjs: { engine: "convnetjs", backend: "cpu" },
} as const;

export type ContestantName = keyof typeof CONTESTANTS;
export type BackendName = (typeof CONTESTANTS)[ContestantName]["backend"];

export function isContestantName(name: string): name is ContestantName {
  return Object.hasOwn(CONTESTANTS, name);
}

/** Work that is the same for all. */
export interface Job {
  readonly workload: string;
  readonly model: ModelDescription;
  readonly batch: number;
  /** Batches follow each other in the order of the data and begin again after the last whole one. */
  readonly examples: number;
  /** One value a channel. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly learningRate: number;
  readonly momentum: number;
  /** Of the initial parameters. */
  readonly seed: number;
}

export interface JobData {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly parameters: Float32Array;
}

export type ToContestant =
  | { readonly kind: "prepare"; readonly contestant: ContestantName; readonly job: Job }
  /** Steps on the next batches, then a wait until all is done. */
  | { readonly kind: "steps"; readonly count: number }
  /** Choose kernels by measuring, for so long; engines without such a thing answer at once. */
  | { readonly kind: "tune"; readonly budgetMs: number };

export type FromContestant =
  | { readonly kind: "prepared"; readonly device: string; readonly compileMs: number | null }
  | { readonly kind: "done"; readonly ms: number; readonly loss: number }
  | { readonly kind: "tuned"; readonly ms: number | null; readonly speedup: number | null }
  | { readonly kind: "failed"; readonly sentence: string };

/** From the conductor to the page that holds the workers. */
export interface ToPage {
  readonly kind: "start" | "end";
  readonly id: number;
}

/** An engine with a model and data in it. */
export interface Contestant {
  /** What computes, in words. */
  readonly device: string;
  /** What compiling took, where an engine compiles before its first step; else null. */
  readonly compileMs: number | null;
  /** Starts a step on the batch that begins at example `first`; what it gives is awaited. */
  step(first: number): Promise<void> | void;
  /** The last step's loss; resolves when everything has been done, the update of the parameters included. */
  loss(): Promise<number>;
  /** Left out where an engine has nothing to tune. Gives the old kernels' time over the new ones'. */
  tune?(budgetMs: number): Promise<number>;
}

/** Rejects with a sentence where the engine cannot train the model. */
export type Prepare = (backend: BackendName, job: Job, data: JobData) => Promise<Contestant>;

/** The examples as engines with floats take them: (byte / 255 - mean) / deviation, NHWC or NCHW. */
export function normalisedImages(job: Job, images: Uint8Array, order: "nhwc" | "nchw"): Float32Array<ArrayBuffer> {
  const { height, width, channels } = job.model.input;
  const pixels = height * width;
  const values = new Float32Array(images.length);
  for (let index = 0; index < images.length; index++) {
    const channel = index % channels;
    const pixel = Math.floor(index / channels) % pixels;
    const image = Math.floor(index / (pixels * channels));
    const value = (images[index]! / 255 - job.mean[channel]!) / job.deviation[channel]!;
    values[order === "nhwc" ? index : (image * channels + channel) * pixels + pixel] = value;
  }
  return values;
}

/** [examples, classes], one-hot. */
export function oneHot(job: Job, labels: Uint8Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(labels.length * job.model.classes);
  for (const [row, label] of labels.entries()) values[row * job.model.classes + label] = 1;
  return values;
}
