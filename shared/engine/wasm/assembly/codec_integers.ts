// int8 and int4 with a scale for each block of 128 elements (SPEC C). A scale has 8 significant bits and a code 7, so that their
// product, a decoded value, is exact.

import { VECTOR_BYTES } from "./lanes";

const BLOCK_BYTES: usize = 512;
const WORD_BYTES: usize = 4;
const INT8_BYTES: usize = 132;
const INT4_BYTES: usize = 68;
const INT8_MOST: f32 = 127;
const INT4_MOST: f32 = 7;
/** 2^-100: below it a scale is zero. */
const LEAST_SCALE: f32 = 7.888609052210118e-31;
const NOT_A_NUMBER: u32 = 0x7fc00000;

/** A NaN or an infinity anywhere is the result. */
function magnitudeOf(block: usize): f32 {
  let most = f32x4.splat(0);
  for (let at: usize = 0; at < BLOCK_BYTES; at += VECTOR_BYTES) most = f32x4.max(most, f32x4.abs(v128.load(block + at)));
  const first = max<f32>(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
  return max<f32>(first, max<f32>(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)));
}

/** The least number of 8 significant bits that is not below `value` >= 0; 0 where that is too small, NaN for what is not finite. */
function scaleAbove(value: f32): f32 {
  if (!isFinite<f32>(value)) return reinterpret<f32>(NOT_A_NUMBER);
  const scale = reinterpret<f32>((reinterpret<u32>(value) + 0xffff) & 0xffff0000);
  return scale < LEAST_SCALE ? 0 : scale;
}

/** Stores the scale that `most` of stands for the greatest magnitude; false where every code is zero. */
// @ts-ignore: decorator
@inline
function storeScale(block: usize, words: usize, most: f32): f32 {
  const scale = scaleAbove(magnitudeOf(block) / most);
  store<f32>(words, scale);
  return scale;
}

/** Four codes, one in each lane: to nearest, ties to even. None is beyond the greatest, since the scale was rounded up. */
// @ts-ignore: decorator
@inline
function codes4(at: usize, scale: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(at), scale)));
}

/** Sixteen codes, one in each byte. */
// @ts-ignore: decorator
@inline
function codes16(at: usize, scale: v128): v128 {
  const first = i16x8.narrow_i32x4_s(codes4(at, scale), codes4(at + VECTOR_BYTES, scale));
  const second = i16x8.narrow_i32x4_s(codes4(at + 2 * VECTOR_BYTES, scale), codes4(at + 3 * VECTOR_BYTES, scale));
  return i8x16.narrow_i16x8_s(first, second);
}

/** Sixteen decoded values. */
// @ts-ignore: decorator
@inline
function storeValues16(at: usize, codes: v128, scale: v128): void {
  const low = i16x8.extend_low_i8x16_s(codes);
  const high = i16x8.extend_high_i8x16_s(codes);
  v128.store(at, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low))));
  v128.store(at, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low))), VECTOR_BYTES);
  v128.store(at, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high))), 2 * VECTOR_BYTES);
  v128.store(at, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high))), 3 * VECTOR_BYTES);
}

export function encodeInt8(block: usize, words: usize): usize {
  const scale = storeScale(block, words, INT8_MOST);
  const codes = words + WORD_BYTES;
  if (scale > 0) {
    for (let at: usize = 0; at < INT8_BYTES - WORD_BYTES; at += VECTOR_BYTES) {
      v128.store(codes + at, codes16(block + 4 * at, f32x4.splat(scale)));
    }
  } else {
    memory.fill(codes, 0, INT8_BYTES - WORD_BYTES);
  }
  return words + INT8_BYTES;
}

export function decodeInt8(words: usize, block: usize): usize {
  const scale = v128.load32_splat(words);
  const codes = words + WORD_BYTES;
  for (let at: usize = 0; at < INT8_BYTES - WORD_BYTES; at += VECTOR_BYTES) {
    storeValues16(block + 4 * at, v128.load(codes + at), scale);
  }
  return words + INT8_BYTES;
}

/** The codes of two neighbours in one byte, the first in the low half. Sixteen codes in, eight 16-bit lanes out. */
// @ts-ignore: decorator
@inline
function paired(codes: v128): v128 {
  return v128.or(
    v128.and(codes, i16x8.splat(0x0f)),
    v128.and(i16x8.shr_u(codes, 4), i16x8.splat(0xf0)),
  );
}

export function encodeInt4(block: usize, words: usize): usize {
  const scale = storeScale(block, words, INT4_MOST);
  const codes = words + WORD_BYTES;
  if (scale > 0) {
    const scales = f32x4.splat(scale);
    for (let at: usize = 0; at < INT4_BYTES - WORD_BYTES; at += VECTOR_BYTES) {
      const first = paired(codes16(block + 8 * at, scales));
      const second = paired(codes16(block + 8 * at + 4 * VECTOR_BYTES, scales));
      v128.store(codes + at, i8x16.narrow_i16x8_u(first, second));
    }
  } else {
    memory.fill(codes, 0, INT4_BYTES - WORD_BYTES);
  }
  return words + INT4_BYTES;
}

export function decodeInt4(words: usize, block: usize): usize {
  const scale = v128.load32_splat(words);
  const codes = words + WORD_BYTES;
  for (let at: usize = 0; at < INT4_BYTES - WORD_BYTES; at += VECTOR_BYTES) {
    const pairs = v128.load(codes + at);
    const low = i8x16.shr_s(i8x16.shl(pairs, 4), 4);
    const high = i8x16.shr_s(pairs, 4);
    const first = i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const second = i8x16.shuffle(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    storeValues16(block + 8 * at, first, scale);
    storeValues16(block + 8 * at + 4 * VECTOR_BYTES, second, scale);
  }
  return words + INT4_BYTES;
}
