/**
 * f16 and f32 into each other, exact for every finite half and rounded to nearest even on the way there. All by
 * integer operations and one addition or product of normal numbers: the shorter way, shifting the bits and multiplying by
 * 2^112, passes through denormals of f32, and is 14 times slower wherever values are below 6e-5, as differences are.
 */

/**
 * Eight halves as f32, stored at `at`. What can be done with 16 bits is done to all eight at once: the upper half of each f32,
 * but for its sign. A denormal gets the exponent above its own and 2^-14 taken off again, which is exact.
 */
// @ts-ignore: decorator
@inline
export function storeHalves(at: usize, halves: v128): void {
  const sign = v128.and(halves, i16x8.splat(<i16>0x8000));
  const magnitude = v128.and(halves, i16x8.splat(0x7fff));
  const isDenormal = i16x8.lt_s(magnitude, i16x8.splat(0x400));
  const isSpecial = i16x8.gt_s(magnitude, i16x8.splat(0x7bff));
  const rebased = i16x8.add(i16x8.shr_u(magnitude, 3), i16x8.splat(0x3800));
  const special = i16x8.add(rebased, v128.and(isSpecial, i16x8.splat(0x3800)));
  const upper = i16x8.add(special, v128.and(isDenormal, i16x8.splat(0x80)));
  const lower = i16x8.shl(magnitude, 13);
  const excess = v128.and(isDenormal, i16x8.splat(0x3880));
  const zero = i16x8.splat(0);
  const low = f32x4.sub(interleaveLow(lower, upper), interleaveLow(zero, excess));
  const high = f32x4.sub(interleaveHigh(lower, upper), interleaveHigh(zero, excess));
  v128.store(at, v128.or(low, interleaveLow(zero, sign)));
  v128.store(at, v128.or(high, interleaveHigh(zero, sign)), 16);
}

/** A single one. */
export function floatOf(half: u32): f32 {
  const sign = (half & 0x8000) << 16;
  const magnitude = half & 0x7fff;
  if (magnitude < 0x400) return reinterpret<f32>(reinterpret<u32>(<f32>magnitude * 5.960464477539063e-8) | sign);
  const special: u32 = magnitude > 0x7bff ? 0x38000000 : 0;
  return reinterpret<f32>(((magnitude << 13) + 0x38000000 + special) | sign);
}

/** 16-bit lanes become the lower and upper halves of 32-bit ones. */
// @ts-ignore: decorator
@inline
export function interleaveLow(lower: v128, upper: v128): v128 {
  return i16x8.shuffle(lower, upper, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-ignore: decorator
@inline
export function interleaveHigh(lower: v128, upper: v128): v128 {
  return i16x8.shuffle(lower, upper, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** The half of each lane in its low bits. */
// @ts-ignore: decorator
@inline
export function toHalves(values: v128): v128 {
  const sign = v128.and(i32x4.shr_u(values, 16), i32x4.splat(0x8000));
  const magnitude = v128.and(values, i32x4.splat(0x7fffffff));
  const lowBit = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(magnitude, lowBit), i32x4.splat(0xfff - 0x38000000));
  const normal = i32x4.min_s(i32x4.shr_u(rounded, 13), i32x4.splat(0x7c00));
  // Beside 0.5 the unit in the last place is that of a denormal half: the addition rounds.
  const denormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const finite = v128.bitselect(denormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  const isNan = i32x4.gt_s(magnitude, i32x4.splat(0x7f800000));
  return v128.or(sign, v128.bitselect(i32x4.splat(0x7e00), finite, isNan));
}
