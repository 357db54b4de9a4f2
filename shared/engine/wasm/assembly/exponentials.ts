// Exponential and logarithm of four lanes, and what is made of them. NaN stays NaN: a diverged run must show it in its loss.

import { madd } from "./lanes";

const LOG2_E: f32 = 1.4426950408889634;
/** ln 2 in two parts; the first has few enough bits that its product with a whole number is exact. */
const LN_2_HIGH: f32 = 0.693359375;
const LN_2_LOW: f32 = -2.12194440e-4;

/** e^r - 1 for |r| <= ln 2 / 2 by its Taylor series, whose rest is below 6e-9 of r. */
// @ts-ignore: decorator
@inline
function powerLessOne(r: v128): v128 {
  let series = madd(r, f32x4.splat(<f32>(1.0 / 5040)), f32x4.splat(<f32>(1.0 / 720)));
  series = madd(r, series, f32x4.splat(<f32>(1.0 / 120)));
  series = madd(r, series, f32x4.splat(<f32>(1.0 / 24)));
  series = madd(r, series, f32x4.splat(<f32>(1.0 / 6)));
  series = madd(r, series, f32x4.splat(0.5));
  return madd(f32x4.mul(r, r), series, r);
}

// @ts-ignore: decorator
@inline
function wholePart(x: v128): v128 {
  return f32x4.nearest(f32x4.mul(x, f32x4.splat(LOG2_E)));
}

// @ts-ignore: decorator
@inline
function rest(x: v128, n: v128): v128 {
  return madd(n, f32x4.splat(-LN_2_LOW), madd(n, f32x4.splat(-LN_2_HIGH), x));
}

/** 2^n for whole n from -126 to 127. */
// @ts-ignore: decorator
@inline
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
}

/** e^x, relative error below 2e-7; x is taken as at least -80 and at most 88. */
// @ts-ignore: decorator
@inline
export function exponential4(x: v128): v128 {
  const inside = f32x4.min(f32x4.max(x, f32x4.splat(-80)), f32x4.splat(88));
  const n = wholePart(inside);
  const scale = powerOfTwo(n);
  return madd(scale, powerLessOne(rest(inside, n)), scale);
}

/** 1 / (1 + e^-x), relative error below 3e-7 where it is above 2e-35. */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const power = exponential4(f32x4.min(f32x4.neg(x), f32x4.splat(80)));
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), power));
}

/** tanh x = p / (p + 2), p = e^2x - 1, which is computed without cancellation: relative error below 5e-7. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const double = f32x4.min(f32x4.max(f32x4.add(x, x), f32x4.splat(-40)), f32x4.splat(40));
  const n = wholePart(double);
  const scale = powerOfTwo(n);
  const p = madd(scale, powerLessOne(rest(double, n)), f32x4.sub(scale, f32x4.splat(1)));
  return f32x4.div(p, f32x4.add(p, f32x4.splat(2)));
}

const SQUARE_ROOT_OF_HALF: f32 = 0.7071067811865476;

/** ln x for positive x: the exponent's part plus 2 artanh((m - 1) / (m + 1)) of the mantissa, error below 2e-7 of the larger. */
// @ts-ignore: decorator
@inline
export function logarithm4(x: v128): v128 {
  // Subtracting the root's bits puts the mantissa between the root of a half and that of two.
  const root = i32x4.splat(reinterpret<i32>(SQUARE_ROOT_OF_HALF));
  const shifted = i32x4.sub(x, root);
  const exponent = i32x4.shr_s(shifted, 23);
  const m = i32x4.add(v128.and(shifted, i32x4.splat(0x007fffff)), root);
  const t = f32x4.div(f32x4.sub(m, f32x4.splat(1)), f32x4.add(m, f32x4.splat(1)));
  const square = f32x4.mul(t, t);
  let series = madd(square, f32x4.splat(<f32>(2.0 / 9)), f32x4.splat(<f32>(2.0 / 7)));
  series = madd(square, series, f32x4.splat(<f32>(2.0 / 5)));
  series = madd(square, series, f32x4.splat(<f32>(2.0 / 3)));
  series = madd(square, series, f32x4.splat(2));
  const e = f32x4.convert_i32x4_s(exponent);
  return madd(e, f32x4.splat(LN_2_HIGH), madd(e, f32x4.splat(LN_2_LOW), f32x4.mul(t, series)));
}
