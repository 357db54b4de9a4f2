/**
 * The layers of Drove's models in TensorFlow.js, in training mode: what `tfjs_model.ts` chains into a whole model. Each
 * function takes activations [batch, height, width, channels] and gives them; TensorFlow.js finds the gradients.
 */

import * as tf from "@tensorflow/tfjs";
import { unitRandom } from "../../shared/engine/dice.ts";
import { LAYER_DEFAULTS, type LayerOf } from "../../shared/model/layer.ts";
import { elementsOf, type ImageShape, type ShapedLayer } from "../../shared/model/model.ts";
import type { Convolution } from "./tfjs_convolution.ts";

/** What the layers of one run share. */
export interface LayerContext {
  /** By their names in the layout. */
  readonly parameters: ReadonlyMap<string, tf.Tensor>;
  readonly convolution: Convolution;
  readonly maxPool: MaxPool;
  /** Of the plan, and how many batches were gathered before this one: dropout's masks follow from them (dice.ts). */
  readonly seed: number;
  readonly draw: number;
}

/** `salt` is the layer's number among those with dropout, from 1 on. */
export function applyLayer(
  { layer, input: shape, output }: ShapedLayer,
  inputs: readonly tf.Tensor4D[],
  context: LayerContext,
  salt: number,
): tf.Tensor4D {
  const input = inputs[0]!;
  const parameter = (kind: string): tf.Tensor | undefined => context.parameters.get(`${layer.name}.${kind}`);
  switch (layer.kind) {
    case "conv2d":
      return withBias(context.convolution(input, parameter("weights") as tf.Tensor4D, layer), parameter("bias"));
    case "max-pool":
      return context.maxPool(input, layer, shape, output);
    case "average-pool":
      return averagePool(input, layer, shape, output);
    case "global-average-pool":
      return tf.mean(input, [1, 2], true);
    case "batch-norm":
      return normalised(input, [0, 1, 2], layer.epsilon ?? LAYER_DEFAULTS.batchNorm.epsilon)
        .mul(parameter("scale")!)
        .add(parameter("shift")!);
    case "layer-norm":
      return normalised(input, [3], layer.epsilon ?? LAYER_DEFAULTS.layerNorm.epsilon)
        .mul(parameter("scale")!)
        .add(parameter("shift")!);
    case "local-response-norm":
      return localResponseNorm(input, layer);
    case "dense": {
      const rows = input.reshape<tf.Tensor2D>([-1, elementsOf(shape)]);
      return withBias(tf.matMul(rows, parameter("weights") as tf.Tensor2D), parameter("bias")).reshape([
        -1,
        1,
        1,
        layer.units,
      ]);
    }
    case "relu":
      return tf.relu(input);
    case "leaky-relu":
      return tf.leakyRelu(input, layer.slope ?? LAYER_DEFAULTS.leakyRelu.slope);
    case "gelu":
      return gelu(input);
    case "silu":
      return input.mul(tf.sigmoid(input));
    case "tanh":
      return tf.tanh(input);
    case "sigmoid":
      return tf.sigmoid(input);
    case "dropout":
      return input.mul(dropoutMask(input.shape, layer.rate, context, salt));
    case "add":
      return tf.add(input, inputs[1]!);
    case "concat":
      return tf.concat([...inputs], 3);
    case "flatten":
      return input.reshape([-1, 1, 1, elementsOf(output)]);
    case "embedding": {
      const tokens = tf.cast(tf.minimum(input.reshape([-1]), layer.vocabulary - 1), "int32");
      // A product with one-hot rows: unlike a gather its gradient exists on every backend.
      const rows = tf.cast<tf.Tensor2D>(tf.oneHot(tokens, layer.vocabulary) as tf.Tensor2D, "float32");
      return tf
        .matMul(rows, parameter("weights") as tf.Tensor2D)
        .reshape([-1, output.height, output.width, output.channels]);
    }
    default:
      return layer satisfies never;
  }
}

function withBias<Kind extends tf.Tensor>(values: Kind, bias: tf.Tensor | undefined): Kind {
  return bias ? values.add(bias) : values;
}

/** Biased variance, of the batch (batch norm) or of each pixel (layer norm). */
function normalised(input: tf.Tensor4D, axes: number[], epsilon: number): tf.Tensor4D {
  const { mean, variance } = tf.moments(input, axes, true);
  return input.sub<tf.Tensor4D>(mean).div(variance.add(epsilon).sqrt());
}

/** alpha is divided by the window's size, as Caffe does and TensorFlow does not. */
function localResponseNorm(input: tf.Tensor4D, layer: LayerOf<"local-response-norm">): tf.Tensor4D {
  const { size, alpha, beta, k } = { ...LAYER_DEFAULTS.localResponseNorm, ...layer };
  return tf.localResponseNormalization(input, (size - 1) / 2, k, alpha / size, beta);
}

function gelu(input: tf.Tensor4D): tf.Tensor4D {
  const inner = input.add(input.square().mul(input).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return input.mul<tf.Tensor4D>(0.5).mul(inner.tanh().add(1));
}

function dropoutMask(shape: readonly number[], rate: number, { seed, draw }: LayerContext, salt: number): tf.Tensor {
  const elements = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: elements }, (_, element) =>
    unitRandom(seed, draw, salt, element) >= rate ? 1 / (1 - rate) : 0,
  );
  return tf.tensor(values, [...shape]);
}

type Pool = LayerOf<"max-pool"> | LayerOf<"average-pool">;

/** How many rows and columns a pool's windows reach beyond each edge of its input: Caffe's pools may hang over the end. */
export function poolPadding(
  { size, stride, padding = 0 }: Pool,
  input: ImageShape,
  output: ImageShape,
): { readonly begin: number; readonly endRows: number; readonly endColumns: number } {
  const end = (places: number, length: number): number => Math.max(0, (places - 1) * stride + size - length - padding);
  return { begin: padding, endRows: end(output.height, input.height), endColumns: end(output.width, input.width) };
}

export type MaxPool = (values: tf.Tensor4D, layer: Pool, input: ImageShape, output: ImageShape) => tf.Tensor4D;

/** TensorFlow.js's own kernels. */
export const nativeMaxPool: MaxPool = (values, layer, input, output) => {
  const { begin, endRows, endColumns } = poolPadding(layer, input, output);
  const isWhole = begin === 0 && endRows === 0 && endColumns === 0;
  return tf.maxPool(
    values,
    layer.size,
    layer.stride,
    isWhole
      ? "valid"
      : [
          [0, 0],
          [begin, endRows],
          [begin, endColumns],
          [0, 0],
        ],
  );
};

/**
 * The largest of the taps, tap by tap; the first of equals wins. The gradient of its WASM kernel is wrong in 4.22.0: that of
 * LeNet's first layers is off by half its largest element.
 */
export const composedMaxPool: MaxPool = (values, { size, stride, padding = 0 }, input, output) => {
  const end = (places: number, length: number): number => Math.max(0, places * stride + size - 1 - padding - length);
  const pads: [number, number][] = [
    [0, 0],
    [padding, end(output.height, input.height)],
    [padding, end(output.width, input.width)],
    [0, 0],
  ];
  const padded = tf.pad(values, pads, -1e30);
  const taps = Array.from({ length: size * size }, (_, tap) =>
    everyStride(padded, [Math.floor(tap / size), tap % size], stride, output),
  );
  return taps.reduce((largest, tap) => tf.maximum(largest, tap));
};

/** The pixels of `values` from `first` (row, column) on, each `stride` from the last. A strided slice has no gradient there. */
function everyStride(
  values: tf.Tensor4D,
  [row, column]: readonly [number, number],
  stride: number,
  { height, width, channels }: ImageShape,
): tf.Tensor4D {
  const batch = values.shape[0];
  const all = tf.slice(values, [0, row, column, 0], [batch, height * stride, width * stride, channels]);
  const rows = all
    .reshape<tf.Tensor3D>([batch * height, stride, width * stride * channels])
    .slice([0, 0, 0], [-1, 1, -1]);
  const pixels = rows.reshape<tf.Tensor3D>([batch * height * width, stride, channels]).slice([0, 0, 0], [-1, 1, -1]);
  return pixels.reshape([batch, height, width, channels]);
}

/** The mean of the taps inside the image. TensorFlow.js's own gradient divides by the whole window at an edge: hence the detour. */
function averagePool(values: tf.Tensor4D, layer: Pool, input: ImageShape, output: ImageShape): tf.Tensor4D {
  const { size, stride } = layer;
  const { begin, endRows, endColumns } = poolPadding(layer, input, output);
  if (begin === 0 && endRows === 0 && endColumns === 0) return tf.avgPool(values, size, stride, "valid");
  const padded = tf.pad(values, [
    [0, 0],
    [begin, endRows],
    [begin, endColumns],
    [0, 0],
  ]);
  const shares = tapShares(layer, input, output);
  return tf.avgPool(padded, size, stride, "valid").mul(shares);
}

/** [1, height, width, 1]: the taps of a whole window over those inside the image. */
function tapShares(layer: Pool, input: ImageShape, output: ImageShape): tf.Tensor {
  const values = tapsInside(layer, input.height, output.height).flatMap((rows) =>
    tapsInside(layer, input.width, output.width).map((columns) => layer.size ** 2 / (rows * columns)),
  );
  return tf.tensor(values, [1, output.height, output.width, 1]);
}

/** For each window along one axis the number of its taps that lie inside `length` pixels. */
export function tapsInside({ size, stride, padding = 0 }: Pool, length: number, places: number): number[] {
  return Array.from({ length: places }, (_, place) => {
    const first = place * stride - padding;
    return Math.min(first + size, length) - Math.max(first, 0);
  });
}
