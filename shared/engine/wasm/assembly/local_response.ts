// Local response norm across channels and its gradient. One row's squares (or products) stand in a scratch line with zeros on
// both sides, so that every window of channels is `size` vectors side by side.

import { exponential4, logarithm4 } from "./exponentials";
import { FLOAT_BYTES, madd, storeFirst, VECTOR_BYTES } from "./lanes";

/** d^-beta; without exponentials for 0.75, the common one. */
// @ts-ignore: decorator
@inline
function negativePower(d: v128, beta: f32): v128 {
  if (beta == 0.75) {
    const root = f32x4.sqrt(d);
    return f32x4.div(f32x4.splat(1), f32x4.mul(root, f32x4.sqrt(root)));
  }
  return exponential4(f32x4.mul(f32x4.splat(-beta), logarithm4(d)));
}

// @ts-ignore: decorator
@inline
function windowSum(line: usize, size: i32): v128 {
  let sum = v128.load(line);
  for (let tap = 1; tap < size; tap++) sum = f32x4.add(sum, v128.load(line + (<usize>tap) * FLOAT_BYTES));
  return sum;
}

/** Squares of a row, from the `half`-th element of the line on. */
function squareRow(input: usize, rowBytes: usize, line: usize): void {
  for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
    const x = v128.load(input + at);
    storeFirst(line + at, f32x4.mul(x, x), (<i32>(rowBytes - at)) / 4);
  }
}

/** output = input / (k + share * sum of squares)^beta. `line` has room for channels + size + 3 elements. */
export function localResponse(
  input: usize, rows: i32, channels: i32, size: i32, share: f32, beta: f32, k: f32, line: usize, output: usize,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const inside = line + (<usize>(size / 2)) * FLOAT_BYTES;
  memory.fill(line, 0, rowBytes + (<usize>(size + 3)) * FLOAT_BYTES);
  for (let row = 0; row < rows; row++) {
    squareRow(input, rowBytes, inside);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const d = madd(f32x4.splat(share), windowSum(line + at, size), f32x4.splat(k));
      const y = f32x4.mul(v128.load(input + at), negativePower(d, beta));
      storeFirst(output + at, y, (<i32>(rowBytes - at)) / 4);
    }
    input += rowBytes;
    output += rowBytes;
  }
}

/**
 * dx_i = dy_i * d_i^-beta - 2 * beta * share * x_i * sum over the windows j that hold i of dy_j * x_j * d_j^(-beta - 1), or added
 * to. `line` has room for three lines of channels + size + 3 elements.
 */
export function localResponseGradient(
  input: usize, outputGradient: usize, rows: i32, channels: i32, size: i32, share: f32, beta: f32, k: f32, line: usize,
  inputGradient: usize, add: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  const lineBytes = rowBytes + (<usize>(size + 3)) * FLOAT_BYTES;
  const half = (<usize>(size / 2)) * FLOAT_BYTES;
  const products = line + lineBytes;
  const direct = products + lineBytes;
  memory.fill(line, 0, 2 * lineBytes);
  const factor = f32x4.splat(-2 * beta * share);
  for (let row = 0; row < rows; row++) {
    squareRow(input, rowBytes, line + half);
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const d = madd(f32x4.splat(share), windowSum(line + at, size), f32x4.splat(k));
      const slope = f32x4.mul(v128.load(outputGradient + at), negativePower(d, beta));
      const count = (<i32>(rowBytes - at)) / 4;
      storeFirst(direct + at, slope, count);
      storeFirst(products + half + at, f32x4.div(f32x4.mul(slope, v128.load(input + at)), d), count);
    }
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const through = f32x4.mul(f32x4.mul(factor, v128.load(input + at)), windowSum(products + at, size));
      let dx = f32x4.add(v128.load(direct + at), through);
      if (add) dx = f32x4.add(dx, v128.load(inputGradient + at));
      storeFirst(inputGradient + at, dx, (<i32>(rowBytes - at)) / 4);
    }
    input += rowBytes;
    outputGradient += rowBytes;
    inputGradient += rowBytes;
  }
}
