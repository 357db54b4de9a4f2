// f16 and bf16, two elements a word, for blocks of 128 elements. Rounded to nearest, ties to even, on the integer bits: the
// usual multiplication by 2^112 is ten times slower where f16's denormals make f32's of it (SPEC C).

import { VECTOR_BYTES } from "./lanes";

const BLOCK_BYTES: usize = 512;
const HALF_BLOCK_BYTES: usize = 256;

/** The f16 bits of four f32, one in each 32-bit lane. */
// @ts-ignore: decorator
@inline
export function f16Bits4(value: v128): v128 {
  const sign = v128.and(i32x4.shr_u(value, 16), i32x4.splat(0x8000));
  const magnitude = v128.and(value, i32x4.splat(0x7fffffff));
  // Of the exponent 15 - 127; what is rounded up beyond 65504 becomes an infinity by itself.
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rebiased = i32x4.add(i32x4.add(magnitude, i32x4.splat(0xc8000fff)), odd);
  const normal = i32x4.shr_u(rebiased, 13);
  // Adding a half rounds at the last bit of an f16 denormal, 2^-24.
  const half = f32x4.splat(0.5);
  const denormal = i32x4.sub(f32x4.add(magnitude, half), half);
  const finite = v128.bitselect(denormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  const isNaN = i32x4.gt_s(magnitude, i32x4.splat(0x7f800000));
  const beyond = v128.bitselect(i32x4.splat(0x7e00), i32x4.splat(0x7c00), isNaN);
  return v128.or(sign, v128.bitselect(beyond, finite, i32x4.gt_s(magnitude, i32x4.splat(0x477fffff))));
}

/** What the f16 in the low half of each 32-bit lane is; the high half is zero. */
// @ts-ignore: decorator
@inline
export function f16Values4(bits: v128): v128 {
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  const magnitude = v128.and(bits, i32x4.splat(0x7fff));
  const normal = i32x4.add(i32x4.shl(magnitude, 13), i32x4.splat(0x38000000));
  const beyond = i32x4.add(normal, i32x4.splat(0x38000000));
  const denormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(5.960464477539063e-8));
  const finite = v128.bitselect(denormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x0400)));
  return v128.or(sign, v128.bitselect(beyond, finite, i32x4.gt_s(magnitude, i32x4.splat(0x7bff))));
}

// @ts-ignore: decorator
@inline
function bf16Bits4(value: v128): v128 {
  const high = i32x4.shr_u(value, 16);
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(value, i32x4.splat(0x7fff)), v128.and(high, i32x4.splat(1))), 16);
  const isNaN = f32x4.ne(value, value);
  return v128.bitselect(v128.or(high, i32x4.splat(0x40)), rounded, isNaN);
}

export function encodeF16(block: usize, words: usize): usize {
  for (let at: usize = 0; at < HALF_BLOCK_BYTES; at += VECTOR_BYTES) {
    const low = f16Bits4(v128.load(block + 2 * at));
    const high = f16Bits4(v128.load(block + 2 * at, VECTOR_BYTES));
    v128.store(words + at, i16x8.narrow_i32x4_u(low, high));
  }
  return words + HALF_BLOCK_BYTES;
}

export function decodeF16(words: usize, block: usize): usize {
  for (let at: usize = 0; at < HALF_BLOCK_BYTES; at += VECTOR_BYTES) {
    const bits = v128.load(words + at);
    v128.store(block + 2 * at, f16Values4(i32x4.extend_low_i16x8_u(bits)));
    v128.store(block + 2 * at, f16Values4(i32x4.extend_high_i16x8_u(bits)), VECTOR_BYTES);
  }
  return words + HALF_BLOCK_BYTES;
}

export function encodeBf16(block: usize, words: usize): usize {
  for (let at: usize = 0; at < HALF_BLOCK_BYTES; at += VECTOR_BYTES) {
    const low = bf16Bits4(v128.load(block + 2 * at));
    const high = bf16Bits4(v128.load(block + 2 * at, VECTOR_BYTES));
    v128.store(words + at, i16x8.narrow_i32x4_u(low, high));
  }
  return words + HALF_BLOCK_BYTES;
}

export function decodeBf16(words: usize, block: usize): usize {
  for (let at: usize = 0; at < BLOCK_BYTES; at += 2 * VECTOR_BYTES) {
    const bits = v128.load(words + at / 2);
    v128.store(block + at, i32x4.shl(i32x4.extend_low_i16x8_u(bits), 16));
    v128.store(block + at, i32x4.shl(i32x4.extend_high_i16x8_u(bits), 16), VECTOR_BYTES);
  }
  return words + HALF_BLOCK_BYTES;
}
