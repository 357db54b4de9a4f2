// Element by element, or row by row: sums, copies of channels, dropout and embeddings. Exactly what belongs to them is written.

import { FLOAT_BYTES, storeFirst, VECTOR_BYTES } from "./lanes";

/** output = first + second, then relu if asked. */
export function addTensors(first: usize, second: usize, output: usize, elements: i32, relu: bool): void {
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let left = elements; left > 0; left -= 4) {
    storeFirst(output, f32x4.pmax(f32x4.add(v128.load(first), v128.load(second)), floor), left);
    first += VECTOR_BYTES;
    second += VECTOR_BYTES;
    output += VECTOR_BYTES;
  }
}

/** target [rows, channels of each] = source, or added to; rows begin `sourceBytes` and `targetBytes` apart. */
export function copyChannels(
  source: usize, sourceBytes: usize, rows: i32, channels: i32, target: usize, targetBytes: usize, add: bool,
): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  for (let row = 0; row < rows; row++) {
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      let value = v128.load(source + at);
      if (add) value = f32x4.add(value, v128.load(target + at));
      storeFirst(target + at, value, (<i32>(rowBytes - at)) / 4);
    }
    source += sourceBytes;
    target += targetBytes;
  }
}

/** sums [channels] over the rows, or added to them. */
export function sumColumns(values: usize, rows: i32, channels: i32, sums: usize, add: bool): void {
  const rowBytes = (<usize>channels) * FLOAT_BYTES;
  for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
    let sum0 = add ? v128.load(sums + at) : f32x4.splat(0);
    let sum1 = f32x4.splat(0);
    let from = values + at;
    let row = rows;
    for (; row >= 2; row -= 2) {
      sum0 = f32x4.add(sum0, v128.load(from));
      sum1 = f32x4.add(sum1, v128.load(from + rowBytes));
      from += 2 * rowBytes;
    }
    if (row > 0) sum0 = f32x4.add(sum0, v128.load(from));
    storeFirst(sums + at, f32x4.add(sum0, sum1), (<i32>(rowBytes - at)) / 4);
  }
}

/** output [tokens, width] = the token's row of weights; a token beyond the vocabulary reads the last. */
export function embed(tokens: usize, count: i32, vocabulary: i32, width: i32, weights: usize, output: usize): void {
  const rowBytes = (<usize>width) * FLOAT_BYTES;
  for (let index = 0; index < count; index++) {
    memory.copy(output, weights + wordOf(tokens, vocabulary) * rowBytes, rowBytes);
    output += rowBytes;
    tokens += FLOAT_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function wordOf(token: usize, vocabulary: i32): usize {
  return <usize>min(<i32>load<f32>(token), vocabulary - 1);
}

/** Adds each token's row of outputGradient to its word's row of the gradient. */
export function embedGradient(
  tokens: usize, count: i32, vocabulary: i32, width: i32, outputGradient: usize, gradient: usize,
): void {
  const rowBytes = (<usize>width) * FLOAT_BYTES;
  for (let index = 0; index < count; index++) {
    const word = gradient + wordOf(tokens, vocabulary) * rowBytes;
    for (let at: usize = 0; at < rowBytes; at += VECTOR_BYTES) {
      const sum = f32x4.add(v128.load(word + at), v128.load(outputGradient + at));
      storeFirst(word + at, sum, (<i32>(rowBytes - at)) / 4);
    }
    outputGradient += rowBytes;
    tokens += FLOAT_BYTES;
  }
}
