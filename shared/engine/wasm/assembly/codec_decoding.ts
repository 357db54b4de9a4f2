/**
 * The words of each codec into blocks of 128 elements, as `shared/wire/codec/naive.ts` defines it, bit for bit, whatever the words
 * say. Used by the engine's kernels and by the center's.
 */

import { BF16, BLOCK_ELEMENTS, F16, GROUP_BYTES, INT4, INT8, SIGN, TOP_K } from "./codec_blocks";
import { floatOf, interleaveHigh, interleaveLow, storeHalves } from "./codec_halves";

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
