// What ends a step: the optimizers over a range of the parameter vector, and the norms that some of them need. `settings`
// points to the step's numbers (f32): rate, momentum, decay, adamw's two corrections, and the factor on the gradient that
// `clipScale` wrote. Ranges begin at multiples of 64 elements; an update rounds their length up to 4, into gaps that stay zero.

import { FLOAT_BYTES, madd, VECTOR_BYTES } from "./lanes";

const RATE: usize = 0;
const MOMENTUM: usize = 4;
const DECAY: usize = 8;
const FIRST_CORRECTION: usize = 12;
const SECOND_CORRECTION: usize = 16;
const GRADIENT_SCALE: usize = 20;

/** 2^-100: a smaller velocity counts as zero. Left alone it would halve its way into denormals and stay there, slow. */
const SMALLEST_VELOCITY: f32 = 7.888609052210118e-31;

// @ts-ignore: decorator
@inline
function withoutDenormals(values: v128): v128 {
  return v128.andnot(values, f32x4.lt(f32x4.abs(values), f32x4.splat(SMALLEST_VELOCITY)));
}

/** target (f64) <- sum of squares. In double precision, where the square of no f32 is a denormal. */
export function squareSum(vector: usize, elements: i32, target: usize): void {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  let index = 0;
  for (; index + 4 <= elements; index += 4) {
    const values = v128.load(vector);
    const low = f64x2.promote_low_f32x4(values);
    const high = f64x2.promote_low_f32x4(v128.shuffle<u64>(values, values, 1, 0));
    even = f64x2.add(even, f64x2.mul(low, low));
    odd = f64x2.add(odd, f64x2.mul(high, high));
    vector += VECTOR_BYTES;
  }
  const both = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; index < elements; index++) {
    const value: f64 = load<f32>(vector);
    sum += value * value;
    vector += FLOAT_BYTES;
  }
  store<f64>(target, sum);
}

/** The factor that brings a gradient down to `clipNorm`: 1 where it is no longer. `sums` are `count` f64, `strideBytes` apart. */
export function clipScale(sums: usize, strideBytes: usize, count: i32, clipNorm: f64, settings: usize): void {
  let sum: f64 = 0;
  for (let index = 0; index < count; index++) sum += load<f64>(sums + (<usize>index) * strideBytes);
  const norm = sqrt<f64>(sum);
  store<f32>(settings + GRADIENT_SCALE, norm > clipNorm ? <f32>(clipNorm / norm) : 1);
}

/** v <- momentum*v - rate*(scale*g + decay*x) ; x <- x + v, or x <- x + momentum*v - rate*(scale*g + decay*x). */
// @ts-ignore: decorator
@inline
function heavyBall(
  parameters: usize, velocity: usize, gradient: usize, elements: i32,
  rate: f32, momentum: f32, decay: f32, scale: f32, nesterov: bool,
): void {
  for (let index = 0; index < elements; index += 4) {
    const x = v128.load(parameters);
    const slope = madd(f32x4.splat(decay), x, f32x4.mul(f32x4.splat(scale), v128.load(gradient)));
    const kept = f32x4.mul(f32x4.splat(momentum), v128.load(velocity));
    const v = withoutDenormals(madd(f32x4.splat(-rate), slope, kept));
    v128.store(velocity, v);
    const ahead = nesterov ? madd(f32x4.splat(-rate), slope, f32x4.mul(f32x4.splat(momentum), v)) : v;
    v128.store(parameters, f32x4.add(x, ahead));
    parameters += VECTOR_BYTES;
    velocity += VECTOR_BYTES;
    gradient += VECTOR_BYTES;
  }
}

export function momentumUpdate(
  parameters: usize, velocity: usize, gradient: usize, elements: i32, settings: usize,
): void {
  const rate = load<f32>(settings + RATE);
  const momentum = load<f32>(settings + MOMENTUM);
  const decay = load<f32>(settings + DECAY);
  heavyBall(parameters, velocity, gradient, elements, rate, momentum, decay, load<f32>(settings + GRADIENT_SCALE), false);
}

export function nesterovUpdate(
  parameters: usize, velocity: usize, gradient: usize, elements: i32, settings: usize,
): void {
  const rate = load<f32>(settings + RATE);
  const momentum = load<f32>(settings + MOMENTUM);
  const decay = load<f32>(settings + DECAY);
  heavyBall(parameters, velocity, gradient, elements, rate, momentum, decay, load<f32>(settings + GRADIENT_SCALE), true);
}

/** One tensor with its own rate. `sums`: |x|^2 and |g|^2 (f64), g as it came; 0: the plain rate and no decay. */
export function larsUpdate(
  parameters: usize, velocity: usize, gradient: usize, elements: i32, settings: usize, sums: usize, trust: f32,
): void {
  let rate = load<f32>(settings + RATE);
  let decay: f32 = 0;
  const scale = load<f32>(settings + GRADIENT_SCALE);
  if (sums != 0) {
    decay = load<f32>(settings + DECAY);
    const size = sqrt<f64>(load<f64>(sums));
    const slope = sqrt<f64>(load<f64>(sums + 8)) * <f64>scale;
    if (size > 0 && slope > 0) rate *= <f32>((<f64>trust * size) / (slope + <f64>decay * size));
  }
  heavyBall(parameters, velocity, gradient, elements, rate, load<f32>(settings + MOMENTUM), decay, scale, false);
}

/** m and s are means of g and g^2 ; x <- x - rate * (corrected m / (sqrt(corrected s) + epsilon) + decay*x). `newShare` is 1 - beta2. */
export function adamwUpdate(
  parameters: usize, first: usize, second: usize, gradient: usize, elements: i32, settings: usize,
  beta2: f32, newShare: f32, epsilon: f32,
): void {
  const momentum = load<f32>(settings + MOMENTUM);
  const rate = f32x4.splat(-load<f32>(settings + RATE));
  const decay = f32x4.splat(load<f32>(settings + DECAY));
  const firstCorrection = f32x4.splat(load<f32>(settings + FIRST_CORRECTION));
  const secondCorrection = f32x4.splat(load<f32>(settings + SECOND_CORRECTION));
  const scale = f32x4.splat(load<f32>(settings + GRADIENT_SCALE));
  for (let index = 0; index < elements; index += 4) {
    const x = v128.load(parameters);
    const g = f32x4.mul(scale, v128.load(gradient));
    const m = withoutDenormals(
      madd(f32x4.splat(momentum), v128.load(first), f32x4.mul(f32x4.splat(1 - momentum), g)),
    );
    const s = withoutDenormals(
      madd(f32x4.splat(beta2), v128.load(second), f32x4.mul(f32x4.mul(f32x4.splat(newShare), g), g)),
    );
    v128.store(first, m);
    v128.store(second, s);
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(s, secondCorrection)), f32x4.splat(epsilon));
    const slope = madd(decay, x, f32x4.div(f32x4.mul(m, firstCorrection), root));
    v128.store(parameters, madd(rate, slope, x));
    parameters += VECTOR_BYTES;
    first += VECTOR_BYTES;
    second += VECTOR_BYTES;
    gradient += VECTOR_BYTES;
  }
}
