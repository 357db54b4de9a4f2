/**
 * f16 and f32 into each other, four at a time, exact for every finite half and rounded to nearest even on the way there. All by
 * integer operations and one addition or product of normal numbers: the shorter way, shifting the bits and multiplying by
 * 2^112, passes through denormals of f32, and is 14 times slower wherever values are below 6e-5, as differences are.
 */

/** f32 from the low half of each lane; the upper half is zero. */
// @ts-ignore: decorator
@inline
export function fromHalves(halves: v128): v128 {
  const sign = i32x4.shl(v128.and(halves, i32x4.splat(0x8000)), 16);
  const magnitude = v128.and(halves, i32x4.splat(0x7fff));
  const rebased = i32x4.add(i32x4.shl(magnitude, 13), i32x4.splat(0x38000000));
  const special = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x7bff)), i32x4.splat(0x38000000));
  const normal = i32x4.add(rebased, special);
  const denormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(5.960464477539063e-8));
  const isDenormal = i32x4.lt_s(magnitude, i32x4.splat(0x400));
  return v128.or(sign, v128.bitselect(denormal, normal, isDenormal));
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
