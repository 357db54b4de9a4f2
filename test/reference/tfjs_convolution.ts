/**
 * Convolutions with gradients in TensorFlow.js, in two ways. `nativeConvolution` calls its kernels, as its users do. Its
 * WASM backend has no filter gradient and a slow data gradient, so `composedConvolution` makes both from forward
 * convolutions and matrix products: with it ResNet-50 can be checked in Node. Groups and dilation, which TensorFlow.js
 * cannot differentiate, are composed in both.
 */

import * as tf from "@tensorflow/tfjs";
import type { LayerOf } from "../../shared/model/layer.ts";

/** `weights` are [kernel, kernel, inChannels / groups, outChannels]. */
export type Convolution = (input: tf.Tensor4D, weights: tf.Tensor4D, layer: LayerOf<"conv2d">) => tf.Tensor4D;

type Ungrouped = (input: tf.Tensor4D, weights: tf.Tensor4D, stride: number, padding: number) => tf.Tensor4D;

export const nativeConvolution: Convolution = (input, weights, layer) => {
  const { groups = 1, channels, kernel, stride = 1, padding = 0, dilation = 1 } = layer;
  const inChannels = input.shape[3];
  if (groups > 1 && groups === inChannels && dilation === 1 && padding < kernel) {
    const filters = weights.reshape<tf.Tensor4D>([kernel, kernel, inChannels, channels / groups]);
    return tf.depthwiseConv2d(input, filters, stride, padding);
  }
  return grouped((image, filter) => tf.conv2d<tf.Tensor4D>(image, filter, stride, padding), input, weights, layer);
};

export const composedConvolution: Convolution = (input, weights, layer) =>
  grouped((image, filter) => composed(image, filter, layer.stride ?? 1, layer.padding ?? 0), input, weights, layer);

function grouped(
  convolve: (input: tf.Tensor4D, weights: tf.Tensor4D) => tf.Tensor4D,
  input: tf.Tensor4D,
  weights: tf.Tensor4D,
  { groups = 1, dilation = 1 }: LayerOf<"conv2d">,
): tf.Tensor4D {
  const filter = dilation === 1 ? weights : spread(weights, [0, 1], dilation);
  if (groups === 1) return convolve(input, filter);
  const images = tf.split<tf.Tensor4D>(input, groups, 3);
  const filters = tf.split<tf.Tensor4D>(filter, groups, 3);
  return tf.concat(
    images.map((image, group) => convolve(image, filters[group]!)),
    3,
  );
}

const composed: Ungrouped = (input, weights, stride, padding) => {
  const padded =
    padding === 0
      ? input
      : tf.pad(input, [
          [0, 0],
          [padding, padding],
          [padding, padding],
          [0, 0],
        ]);
  const convolve = tf.customGrad((x, w, save) => {
    const [image, filter] = [x as tf.Tensor4D, w as tf.Tensor4D];
    (save as tf.GradSaveFunc)([image, filter]);
    return {
      value: tf.conv2d(image, filter, stride, "valid"),
      gradFunc: (gradient, saved) => {
        const [savedImage, savedFilter] = saved as [tf.Tensor4D, tf.Tensor4D];
        const dy = gradient as tf.Tensor4D;
        return [
          dataGradient(dy, savedFilter, stride, savedImage.shape),
          filterGradient(savedImage, dy, stride, savedFilter.shape),
        ];
      },
    };
  });
  return convolve(padded, weights) as tf.Tensor4D;
};

/** The convolution of the spread gradient with the turned, transposed filter. */
function dataGradient(dy: tf.Tensor4D, weights: tf.Tensor4D, stride: number, shape: readonly number[]): tf.Tensor4D {
  const kernel = weights.shape[0];
  const apart = stride === 1 ? dy : spread(dy, [1, 2], stride);
  const margin = kernel - 1;
  // Rows and columns at the end that no window reached.
  const rest = (axis: number): number => shape[axis]! - apart.shape[axis]! - margin;
  const padded = tf.pad(apart, [
    [0, 0],
    [margin, margin + rest(1)],
    [margin, margin + rest(2)],
    [0, 0],
  ]);
  return tf.conv2d(padded, tf.transpose(tf.reverse(weights, [0, 1]), [0, 1, 3, 2]), 1, "valid");
}

/** For each tap a product: (pixels that it saw) transposed times the gradient. */
function filterGradient(input: tf.Tensor4D, dy: tf.Tensor4D, stride: number, shape: readonly number[]): tf.Tensor4D {
  const [kernel, , inChannels, outChannels] = shape as [number, number, number, number];
  const [batch, height, width] = dy.shape;
  const rows = dy.reshape<tf.Tensor2D>([-1, outChannels]);
  const taps = Array.from({ length: kernel * kernel }, (_, tap) => {
    const [y, x] = [Math.floor(tap / kernel), tap % kernel];
    const end = [batch, y + (height - 1) * stride + 1, x + (width - 1) * stride + 1, inChannels];
    const seen = tf.stridedSlice(input, [0, y, x, 0], end, [1, stride, stride, 1]);
    return tf.matMul(seen.reshape<tf.Tensor2D>([-1, inChannels]), rows, true);
  });
  return tf.stack(taps).reshape([kernel, kernel, inChannels, outChannels]);
}

/** Puts `distance - 1` zeros between neighbours along `axes`. */
function spread(values: tf.Tensor4D, axes: readonly number[], distance: number): tf.Tensor4D {
  return axes.reduce((current, axis) => {
    const before = current.shape.slice(0, axis).reduce((product, length) => product * length, 1);
    const length = current.shape[axis]!;
    const after = current.shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
    const apart = tf.pad(current.reshape<tf.Tensor4D>([before, length, 1, after]), [
      [0, 0],
      [0, 0],
      [0, distance - 1],
      [0, 0],
    ]);
    const whole = [...current.shape];
    whole[axis] = length * distance;
    const cut = [...current.shape];
    cut[axis] = (length - 1) * distance + 1;
    return tf.slice(apart.reshape<tf.Tensor4D>(whole as [number, number, number, number]), [0, 0, 0, 0], cut);
  }, values);
}
