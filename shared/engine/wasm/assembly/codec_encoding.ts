/**
 * Blocks of 128 elements into the words of each codec, as `shared/wire/codec/naive.ts` defines them, word for word. Used by the
 * engine's kernels and by the center's.
 */

import { BF16, BLOCK_ELEMENTS, F16, GROUP_BYTES, INT4, INT8, SIGN, TOP_K } from "./codec_blocks";
import { toHalves } from "./codec_halves";

/** 2^-100: below it a scale is zero. */
const LEAST_SCALE: f32 = 7.888609052210118e-31;
const GREATEST_F16: f32 = 65504;
const INFINITY_BITS: i32 = 0x7f800000;
const MAGNITUDE_BITS: i32 = 0x7fffffff;

/** The words of a block's first `elements`; those of a cut block are zero before. */
export function encodeBlock(codec: i32, block: usize, words: usize, elements: usize): void {
  const end = block + ((elements + 15) >>> 4) * GROUP_BYTES;
  switch (codec) {
    case F16:
      return encodeF16(block, end, words);
    case BF16:
      return encodeBf16(block, end, words);
    case INT8:
      return encodeInt8(block, end, words);
    case INT4:
      return encodeInt4(block, end, words);
    case TOP_K:
      return encodeTop(block, end, words);
    case SIGN:
      return encodeSigns(block, end, words);
    default:
      unreachable();
  }
}

function encodeF16(block: usize, end: usize, words: usize): void {
  for (; block < end; block += 32, words += 16) {
    v128.store(words, i16x8.narrow_i32x4_u(toHalves(v128.load(block)), toHalves(v128.load(block, 16))));
  }
}

/** To nearest, ties to even; a NaN stays one. */
// @ts-ignore: decorator
@inline
function toBf16(values: v128): v128 {
  const upper = i32x4.shr_u(values, 16);
  const rounded = i32x4.add(i32x4.add(values, i32x4.splat(0x7fff)), v128.and(upper, i32x4.splat(1)));
  const isNumber = f32x4.eq(values, values);
  return v128.bitselect(i32x4.shr_u(rounded, 16), v128.or(upper, i32x4.splat(0x40)), isNumber);
}

function encodeBf16(block: usize, end: usize, words: usize): void {
  for (; block < end; block += 32, words += 16) {
    v128.store(words, i16x8.narrow_i32x4_u(toBf16(v128.load(block)), toBf16(v128.load(block, 16))));
  }
}

/** As integers magnitudes are in the order of their values, and a NaN is above them all. */
function greatestMagnitude(block: usize, end: usize): f32 {
  const kept = i32x4.splat(MAGNITUDE_BITS);
  let most = i32x4.splat(0);
  for (; block < end; block += 32) {
    const both = i32x4.max_s(v128.and(v128.load(block), kept), v128.and(v128.load(block, 16), kept));
    most = i32x4.max_s(most, both);
  }
  most = i32x4.max_s(most, i32x4.shuffle(most, most, 2, 3, 0, 1));
  most = i32x4.max_s(most, i32x4.shuffle(most, most, 1, 0, 3, 2));
  return f32x4.extract_lane(most, 0);
}

/** The least number of 8 significant bits that is not below `value` >= 0; 0 where that is too small, NaN for what is not finite. */
function scaleAbove(value: f32): f32 {
  if (!isFinite<f32>(value)) return f32.NaN;
  const scale = reinterpret<f32>((reinterpret<u32>(value) + 0xffff) & 0xffff0000);
  return scale < LEAST_SCALE ? 0 : scale;
}

/** value / scale to the nearest whole number, ties to even: four codes. The scale is such that none is beyond the greatest. */
// @ts-ignore: decorator
@inline
function codesOf(block: usize, scale: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(block), scale)));
}

function encodeInt8(block: usize, end: usize, words: usize): void {
  const factor = scaleAbove(greatestMagnitude(block, end) / 127);
  store<f32>(words, factor);
  if (!(factor > 0)) return memory.fill(words + 4, 0, 128);
  const scale = f32x4.splat(factor);
  for (words += 4; block < end; block += GROUP_BYTES, words += 16) {
    const low = i16x8.narrow_i32x4_s(codesOf(block, scale), codesOf(block + 16, scale));
    const high = i16x8.narrow_i32x4_s(codesOf(block + 32, scale), codesOf(block + 48, scale));
    v128.store(words, i8x16.narrow_i16x8_s(low, high));
  }
}

/** Eight codes in 16-bit lanes become the low bytes of four lanes: two codes each, the first in the lower bits. */
function encodeInt4(block: usize, end: usize, words: usize): void {
  const factor = scaleAbove(greatestMagnitude(block, end) / 7);
  store<f32>(words, factor);
  if (!(factor > 0)) return memory.fill(words + 4, 0, 64);
  const scale = f32x4.splat(factor);
  for (words += 4; block < end; block += GROUP_BYTES, words += 8) {
    const low = i16x8.narrow_i32x4_s(codesOf(block, scale), codesOf(block + 16, scale));
    const high = i16x8.narrow_i32x4_s(codesOf(block + 32, scale), codesOf(block + 48, scale));
    const bytes = i8x16.narrow_i16x8_s(low, high);
    const even = v128.and(bytes, i16x8.splat(0x0f));
    const odd = v128.and(i16x8.shr_u(bytes, 4), i16x8.splat(0xf0));
    const pairs = v128.or(even, odd);
    v128.store64_lane(words, i8x16.narrow_i16x8_u(pairs, pairs), 0);
  }
}

/** The sum is taken in double precision, where its order makes no difference that the scale's 8 bits would show. */
function encodeSigns(block: usize, end: usize, words: usize): void {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  for (let at = block; at < end; at += 16) {
    const values = f32x4.abs(v128.load(at));
    even = f64x2.add(even, f64x2.promote_low_f32x4(values));
    odd = f64x2.add(odd, f64x2.promote_low_f32x4(i32x4.shuffle(values, values, 2, 3, 0, 1)));
  }
  const both = f64x2.add(even, odd);
  const mean = <f32>((f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1)) / BLOCK_ELEMENTS);
  const half = i32x4.extract_lane(toBf16(f32x4.splat(mean)), 0) << 16;
  const scale = isFinite<f32>(mean) ? reinterpret<f32>(half) : f32.NaN;
  store<f32>(words, scale < LEAST_SCALE ? 0 : scale);
  const zero = f32x4.splat(0);
  for (words += 4; block < end; block += GROUP_BYTES, words += 2) {
    const s0 = f32x4.lt(v128.load(block), zero);
    const s1 = f32x4.lt(v128.load(block, 16), zero);
    const s2 = f32x4.lt(v128.load(block, 32), zero);
    const s3 = f32x4.lt(v128.load(block, 48), zero);
    const signs = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(s0, s1), i16x8.narrow_i32x4_s(s2, s3));
    store<u16>(words, <u16>i8x16.bitmask(signs));
  }
}

/**
 * The least of the lanes' maxima is at most the fourth greatest magnitude, so that only what reaches it, about eight of a block's
 * elements, has to be looked at one by one; of these the four greatest are kept in order, as their bits. What was there first
 * stays ahead of what is equal.
 */
function encodeTop(block: usize, end: usize, words: usize): void {
  const least = i32x4.splat(min(leastMaximum(block, end), INFINITY_BITS));
  let k0 = -1, k1 = -1, k2 = -1, k3 = -1;
  let i0 = 0, i1 = 0, i2 = 0, i3 = 0;
  for (let at = block, first = 0; at < end; at += GROUP_BYTES, first += 16) {
    for (let reached = reachedBy(at, least); reached != 0; reached &= reached - 1) {
      const index = first + ctz(reached);
      const key = min(<i32>(load<u32>(block + (<usize>index << 2)) & MAGNITUDE_BITS), INFINITY_BITS);
      if (key <= k3) continue;
      if (key > k1) {
        k3 = k2, i3 = i2;
        k2 = k1, i2 = i1;
        if (key > k0) {
          k1 = k0, i1 = i0;
          k0 = key, i0 = index;
        } else {
          k1 = key, i1 = index;
        }
      } else if (key > k2) {
        k3 = k2, i3 = i2;
        k2 = key, i2 = index;
      } else {
        k3 = key, i3 = index;
      }
    }
  }
  storeTop(words, block, i0);
  storeTop(words + 4, block, i1);
  storeTop(words + 8, block, i2);
  storeTop(words + 12, block, i3);
}

/** Of the four lanes, each over the whole block. */
function leastMaximum(block: usize, end: usize): i32 {
  const kept = i32x4.splat(MAGNITUDE_BITS);
  let most = i32x4.splat(0);
  for (; block < end; block += 16) most = i32x4.max_s(most, v128.and(v128.load(block), kept));
  most = i32x4.min_s(most, i32x4.shuffle(most, most, 2, 3, 0, 1));
  most = i32x4.min_s(most, i32x4.shuffle(most, most, 1, 0, 3, 2));
  return i32x4.extract_lane(most, 0);
}

/** A bit for each of 16 elements: whether its magnitude's bits are at least `least`. */
// @ts-ignore: decorator
@inline
function reachedBy(at: usize, least: v128): i32 {
  const kept = i32x4.splat(MAGNITUDE_BITS);
  const r0 = i32x4.ge_s(v128.and(v128.load(at), kept), least);
  const r1 = i32x4.ge_s(v128.and(v128.load(at, 16), kept), least);
  const r2 = i32x4.ge_s(v128.and(v128.load(at, 32), kept), least);
  const r3 = i32x4.ge_s(v128.and(v128.load(at, 48), kept), least);
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(r0, r1), i16x8.narrow_i32x4_s(r2, r3)));
}

/** An infinity becomes a NaN, and what is beyond f16 its greatest. */
function storeTop(words: usize, block: usize, index: i32): void {
  const value = load<f32>(block + (<usize>index << 2));
  const within = isFinite<f32>(value) ? max(-GREATEST_F16, min(GREATEST_F16, value)) : f32.NaN;
  store<i32>(words, (i32x4.extract_lane(toHalves(f32x4.splat(within)), 0) << 16) | index);
}
