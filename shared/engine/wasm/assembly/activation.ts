// Activations, their gradients from the input, and their undoing from the output. Codes as in `engine/activation.ts`. Exactly
// `elements` are written: neighbours may be other images' that are not due yet.

import { sigmoid4, tanh4 } from "./exponentials";
import { FLOAT_BYTES, madd, storeFirst, VECTOR_BYTES } from "./lanes";

const RELU: i32 = 1;
const LEAKY_RELU: i32 = 2;
const TANH: i32 = 3;
const SIGMOID: i32 = 4;
const GELU: i32 = 5;

/** sqrt(2 / pi). */
const GELU_FACTOR: f32 = 0.7978845608028654;
const GELU_CUBIC: f32 = 0.044715;

// @ts-ignore: decorator
@inline
function activated(x: v128, code: i32, slope: v128): v128 {
  if (code == RELU) return f32x4.pmax(x, f32x4.splat(0));
  if (code == LEAKY_RELU) return v128.bitselect(x, f32x4.mul(x, slope), f32x4.gt(x, f32x4.splat(0)));
  if (code == TANH) return tanh4(x);
  if (code == SIGMOID) return sigmoid4(x);
  if (code == GELU) return f32x4.mul(x, geluShare(x));
  return f32x4.mul(x, sigmoid4(x));
}

/** (1 + tanh u) / 2 = sigmoid 2u, which keeps its digits where it is small. */
// @ts-ignore: decorator
@inline
function geluShare(x: v128): v128 {
  const square = f32x4.mul(x, x);
  const inner = madd(f32x4.splat(2 * GELU_FACTOR * GELU_CUBIC), square, f32x4.splat(2 * GELU_FACTOR));
  return sigmoid4(f32x4.mul(x, inner));
}

/** output = activation(input); both may be the same. */
export function activate(input: usize, output: usize, elements: i32, code: i32, slope: f32): void {
  const slopes = f32x4.splat(slope);
  let left = elements;
  for (; left >= 4; left -= 4) {
    v128.store(output, activated(v128.load(input), code, slopes));
    input += VECTOR_BYTES;
    output += VECTOR_BYTES;
  }
  if (left > 0) storeFirst(output, activated(v128.load(input), code, slopes), left);
}

/** The derivative where the input is `x`. */
// @ts-ignore: decorator
@inline
function derivative(x: v128, code: i32, slope: v128): v128 {
  const one = f32x4.splat(1);
  if (code <= LEAKY_RELU) return v128.bitselect(one, slope, f32x4.gt(x, f32x4.splat(0)));
  if (code == TANH) return slopeOfTanh(tanh4(x));
  if (code == GELU) return slopeOfGelu(x);
  const s = sigmoid4(x);
  const rest = f32x4.sub(one, s);
  if (code == SIGMOID) return f32x4.mul(s, rest);
  return f32x4.mul(s, madd(x, rest, one));
}

// @ts-ignore: decorator
@inline
function slopeOfTanh(y: v128): v128 {
  return f32x4.mul(f32x4.sub(f32x4.splat(1), y), f32x4.add(f32x4.splat(1), y));
}

// @ts-ignore: decorator
@inline
function slopeOfGelu(x: v128): v128 {
  const share = geluShare(x);
  const square = f32x4.mul(x, x);
  const inner = madd(f32x4.splat(6 * GELU_FACTOR * GELU_CUBIC), square, f32x4.splat(2 * GELU_FACTOR));
  const bend = f32x4.mul(f32x4.mul(x, inner), f32x4.sub(f32x4.splat(1), share));
  return madd(share, bend, share);
}

/** inputGradient = outputGradient * derivative at the input, or added to. */
export function activateGradient(
  input: usize, outputGradient: usize, inputGradient: usize, elements: i32, code: i32, slope: f32, add: bool,
): void {
  const slopes = f32x4.splat(slope);
  for (let left = elements; left > 0; left -= 4) {
    let gradient = f32x4.mul(v128.load(outputGradient), derivative(v128.load(input), code, slopes));
    if (add) gradient = f32x4.add(gradient, v128.load(inputGradient));
    storeFirst(inputGradient, gradient, left);
    input += VECTOR_BYTES;
    outputGradient += VECTOR_BYTES;
    inputGradient += VECTOR_BYTES;
  }
}

/** gradient <- gradient * derivative where the activation's output is given. */
export function undoActivation(gradient: usize, output: usize, elements: i32, code: i32, slope: f32): void {
  if (code == RELU) return undoRelu(gradient, output, elements);
  const one = f32x4.splat(1);
  const slopes = f32x4.splat(slope);
  for (let left = elements; left > 0; left -= 4) {
    const y = v128.load(output);
    let factor: v128;
    if (code == LEAKY_RELU) factor = v128.bitselect(one, slopes, f32x4.gt(y, f32x4.splat(0)));
    else if (code == TANH) factor = slopeOfTanh(y);
    else factor = f32x4.mul(y, f32x4.sub(one, y));
    storeFirst(gradient, f32x4.mul(v128.load(gradient), factor), left);
    gradient += VECTOR_BYTES;
    output += VECTOR_BYTES;
  }
}

function undoRelu(gradient: usize, output: usize, elements: i32): void {
  const whole = elements & -4;
  for (let at: usize = 0; at < (<usize>whole) * FLOAT_BYTES; at += VECTOR_BYTES) {
    const positive = f32x4.gt(v128.load(output + at), f32x4.splat(0));
    v128.store(gradient + at, v128.and(v128.load(gradient + at), positive));
  }
  const rest = (<usize>whole) * FLOAT_BYTES;
  const positive = f32x4.gt(v128.load(output + rest), f32x4.splat(0));
  storeFirst(gradient + rest, v128.and(v128.load(gradient + rest), positive), elements - whole);
}
