// Layer norm: each row of a matrix [rows, channels] is normalised over its channels.

import { FLOAT_BYTES, madd, storeFirst, VECTOR_BYTES } from "./lanes";

// @ts-ignore: decorator
@inline
function lanesSum(sum: v128): f64 {
  return (
    <f64>f32x4.extract_lane(sum, 0) + <f64>f32x4.extract_lane(sum, 1) +
    (<f64>f32x4.extract_lane(sum, 2) + <f64>f32x4.extract_lane(sum, 3))
  );
}

/** All ones in the first `count` lanes. */
// @ts-ignore: decorator
@inline
function firstLanes(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** output = scale * xhat + shift, then relu if asked; mean and inverseDeviation [rows] are kept. */
export function layerNorm(
  input: usize, rows: i32, channels: i32, scale: usize, shift: usize, epsilon: f64, mean: usize, inverseDeviation: usize,
  output: usize, relu: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  for (let row = 0; row < rows; row++) {
    let sum = f32x4.splat(0);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      sum = f32x4.add(sum, v128.and(v128.load(input + at), firstLanes((<i32>(rowBytes - at)) / 4)));
    }
    const middle = f32x4.splat(<f32>(lanesSum(sum) / <f64>channels));
    let square = f32x4.splat(0);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const distance = f32x4.sub(v128.load(input + at), middle);
      const counted = v128.and(distance, firstLanes((<i32>(rowBytes - at)) / 4));
      square = madd(counted, counted, square);
    }
    const inverse = f32x4.splat(<f32>(1.0 / sqrt<f64>(lanesSum(square) / <f64>channels + epsilon)));
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const xhat = f32x4.mul(f32x4.sub(v128.load(input + at), middle), inverse);
      let y = madd(xhat, v128.load(scale + at), v128.load(shift + at));
      if (relu) y = f32x4.pmax(y, f32x4.splat(0));
      storeFirst(output + at, y, (<i32>(rowBytes - at)) / 4);
    }
    store<f32>(mean, f32x4.extract_lane(middle, 0));
    store<f32>(inverseDeviation, f32x4.extract_lane(inverse, 0));
    input += rowBytes;
    output += rowBytes;
    mean += FLOAT_BYTES;
    inverseDeviation += FLOAT_BYTES;
  }
}

/** Rows that pass all channels before the next ones are read. */
const BLOCK_ROWS: i32 = 64;

/** sums [2, stride] of dy * xhat and of dy for each channel; `finishScaleGradients` ends it. */
export function sumLayerScaleGradients(
  input: usize, outputGradient: usize, rows: i32, channels: i32, mean: usize, inverseDeviation: usize, sums: usize,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const slopes = (<usize>((channels + 3) & -4)) * FLOAT_BYTES;
  memory.fill(sums, 0, 2 * slopes);
  for (let first = 0; first < rows; first += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, rows - first);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      let sum = f32x4.splat(0), product = f32x4.splat(0);
      for (let row: usize = 0; row < <usize>count; row++) {
        const dy = v128.load(outputGradient + row * rowBytes + at);
        const distance = f32x4.sub(
          v128.load(input + row * rowBytes + at), v128.load_splat<f32>(mean + row * FLOAT_BYTES),
        );
        const xhat = f32x4.mul(distance, v128.load_splat<f32>(inverseDeviation + row * FLOAT_BYTES));
        sum = f32x4.add(sum, dy);
        product = madd(dy, xhat, product);
      }
      v128.store(sums + at, f32x4.add(v128.load(sums + at), product));
      v128.store(sums + slopes + at, f32x4.add(v128.load(sums + slopes + at), sum));
    }
    input += (<usize>count) * rowBytes;
    outputGradient += (<usize>count) * rowBytes;
    mean += (<usize>count) * FLOAT_BYTES;
    inverseDeviation += (<usize>count) * FLOAT_BYTES;
  }
}

/** inputGradient = inverseDeviation * (g - mean of g - xhat * mean of g * xhat), g = dy * scale; or added to. */
export function layerNormDataGradient(
  input: usize, outputGradient: usize, rows: i32, channels: i32, scale: usize, mean: usize, inverseDeviation: usize,
  inputGradient: usize, add: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  for (let row = 0; row < rows; row++) {
    const middle = v128.load_splat<f32>(mean);
    const inverse = v128.load_splat<f32>(inverseDeviation);
    let sum = f32x4.splat(0), product = f32x4.splat(0);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const lanes = firstLanes((<i32>(rowBytes - at)) / 4);
      const g = v128.and(f32x4.mul(v128.load(outputGradient + at), v128.load(scale + at)), lanes);
      const xhat = v128.and(f32x4.mul(f32x4.sub(v128.load(input + at), middle), inverse), lanes);
      sum = f32x4.add(sum, g);
      product = madd(g, xhat, product);
    }
    const meanOfG = f32x4.splat(<f32>(lanesSum(sum) / <f64>channels));
    const meanOfProduct = f32x4.splat(<f32>(lanesSum(product) / <f64>channels));
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const g = f32x4.mul(v128.load(outputGradient + at), v128.load(scale + at));
      const xhat = f32x4.mul(f32x4.sub(v128.load(input + at), middle), inverse);
      const centred = f32x4.sub(f32x4.sub(g, meanOfG), f32x4.mul(xhat, meanOfProduct));
      let dx = f32x4.mul(inverse, centred);
      if (add) dx = f32x4.add(dx, v128.load(inputGradient + at));
      storeFirst(inputGradient + at, dx, (<i32>(rowBytes - at)) / 4);
    }
    input += rowBytes;
    outputGradient += rowBytes;
    inputGradient += rowBytes;
    mean += FLOAT_BYTES;
    inverseDeviation += FLOAT_BYTES;
  }
}
