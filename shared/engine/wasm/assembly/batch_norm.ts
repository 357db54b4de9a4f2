// Batch norm: sums over the rows of a matrix [rows, channels] for each channel, and what follows from them, element by element.
// Sums are taken for part of the rows and finished over all parts. Tables of sums and coefficients hold each channel's value at
// multiples of `stride` = channels rounded up to four.

import { FLOAT_BYTES, madd, storeFirst, VECTOR_BYTES } from "./lanes";

/** Rows that pass all channels before the next ones are read: few enough to stay in the cache while each channel passes them. */
const BLOCK_ROWS: i32 = 64;

// @ts-ignore: decorator
@inline
function strideBytes(channels: i32): usize {
  return (<usize>((channels + 3) & -4)) * FLOAT_BYTES;
}

/**
 * sums [2, stride]: of x - origin and of its square, per channel. `origin` [channels] lies near the values (any row will do), so
 * that a variance is not the small difference of large numbers.
 */
export function sumMoments(input: usize, rows: i32, channels: i32, origin: usize, sums: usize): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const squares = strideBytes(channels);
  memory.fill(sums, 0, 2 * squares);
  for (let first = 0; first < rows; first += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, rows - first);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const o = v128.load(origin + at);
      let s0 = f32x4.splat(0), s1 = f32x4.splat(0), q0 = f32x4.splat(0), q1 = f32x4.splat(0);
      let x = input + at;
      let row = count;
      for (; row >= 2; row -= 2) {
        const d0 = f32x4.sub(v128.load(x), o);
        const d1 = f32x4.sub(v128.load(x + rowBytes), o);
        s0 = f32x4.add(s0, d0);
        s1 = f32x4.add(s1, d1);
        q0 = madd(d0, d0, q0);
        q1 = madd(d1, d1, q1);
        x += 2 * rowBytes;
      }
      if (row > 0) {
        const d0 = f32x4.sub(v128.load(x), o);
        s0 = f32x4.add(s0, d0);
        q0 = madd(d0, d0, q0);
      }
      addTo(sums + at, f32x4.add(s0, s1));
      addTo(sums + squares + at, f32x4.add(q0, q1));
    }
    input += (<usize>count) * rowBytes;
  }
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, value: v128): void {
  v128.store(at, f32x4.add(v128.load(at), value));
}

/** Of the `parts` tables that lie one after another the sum for one channel. */
// @ts-ignore: decorator
@inline
function total(sums: usize, parts: i32, stride: usize): f64 {
  let sum: f64 = 0;
  for (let part = 0; part < parts; part++) {
    sum += <f64>load<f32>(sums);
    sums += 2 * stride;
  }
  return sum;
}

/**
 * mean and 1 / sqrt(variance + epsilon) of each channel over the rows of all parts; the running statistics move. `table` has two
 * words for each part: its rows, and the origin that its sums were taken from. Parts are joined as Chan et al. (1979) do.
 */
export function finishMoments(
  sums: usize, parts: i32, table: usize, channels: i32, mean: usize, inverseDeviation: usize,
  runningMean: usize, runningVariance: usize, momentum: f64, epsilon: f64,
): void {
  const stride = strideBytes(channels);
  for (let at: usize = 0; at < (<usize>channels) * FLOAT_BYTES; at += FLOAT_BYTES) {
    let rows: f64 = 0;
    let middle: f64 = 0;
    let squares: f64 = 0;
    let sum = sums + at;
    let entry = table;
    for (let part = 0; part < parts; part++) {
      const count = <f64>load<u32>(entry);
      const distance = <f64>load<f32>(sum) / count;
      const apart = <f64>load<f32>((<usize>load<u32>(entry, 4)) + at) + distance - middle;
      const all = rows + count;
      // Not below zero; NaN stays.
      const own = <f64>load<f32>(sum + stride) - distance * distance * count;
      squares += (own < 0 ? 0 : own) + apart * apart * rows * count / all;
      middle += apart * count / all;
      rows = all;
      sum += 2 * stride;
      entry += 8;
    }
    const variance = squares / rows;
    store<f32>(mean + at, <f32>middle);
    store<f32>(inverseDeviation + at, <f32>(1.0 / sqrt<f64>(variance + epsilon)));
    move(runningMean + at, middle, momentum);
    move(runningVariance + at, variance, momentum);
  }
}

// @ts-ignore: decorator
@inline
function move(running: usize, now: f64, momentum: f64): void {
  store<f32>(running, <f32>(momentum * <f64>load<f32>(running) + (1.0 - momentum) * now));
}

/** factors [channels] = scale * inverseDeviation. */
export function scaleFactors(scale: usize, inverseDeviation: usize, channels: i32, factors: usize): void {
  for (let at: usize = 0; at < (<usize>channels) * FLOAT_BYTES; at += FLOAT_BYTES) {
    store<f32>(factors + at, load<f32>(scale + at) * load<f32>(inverseDeviation + at));
  }
}

/** factors [channels] = scale / sqrt(variance + epsilon). */
export function runningFactors(scale: usize, variance: usize, epsilon: f64, channels: i32, factors: usize): void {
  for (let at: usize = 0; at < (<usize>channels) * FLOAT_BYTES; at += FLOAT_BYTES) {
    store<f32>(factors + at, <f32>(<f64>load<f32>(scale + at) / sqrt<f64>(<f64>load<f32>(variance + at) + epsilon)));
  }
}

/** output = (input - mean) * factor + shift + addend (0: none), then relu if asked. */
export function normaliseChannels(
  input: usize, rows: i32, channels: i32, mean: usize, factors: usize, shift: usize, addend: usize, output: usize, relu: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  for (let row = 0; row < rows; row++) {
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const distance = f32x4.sub(v128.load(input + at), v128.load(mean + at));
      let y = madd(distance, v128.load(factors + at), v128.load(shift + at));
      if (addend != 0) y = f32x4.add(y, v128.load(addend + at));
      if (relu) y = f32x4.pmax(y, f32x4.splat(0));
      storeFirst(output + at, y, (<i32>(rowBytes - at)) / 4);
    }
    input += rowBytes;
    output += rowBytes;
    if (addend != 0) addend += rowBytes;
  }
}

/** sums [2, stride]: of dy * (x - mean) and of dy. */
export function sumScaleGradients(
  input: usize, outputGradient: usize, rows: i32, channels: i32, mean: usize, sums: usize,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const slopes = strideBytes(channels);
  memory.fill(sums, 0, 2 * slopes);
  for (let first = 0; first < rows; first += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, rows - first);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const m = v128.load(mean + at);
      let s0 = f32x4.splat(0), s1 = f32x4.splat(0), q0 = f32x4.splat(0), q1 = f32x4.splat(0);
      let x = input + at;
      let dy = outputGradient + at;
      let row = count;
      for (; row >= 2; row -= 2) {
        const g0 = v128.load(dy);
        const g1 = v128.load(dy + rowBytes);
        s0 = f32x4.add(s0, g0);
        s1 = f32x4.add(s1, g1);
        q0 = madd(g0, f32x4.sub(v128.load(x), m), q0);
        q1 = madd(g1, f32x4.sub(v128.load(x + rowBytes), m), q1);
        x += 2 * rowBytes;
        dy += 2 * rowBytes;
      }
      if (row > 0) {
        const g0 = v128.load(dy);
        s0 = f32x4.add(s0, g0);
        q0 = madd(g0, f32x4.sub(v128.load(x), m), q0);
      }
      addTo(sums + at, f32x4.add(q0, q1));
      addTo(sums + slopes + at, f32x4.add(s0, s1));
    }
    input += (<usize>count) * rowBytes;
    outputGradient += (<usize>count) * rowBytes;
  }
}

/** Gradients of scale (where `inverseDeviation` is 0 it is in the sums already) and shift over all parts. */
export function finishScaleGradients(
  sums: usize, parts: i32, channels: i32, inverseDeviation: usize, scaleGradient: usize, shiftGradient: usize,
): void {
  const stride = strideBytes(channels);
  for (let at: usize = 0; at < (<usize>channels) * FLOAT_BYTES; at += FLOAT_BYTES) {
    const factor: f64 = inverseDeviation == 0 ? 1 : <f64>load<f32>(inverseDeviation + at);
    store<f32>(scaleGradient + at, <f32>(total(sums + at, parts, stride) * factor));
    store<f32>(shiftGradient + at, <f32>total(sums + stride + at, parts, stride));
  }
}

/**
 * coefficients [3, stride] of dx = c0 * dy + c1 * (x - mean) + c2, from the gradients of scale and shift over `rows` rows:
 * dx = scale * inverseDeviation * (dy - mean of dy - xhat * mean of dy * xhat).
 */
export function dataGradientCoefficients(
  rows: i32, channels: i32, scale: usize, inverseDeviation: usize, scaleGradient: usize, shiftGradient: usize,
  coefficients: usize,
): void {
  const stride = strideBytes(channels);
  for (let at: usize = 0; at < (<usize>channels) * FLOAT_BYTES; at += FLOAT_BYTES) {
    const inverse = <f64>load<f32>(inverseDeviation + at);
    const factor = <f64>load<f32>(scale + at) * inverse;
    const share = -factor / <f64>rows;
    store<f32>(coefficients + at, <f32>factor);
    store<f32>(coefficients + stride + at, <f32>(share * inverse * <f64>load<f32>(scaleGradient + at)));
    store<f32>(coefficients + 2 * stride + at, <f32>(share * <f64>load<f32>(shiftGradient + at)));
  }
}

/** inputGradient of a batch norm, or added to. */
export function batchNormDataGradient(
  input: usize, outputGradient: usize, rows: i32, channels: i32, mean: usize, coefficients: usize, inputGradient: usize,
  add: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const c1 = coefficients + strideBytes(channels);
  const c2 = c1 + strideBytes(channels);
  for (let row = 0; row < rows; row++) {
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const distance = f32x4.sub(v128.load(input + at), v128.load(mean + at));
      let dx = madd(distance, v128.load(c1 + at), v128.load(c2 + at));
      dx = madd(v128.load(outputGradient + at), v128.load(coefficients + at), dx);
      if (add) dx = f32x4.add(dx, v128.load(inputGradient + at));
      storeFirst(inputGradient + at, dx, (<i32>(rowBytes - at)) / 4);
    }
    input += rowBytes;
    outputGradient += rowBytes;
    inputGradient += rowBytes;
  }
}
