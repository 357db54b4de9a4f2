/**
 * What TensorFlow.js says about a plan's model: the losses of several steps, and loss and gradient of one. On its CPU backend
 * a step of LeNet takes 0.7 s an image; on its WASM backend (`tfjs_wasm.ts`) 20 ms (2-core Xeon 2.5 GHz, 2026-11-21).
 */

import * as tf from "@tensorflow/tfjs";
import type { StepSettings } from "../../shared/engine/backend.ts";
import { channelValue, type Plan } from "../../shared/engine/plan.ts";
import { elementsOf, inferShapes, readsTokens } from "../../shared/model/model.ts";
import { composedConvolution } from "./tfjs_convolution.ts";
import { composedMaxPool } from "./tfjs_layers.ts";
import { TfjsModel, type TfjsBatch } from "./tfjs_model.ts";

/** `wasm` must have been made known by importing `tfjs_wasm.ts`. */
export type OracleBackend = "cpu" | "wasm";

export interface OracleData {
  /** What `Program.writeParameters` was given. */
  readonly parameters: Float32Array;
  /** What `Program.loadExamples` was given, from example 0 on. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

export interface OracleRun extends OracleData {
  /** One batch of example numbers for each step. */
  readonly batches: readonly Uint32Array[];
  readonly settings: StepSettings;
}

/** The mean loss of each step's batch, before its heavy-ball update. */
export async function tfjsLosses(plan: Plan, run: OracleRun, backend: OracleBackend = "cpu"): Promise<number[]> {
  const model = await opened(plan, run, backend);
  const velocities = new Map<string, tf.Tensor>(
    [...model.variables].map(([name, value]) => [name, tf.zerosLike<tf.Tensor>(value)]),
  );
  const losses: number[] = [];
  for (const [draw, examples] of run.batches.entries()) {
    const batch = batchOf(plan, run, examples);
    const { loss, gradients } = model.gradients(batch, draw);
    losses.push((await loss.data())[0]!);
    for (const [name, variable] of model.variables) {
      const velocity = velocities.get(name)!;
      const next = heavyBall(variable, velocity, gradients.get(name)!, run.settings);
      velocities.set(name, next);
      tf.tidy(() => variable.assign(tf.add(variable, next)));
      velocity.dispose();
    }
    dispose([loss, ...gradients.values(), batch.inputs, batch.targets]);
  }
  dispose([...velocities.values()]);
  model.dispose();
  return losses;
}

export interface OracleGradient {
  readonly meanLoss: number;
  /** Of the layout's `elements`; zero in gaps and for running statistics. */
  readonly gradient: Float32Array<ArrayBuffer>;
}

/** The first step's loss and gradient, on `examples`. */
export async function tfjsGradients(
  plan: Plan,
  data: OracleData,
  examples: Uint32Array,
  backend: OracleBackend = "cpu",
): Promise<OracleGradient> {
  const model = await opened(plan, data, backend);
  const batch = batchOf(plan, data, examples);
  const { loss, gradients } = model.gradients(batch, 0);
  const gradient = new Float32Array(plan.layout.elements);
  for (const { name, offset } of plan.layout.tensors) {
    const values = await gradients.get(name)?.data();
    if (values) gradient.set(values, offset);
  }
  const [meanLoss] = await loss.data();
  dispose([loss, ...gradients.values(), batch.inputs, batch.targets]);
  model.dispose();
  return { meanLoss: meanLoss!, gradient };
}

async function opened(plan: Plan, { parameters }: OracleData, backend: OracleBackend): Promise<TfjsModel> {
  const { cropPadding, flip } = plan.augmentation;
  if (cropPadding > 0 || flip || plan.microBatches > 1) {
    throw new Error("TensorFlow.js is not asked about augmentation and split batches.");
  }
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend "${backend}" here.`);
  await tf.ready();
  const composed = { convolution: composedConvolution, maxPool: composedMaxPool };
  const ways = backend === "wasm" ? composed : {};
  return new TfjsModel(plan.model, plan.layout, parameters, { ...ways, seed: plan.seed });
}

function batchOf({ model, normalisation }: Plan, { images, labels }: OracleData, examples: Uint32Array): TfjsBatch {
  const { height, width, channels } = model.input;
  const elements = elementsOf(model.input);
  const tokens = readsTokens(inferShapes(model));
  const values = new Float32Array(examples.length * elements);
  for (const [row, example] of examples.entries()) {
    for (let index = 0; index < elements; index++) {
      const byte = images[example * elements + index]!;
      const mean = channelValue(normalisation.mean, index % channels);
      const deviation = channelValue(normalisation.deviation, index % channels);
      values[row * elements + index] = tokens ? byte : (byte / 255 - mean) / deviation;
    }
  }
  const targets = new Float32Array(examples.length * model.classes);
  for (const [row, example] of examples.entries()) targets[row * model.classes + labels[example]!] = 1;
  return {
    inputs: tf.tensor4d(values, [examples.length, height, width, channels]),
    targets: tf.tensor2d(targets, [examples.length, model.classes]),
  };
}

function heavyBall(
  parameters: tf.Tensor,
  velocity: tf.Tensor,
  gradient: tf.Tensor,
  { learningRate, momentum, weightDecay }: StepSettings,
): tf.Tensor {
  return tf.tidy(() => velocity.mul(momentum).sub(gradient.add(parameters.mul(weightDecay)).mul(learningRate)));
}

function dispose(tensors: readonly tf.Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
