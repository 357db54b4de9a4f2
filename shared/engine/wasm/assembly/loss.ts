// The losses, in double precision: losses, correctness and the gradient of the mean over all examples of the step, whose number
// (u32) `examples` points to, of which `batch` are here.

import { FLOAT_BYTES } from "./lanes";

const LOG2_E: f64 = 1.4426950408889634;
/**
 * 2^-66: smaller gradients count as zero. WebAssembly cannot flush denormals, and one that meets a weight slows x64 down a
 * hundredfold: the backward pass of a model sure of every answer took 20 times as long (Xeon, 2026-11-21).
 */
const SMALLEST_GRADIENT: f64 = 1.3552527156068805e-20;
const LN_2_HIGH: f64 = 0.6931471803691238;
const LN_2_LOW: f64 = 1.9082149292705877e-10;

/** logits and gradient [batch, classes]; labels (u32), losses and correct [batch]. */
export function softmaxCrossEntropy(
  logits: usize, labels: usize, batch: i32, classes: i32, examples: usize, gradient: usize, losses: usize, correct: usize,
): void {
  const scale = 1.0 / <f64>load<u32>(examples);
  for (let row = 0; row < batch; row++) {
    const label = load<i32>(labels);
    let largest = load<f32>(logits);
    let winner = 0;
    for (let c = 1; c < classes; c++) {
      const logit = load<f32>(logits + (<usize>c) * FLOAT_BYTES);
      // A NaN logit must reach the loss: it would lose every comparison.
      if (logit > largest || logit != logit) {
        largest = logit;
        winner = c;
      }
    }
    let sum: f64 = 0;
    for (let c = 0; c < classes; c++) {
      const power = exponential(distance(logits, c, largest));
      store<f32>(gradient + (<usize>c) * FLOAT_BYTES, <f32>power);
      sum += power;
    }
    for (let c = 0; c < classes; c++) {
      const at = gradient + (<usize>c) * FLOAT_BYTES;
      const probability = <f64>load<f32>(at) / sum;
      const slope = (probability - (c == label ? 1.0 : 0.0)) * scale;
      store<f32>(at, abs(slope) < SMALLEST_GRADIENT ? 0 : <f32>slope);
    }
    store<f32>(losses, <f32>(logarithm(sum) - distance(logits, label, largest)));
    store<f32>(correct, winner == label ? 1 : 0);
    logits += (<usize>classes) * FLOAT_BYTES;
    gradient += (<usize>classes) * FLOAT_BYTES;
    labels += FLOAT_BYTES;
    losses += FLOAT_BYTES;
    correct += FLOAT_BYTES;
  }
}

/** losses = mean over classes of (output - y)^2, y one-hot. */
export function meanSquaredError(
  outputs: usize, labels: usize, batch: i32, classes: i32, examples: usize, gradient: usize, losses: usize, correct: usize,
): void {
  const scale = 2.0 / (<f64>classes * <f64>load<u32>(examples));
  for (let row = 0; row < batch; row++) {
    const label = load<i32>(labels);
    let largest = load<f32>(outputs);
    let winner = 0;
    let sum: f64 = 0;
    for (let c = 0; c < classes; c++) {
      const output = load<f32>(outputs + (<usize>c) * FLOAT_BYTES);
      if (output > largest) {
        largest = output;
        winner = c;
      }
      const error = <f64>output - (c == label ? 1.0 : 0.0);
      sum += error * error;
      store<f32>(gradient + (<usize>c) * FLOAT_BYTES, <f32>(error * scale));
    }
    store<f32>(losses, <f32>(sum / <f64>classes));
    store<f32>(correct, winner == label ? 1 : 0);
    outputs += (<usize>classes) * FLOAT_BYTES;
    gradient += (<usize>classes) * FLOAT_BYTES;
    labels += FLOAT_BYTES;
    losses += FLOAT_BYTES;
    correct += FLOAT_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function distance(logits: usize, column: i32, largest: f32): f64 {
  return <f64>load<f32>(logits + (<usize>column) * FLOAT_BYTES) - <f64>largest;
}

/** e^x for x <= 0: 2^n times the Taylor series of e^r, |r| <= ln 2 / 2, whose rest is below 3e-10. */
function exponential(x: f64): f64 {
  // A diverged run must show as NaN in its loss; turning NaN into a whole number below would trap.
  if (x != x) return x;
  if (x < -700) return 0;
  const n = nearest<f64>(x * LOG2_E);
  const r = x - n * LN_2_HIGH - n * LN_2_LOW;
  let series: f64 = 1.0 / 5040 + r * (1.0 / 40320);
  series = 1.0 / 720 + r * series;
  series = 1.0 / 120 + r * series;
  series = 1.0 / 24 + r * series;
  series = 1.0 / 6 + r * series;
  series = 0.5 + r * series;
  series = 1 + r * series;
  series = 1 + r * series;
  return series * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** ln x for x >= 1: the exponent's part plus 2 artanh((m - 1) / (m + 1)) of the mantissa, exact to 1e-15. */
function logarithm(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  let exponent = <f64>((bits >> 52) - 1023);
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (x != x || x > 1.7e308) return x;
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const t = (mantissa - 1) / (mantissa + 1);
  const square = t * t;
  let series: f64 = 0;
  for (let power = 21; power > 0; power -= 2) series = series * square + 1.0 / <f64>power;
  return exponent * (LN_2_HIGH + LN_2_LOW) + 2 * t * series;
}
