/**
 * Batch norm, layer norm and local response norm with their gradients, as plain loops in double precision. Matrices are
 * [rows, channels]; a row is one pixel of one image.
 */

import type { LocalResponse } from "../../shared/engine/operation.ts";
import type { Numbers } from "./convolution.ts";

export interface Matrix {
  readonly rows: number;
  readonly channels: number;
}

export interface Moments {
  readonly mean: Float64Array<ArrayBuffer>;
  /** Biased: divided by the count. */
  readonly variance: Float64Array<ArrayBuffer>;
}

/** Mean and variance of each channel over the rows. */
export function channelMoments({ rows, channels }: Matrix, input: Numbers): Moments {
  return moments(channels, rows, (channel, row) => input[row * channels + channel]!);
}

/** Mean and variance of each row over its channels. */
export function rowMoments({ rows, channels }: Matrix, input: Numbers): Moments {
  return moments(rows, channels, (row, channel) => input[row * channels + channel]!);
}

function moments(groups: number, count: number, at: (group: number, index: number) => number): Moments {
  const mean = new Float64Array(groups);
  const variance = new Float64Array(groups);
  for (let group = 0; group < groups; group++) {
    for (let index = 0; index < count; index++) mean[group]! += at(group, index) / count;
    for (let index = 0; index < count; index++) variance[group]! += (at(group, index) - mean[group]!) ** 2 / count;
  }
  return { mean, variance };
}

/** Whether mean and deviation belong to channels (batch norm) or to rows (layer norm). */
export type Axis = "channel" | "row";

export interface Normalised {
  readonly mean: Numbers;
  readonly inverseDeviation: Numbers;
}

function xhatAt(
  matrix: Matrix,
  axis: Axis,
  input: Numbers,
  { mean, inverseDeviation }: Normalised,
  index: number,
): number {
  const group = axis === "channel" ? index % matrix.channels : Math.floor(index / matrix.channels);
  return (input[index]! - mean[group]!) * inverseDeviation[group]!;
}

/** output = scale * (input - mean) * inverseDeviation + shift. */
export function normalise(
  matrix: Matrix,
  axis: Axis,
  input: Numbers,
  statistics: Normalised,
  scale: Numbers,
  shift: Numbers,
): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: matrix.rows * matrix.channels }, (_, index) => {
    const channel = index % matrix.channels;
    return scale[channel]! * xhatAt(matrix, axis, input, statistics, index) + shift[channel]!;
  });
}

/** Gradients of scale and shift, [channels] each. */
export function scaleGradients(
  matrix: Matrix,
  axis: Axis,
  input: Numbers,
  statistics: Normalised,
  outputGradient: Numbers,
): { scale: Float64Array<ArrayBuffer>; shift: Float64Array<ArrayBuffer> } {
  const scale = new Float64Array(matrix.channels);
  const shift = new Float64Array(matrix.channels);
  for (let index = 0; index < matrix.rows * matrix.channels; index++) {
    scale[index % matrix.channels]! += outputGradient[index]! * xhatAt(matrix, axis, input, statistics, index);
    shift[index % matrix.channels]! += outputGradient[index]!;
  }
  return { scale, shift };
}

/** The gradient at a batch norm's input, from the gradients of scale and shift: sums of dy * xhat and of dy. */
export function batchNormDataGradient(
  matrix: Matrix,
  input: Numbers,
  statistics: Normalised,
  outputGradient: Numbers,
  scale: Numbers,
  gradients: { readonly scale: Numbers; readonly shift: Numbers },
): Float64Array<ArrayBuffer> {
  const { rows, channels } = matrix;
  return Float64Array.from({ length: rows * channels }, (_, index) => {
    const channel = index % channels;
    const xhat = xhatAt(matrix, "channel", input, statistics, index);
    const centred = outputGradient[index]! - (gradients.shift[channel]! + xhat * gradients.scale[channel]!) / rows;
    return scale[channel]! * statistics.inverseDeviation[channel]! * centred;
  });
}

/** The gradient at a layer norm's input: g = dy * scale, dx = inverseDeviation * (g - mean of g - xhat * mean of g * xhat). */
export function layerNormDataGradient(
  matrix: Matrix,
  input: Numbers,
  statistics: Normalised,
  outputGradient: Numbers,
  scale: Numbers,
): Float64Array<ArrayBuffer> {
  const { rows, channels } = matrix;
  const gradient = new Float64Array(rows * channels);
  for (let row = 0; row < rows; row++) {
    const at = (channel: number): number => row * channels + channel;
    let meanOfG = 0;
    let meanOfGXhat = 0;
    for (let channel = 0; channel < channels; channel++) {
      const g = outputGradient[at(channel)]! * scale[channel]!;
      meanOfG += g / channels;
      meanOfGXhat += (g * xhatAt(matrix, "row", input, statistics, at(channel))) / channels;
    }
    for (let channel = 0; channel < channels; channel++) {
      const g = outputGradient[at(channel)]! * scale[channel]!;
      const xhat = xhatAt(matrix, "row", input, statistics, at(channel));
      gradient[at(channel)] = statistics.inverseDeviation[row]! * (g - meanOfG - xhat * meanOfGXhat);
    }
  }
  return gradient;
}

/** The channels nearest to `channel`, `size` of them where they exist. */
function neighbours(channel: number, size: number, channels: number): number[] {
  const half = (size - 1) / 2;
  const first = Math.max(0, channel - half);
  const last = Math.min(channels - 1, channel + half);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** d of the operation, for every element. */
function responseDivisors({ rows, channels, size, alpha, k }: Matrix & LocalResponse, input: Numbers): Float64Array {
  return Float64Array.from({ length: rows * channels }, (_, index) => {
    const row = Math.floor(index / channels);
    const squares = neighbours(index % channels, size, channels).map(
      (channel) => input[row * channels + channel]! ** 2,
    );
    return k + (alpha / size) * squares.reduce((sum, square) => sum + square, 0);
  });
}

export function localResponse(shape: Matrix & LocalResponse, input: Numbers): Float64Array<ArrayBuffer> {
  const divisors = responseDivisors(shape, input);
  return Float64Array.from(
    { length: shape.rows * shape.channels },
    (_, index) => input[index]! / divisors[index]! ** shape.beta,
  );
}

export function localResponseGradient(
  shape: Matrix & LocalResponse,
  input: Numbers,
  outputGradient: Numbers,
): Float64Array<ArrayBuffer> {
  const { rows, channels, size, alpha, beta } = shape;
  const divisors = responseDivisors(shape, input);
  return Float64Array.from({ length: rows * channels }, (_, index) => {
    const row = Math.floor(index / channels);
    const through = neighbours(index % channels, size, channels).reduce((sum, channel) => {
      const at = row * channels + channel;
      return sum + outputGradient[at]! * input[at]! * divisors[at]! ** (-beta - 1);
    }, 0);
    return outputGradient[index]! * divisors[index]! ** -beta - ((2 * alpha * beta) / size) * input[index]! * through;
  });
}
