/**
 * The training losses of a plan's model as TensorFlow.js computes them on its CPU backend: an independent engine's word on
 * gather, layers, loss, gradients and update at once. It works in Node and in a page; keep the batch small: a step of LeNet
 * takes 0.7 s an image (2-core Xeon 2.5 GHz, 2026-11-21).
 */

import * as tf from "@tensorflow/tfjs";
import type { StepSettings } from "../../shared/engine/backend.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { elementsOf, inferShapes, type ShapedLayer } from "../../shared/model/model.ts";

export interface OracleRun {
  /** What `Program.writeParameters` was given. */
  readonly parameters: Float32Array;
  /** What `Program.loadExamples` was given, from example 0 on. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  /** One batch of example numbers for each step. */
  readonly batches: readonly Uint32Array[];
  readonly settings: StepSettings;
}

/** The mean loss of each step's batch, before its update. */
export async function tfjsLosses(plan: Plan, run: OracleRun): Promise<number[]> {
  await tf.setBackend("cpu");
  await tf.ready();
  const variables = parameterVariables(plan, run.parameters);
  const velocities = new Map<string, tf.Tensor>(
    [...variables].map(([name, value]) => [name, tf.zerosLike<tf.Tensor>(value)]),
  );
  const losses: number[] = [];
  for (const examples of run.batches) {
    const { value, grads } = tf.variableGrads(
      () => meanLoss(plan, variables, batchOf(plan, run, examples)),
      [...variables.values()],
    );
    losses.push((await value.data())[0]!);
    for (const [name, variable] of variables) {
      const velocity = velocities.get(name)!;
      const next = heavyBall(variable, velocity, grads[variable.name]!, run.settings);
      velocities.set(name, next);
      variable.assign(tf.add(variable, next));
      velocity.dispose();
    }
    value.dispose();
    Object.values(grads).forEach((gradient) => gradient.dispose());
  }
  for (const tensor of [...variables.values(), ...velocities.values()]) tensor.dispose();
  return losses;
}

function parameterVariables(plan: Plan, parameters: Float32Array): Map<string, tf.Variable> {
  return new Map(
    plan.layout.tensors.map(({ name, shape, offset, elements }) => {
      const values = tf.tensor(parameters.slice(offset, offset + elements), [...shape]);
      return [name, tf.variable(values)];
    }),
  );
}

interface TfBatch {
  /** [batch, height, width, channels]. */
  readonly images: tf.Tensor4D;
  /** [batch, classes], one-hot. */
  readonly targets: tf.Tensor;
}

function batchOf({ model, normalisation }: Plan, { images, labels }: OracleRun, examples: Uint32Array): TfBatch {
  const { height, width, channels } = model.input;
  const rows = Array.from(examples);
  const elements = height * width * channels;
  const bytes = rows.flatMap((example) => Array.from(images.subarray(example * elements, (example + 1) * elements)));
  const pixels = tf.tensor4d(bytes, [rows.length, height, width, channels], "float32");
  return {
    images: pixels.div(255).sub(normalisation.mean[0]!).div(normalisation.deviation[0]!),
    targets: tf.oneHot(
      tf.tensor1d(
        rows.map((example) => labels[example]!),
        "int32",
      ),
      model.classes,
    ),
  };
}

function meanLoss(plan: Plan, variables: ReadonlyMap<string, tf.Variable>, batch: TfBatch): tf.Scalar {
  let activations: tf.Tensor = batch.images;
  for (const shaped of inferShapes(plan.model)) activations = applyLayer(shaped, variables, activations);
  const logits = activations.reshape([plan.batch, plan.model.classes]);
  return tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(batch.targets, logits);
}

function applyLayer(
  { layer, input: shape }: ShapedLayer,
  variables: ReadonlyMap<string, tf.Variable>,
  input: tf.Tensor,
): tf.Tensor {
  const parameter = (kind: "weights" | "bias"): tf.Variable => variables.get(`${layer.name}.${kind}`)!;
  switch (layer.kind) {
    case "conv2d":
      return tf
        .conv2d(
          input as tf.Tensor4D,
          parameter("weights") as tf.Variable<tf.Rank.R4>,
          layer.stride ?? 1,
          layer.padding ?? 0,
        )
        .add(parameter("bias"));
    case "max-pool":
      return tf.maxPool(input as tf.Tensor4D, layer.size, layer.stride, "valid");
    case "dense":
      return input
        .reshape([-1, elementsOf(shape)])
        .matMul(parameter("weights"))
        .add(parameter("bias"));
    case "relu":
      return tf.relu(input);
    default:
      throw new Error(`The oracle does not know layers of kind ${layer.kind}.`);
  }
}

function heavyBall(
  parameters: tf.Tensor,
  velocity: tf.Tensor,
  gradient: tf.Tensor,
  { learningRate, momentum, weightDecay }: StepSettings,
): tf.Tensor {
  return tf.tidy(() => velocity.mul(momentum).sub(gradient.add(parameters.mul(weightDecay)).mul(learningRate)));
}
