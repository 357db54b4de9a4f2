/**
 * Decoding of the wire's codecs, as `shared/wire/codec/naive.ts` defines it, bit for bit: a vector's words become f32 values in an
 * area, with or without the base added, and a verdict on all of them.
 *
 * Block by block, first the decoded values, then the sum over what is in the nearest cache. The words may lie at the end of the
 * area that they are decoded into: with the last word at the end of the last whole block, what is written never reaches what is
 * still to be read. Of the last block only as many elements are written as the layout has, in whole cache lines; those
 * behind its end are zero, whatever the words say.
 */

import { BF16, BLOCK_ELEMENTS, blockBytes, F16, GROUP_BYTES, INT4, INT8, SIGN, TOP_K } from "./blocks";
import { floatOf, interleaveHigh, interleaveLow, storeHalves } from "./halves";
import { faultOf, SOUND } from "./verdicts";

/**
 * area = decoded, or base + decoded where `base` is not 0, and whether all of it is finite and at most `limit` in magnitude.
 * `count` elements, from the beginning of a block on, to the end of one or of the layout.
 */
export function decodeCoded(codec: i32, base: usize, words: usize, area: usize, count: usize, limit: f32): i32 {
  const bytes = blockBytes(codec);
  const start = area;
  let sound = i32x4.splat(-1);
  for (let left = count; left > 0; ) {
    const elements = min(left, BLOCK_ELEMENTS);
    decodeBlock(codec, words, area, elements);
    if (base != 0) {
      sound = v128.and(sound, addBase(base, area, elements, limit));
      base += BLOCK_ELEMENTS << 2;
    } else {
      sound = v128.and(sound, bounded(area, elements, limit));
    }
    area += BLOCK_ELEMENTS << 2;
    words += bytes;
    left -= elements;
  }
  return i32x4.all_true(sound) ? SOUND : faultOf(start, count);
}

/** The values of one block, of which `elements` count; zeros up to the end of their cache line. */
export function decodeBlock(codec: i32, words: usize, area: usize, elements: usize): void {
  const end = area + ((elements + 15) >>> 4) * GROUP_BYTES;
  switch (codec) {
    case F16:
      decodeF16(words, area, end);
      break;
    case BF16:
      decodeBf16(words, area, end);
      break;
    case INT8:
      decodeInt8(words, area, end);
      break;
    case INT4:
      decodeInt4(words, area, end);
      break;
    case TOP_K:
      decodeTop(words, area, end);
      break;
    case SIGN:
      decodeSigns(words, area, end);
      break;
    default:
      unreachable();
  }
  for (let padding = area + (elements << 2); padding < end; padding += 4) store<f32>(padding, 0);
}

/** area = base + area; all ones in every lane whose sums are sound. */
export function addBase(base: usize, area: usize, elements: usize, limit: f32): v128 {
  const bound = f32x4.splat(limit);
  const end = area + (elements << 2);
  let sound = i32x4.splat(-1);
  for (; area < end; area += GROUP_BYTES, base += GROUP_BYTES) {
    const s0 = f32x4.add(v128.load(base), v128.load(area));
    const s1 = f32x4.add(v128.load(base, 16), v128.load(area, 16));
    const s2 = f32x4.add(v128.load(base, 32), v128.load(area, 32));
    const s3 = f32x4.add(v128.load(base, 48), v128.load(area, 48));
    v128.store(area, s0);
    v128.store(area, s1, 16);
    v128.store(area, s2, 32);
    v128.store(area, s3, 48);
    const low = v128.and(f32x4.le(f32x4.abs(s0), bound), f32x4.le(f32x4.abs(s1), bound));
    const high = v128.and(f32x4.le(f32x4.abs(s2), bound), f32x4.le(f32x4.abs(s3), bound));
    sound = v128.and(sound, v128.and(low, high));
  }
  return sound;
}

function bounded(area: usize, elements: usize, limit: f32): v128 {
  const bound = f32x4.splat(limit);
  const end = area + (elements << 2);
  let sound = i32x4.splat(-1);
  for (; area < end; area += GROUP_BYTES) {
    const low = v128.and(f32x4.le(f32x4.abs(v128.load(area)), bound), f32x4.le(f32x4.abs(v128.load(area, 16)), bound));
    const s2 = v128.load(area, 32);
    const s3 = v128.load(area, 48);
    const high = v128.and(f32x4.le(f32x4.abs(s2), bound), f32x4.le(f32x4.abs(s3), bound));
    sound = v128.and(sound, v128.and(low, high));
  }
  return sound;
}

function decodeF16(words: usize, area: usize, end: usize): void {
  for (; area < end; area += GROUP_BYTES, words += 32) {
    const first = v128.load(words);
    const second = v128.load(words, 16);
    storeHalves(area, first);
    storeHalves(area + 32, second);
  }
}

function decodeBf16(words: usize, area: usize, end: usize): void {
  const zero = i16x8.splat(0);
  for (; area < end; area += GROUP_BYTES, words += 32) {
    const first = v128.load(words);
    const second = v128.load(words, 16);
    v128.store(area, interleaveLow(zero, first));
    v128.store(area, interleaveHigh(zero, first), 16);
    v128.store(area, interleaveLow(zero, second), 32);
    v128.store(area, interleaveHigh(zero, second), 48);
  }
}

/** Eight codes, in the 16-bit lanes of `codes`, times the scale. */
// @ts-ignore: decorator
@inline
function storeScaled(area: usize, codes: v128, scale: v128): void {
  v128.store(area, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes))));
  v128.store(area, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes))), 16);
}

function decodeInt8(words: usize, area: usize, end: usize): void {
  const scale = v128.load32_splat(words);
  for (words += 4; area < end; area += GROUP_BYTES, words += 16) {
    const codes = v128.load(words);
    storeScaled(area, i16x8.extend_low_i8x16_s(codes), scale);
    storeScaled(area + 32, i16x8.extend_high_i8x16_s(codes), scale);
  }
}

function decodeInt4(words: usize, area: usize, end: usize): void {
  const scale = v128.load32_splat(words);
  const signBit = i16x8.splat(8);
  for (words += 4; area < end; area += GROUP_BYTES, words += 8) {
    const pairs = v128.load8x8_u(words);
    const even = i16x8.sub(v128.xor(v128.and(pairs, i16x8.splat(15)), signBit), signBit);
    const odd = i16x8.sub(v128.xor(i16x8.shr_u(pairs, 4), signBit), signBit);
    storeScaled(area, interleaveLow(even, odd), scale);
    storeScaled(area + 32, interleaveHigh(even, odd), scale);
  }
}

/** Of two words for one element the later counts; an element behind `end` is none. */
function decodeTop(words: usize, area: usize, end: usize): void {
  const four = v128.load(words);
  const zero = f32x4.splat(0);
  for (let at = area; at < end; at += 16) v128.store(at, zero);
  scatter(i32x4.extract_lane(four, 0), area, end);
  scatter(i32x4.extract_lane(four, 1), area, end);
  scatter(i32x4.extract_lane(four, 2), area, end);
  scatter(i32x4.extract_lane(four, 3), area, end);
}

function scatter(word: u32, area: usize, end: usize): void {
  const at = area + ((<usize>word & (BLOCK_ELEMENTS - 1)) << 2);
  if (at < end) store<f32>(at, floatOf(word >>> 16));
}

/**
 * A word has the signs of eight groups of four. Times 8, 4, 2 and 1 each group has its signs one above the other, and one shift for all
 * four lanes brings them to the top, where they turn over the scale's.
 */
function decodeSigns(words: usize, area: usize, end: usize): void {
  const scale = v128.load32_splat(words);
  const top = i32x4.splat(0x80000000);
  for (words += 4; area < end; area += GROUP_BYTES, words += 2) {
    const bits = i32x4.mul(i32x4.splat(<i32>load<u16>(words)), i32x4(8, 4, 2, 1));
    v128.store(area, v128.xor(scale, v128.and(i32x4.shl(bits, 28), top)));
    v128.store(area, v128.xor(scale, v128.and(i32x4.shl(bits, 24), top)), 16);
    v128.store(area, v128.xor(scale, v128.and(i32x4.shl(bits, 20), top)), 32);
    v128.store(area, v128.xor(scale, v128.and(i32x4.shl(bits, 16), top)), 48);
  }
}
