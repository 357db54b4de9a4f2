// The codecs that leave most of a block of 128 elements to the next exchange (SPEC C): the greatest four (top-k), and the signs
// with one magnitude for all.

import { f16Bits4, f16Values4 } from "./codec_halves";
import { VECTOR_BYTES } from "./lanes";

const BLOCK_BYTES: usize = 512;
const WORD_BYTES: usize = 4;
const TOP_BYTES: usize = 16;
const SIGN_WORDS: usize = 4;
/** Elements whose signs are one word. */
const SIGNS_BYTES: usize = 128;
const INDEX_MASK: u32 = 127;
const INFINITY_BITS: i32 = 0x7f800000;
const NOT_A_NUMBER: u32 = 0x7fc00000;
const F16_NOT_A_NUMBER: u32 = 0x7e00;
const GREATEST_F16: f32 = 65504;
const LEAST_SCALE: f32 = 7.888609052210118e-31;
/** Stands in the block for an element that was taken: a NaN that no arithmetic makes. */
const TAKEN: u32 = 0xffffffff;

/** A word for each of the greatest magnitudes, of equal ones the first. */
export function encodeTop(block: usize, words: usize): usize {
  const first = pick(block, words);
  const second = pick(block, words + WORD_BYTES);
  const third = pick(block, words + 2 * WORD_BYTES);
  const fourth = pick(block, words + 3 * WORD_BYTES);
  putBack(block, words, first);
  putBack(block, words + WORD_BYTES, second);
  putBack(block, words + 2 * WORD_BYTES, third);
  putBack(block, words + 3 * WORD_BYTES, fourth);
  return words + TOP_BYTES;
}

/** Stores the word of the greatest magnitude, marks the element as taken, and returns its bits. */
function pick(block: usize, word: usize): u32 {
  const index = greatest(block);
  const at = block + index * WORD_BYTES;
  const bits = load<u32>(at);
  store<u32>(word, (topBits(reinterpret<f32>(bits)) << 16) | <u32>index);
  store<u32>(at, TAKEN);
  return bits;
}

function putBack(block: usize, word: usize, bits: u32): void {
  store<u32>(block + (<usize>(load<u32>(word) & INDEX_MASK)) * WORD_BYTES, bits);
}

/** Index of the greatest magnitude that was not taken, of equal ones the first. */
function greatest(block: usize): usize {
  let best = i32x4.splat(-1);
  let bestAt = i32x4.splat(0);
  let here = i32x4(0, 1, 2, 3);
  for (let at: usize = 0; at < BLOCK_BYTES; at += VECTOR_BYTES) {
    const bits = v128.load(block + at);
    // Magnitudes are compared as whole numbers; a NaN counts as an infinity.
    const magnitude = i32x4.min_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(INFINITY_BITS));
    const key = v128.or(magnitude, i32x4.eq(bits, i32x4.splat(TAKEN)));
    const isGreater = i32x4.gt_s(key, best);
    best = v128.bitselect(key, best, isGreater);
    bestAt = v128.bitselect(here, bestAt, isGreater);
    here = i32x4.add(here, i32x4.splat(4));
  }
  let most = i32x4.extract_lane(best, 0);
  let index = i32x4.extract_lane(bestAt, 0);
  for (let lane = 1; lane < 4; lane++) {
    const key = laneOf(best, lane);
    const at = laneOf(bestAt, lane);
    if (key > most || (key == most && at < index)) {
      most = key;
      index = at;
    }
  }
  return <usize>index;
}

// @ts-ignore: decorator
@inline
function laneOf(vector: v128, lane: i32): i32 {
  if (lane == 1) return i32x4.extract_lane(vector, 1);
  return lane == 2 ? i32x4.extract_lane(vector, 2) : i32x4.extract_lane(vector, 3);
}

/** f16 bits of what is finite, at most f16's greatest; a NaN of all else. */
function topBits(value: f32): u32 {
  if (!isFinite<f32>(value)) return F16_NOT_A_NUMBER;
  const within = max<f32>(-GREATEST_F16, min<f32>(GREATEST_F16, value));
  return <u32>i32x4.extract_lane(f16Bits4(f32x4.splat(within)), 0);
}

/** Of two words for one element the later counts. */
export function decodeTop(words: usize, block: usize): usize {
  memory.fill(block, 0, BLOCK_BYTES);
  const bits = v128.load(words);
  const values = f16Values4(i32x4.shr_u(bits, 16));
  const at = v128.and(bits, i32x4.splat(INDEX_MASK));
  v128.store_lane<f32>(block + WORD_BYTES * i32x4.extract_lane(at, 0), values, 0);
  v128.store_lane<f32>(block + WORD_BYTES * i32x4.extract_lane(at, 1), values, 1);
  v128.store_lane<f32>(block + WORD_BYTES * i32x4.extract_lane(at, 2), values, 2);
  v128.store_lane<f32>(block + WORD_BYTES * i32x4.extract_lane(at, 3), values, 3);
  return words + TOP_BYTES;
}

/** The mean magnitude to 8 significant bits, to nearest, ties to even. Summed in f64, as the definition does. */
function meanScale(block: usize): f32 {
  let sums = f64x2.splat(0);
  for (let at: usize = 0; at < BLOCK_BYTES; at += VECTOR_BYTES) {
    const magnitudes = f32x4.abs(v128.load(block + at));
    const others = i8x16.shuffle(magnitudes, magnitudes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    sums = f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(magnitudes), f64x2.promote_low_f32x4(others)));
  }
  const mean = <f32>((f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)) / 128);
  if (!isFinite<f32>(mean)) return reinterpret<f32>(NOT_A_NUMBER);
  const bits = reinterpret<u32>(mean);
  const scale = reinterpret<f32>((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
  return scale < LEAST_SCALE ? 0 : scale;
}

export function encodeSigns(block: usize, words: usize): usize {
  store<f32>(words, meanScale(block));
  let from = block;
  for (let word: usize = 1; word <= SIGN_WORDS; word++, from += SIGNS_BYTES) {
    let signs: u32 = 0;
    for (let at: usize = 0; at < SIGNS_BYTES; at += VECTOR_BYTES) {
      const isNegative = f32x4.lt(v128.load(from + at), f32x4.splat(0));
      // Four bytes for each element here, a bit for each there.
      signs |= (<u32>i32x4.bitmask(isNegative)) << (<u32>at >> 2);
    }
    store<u32>(words + word * WORD_BYTES, signs);
  }
  return words + (1 + SIGN_WORDS) * WORD_BYTES;
}

export function decodeSigns(words: usize, block: usize): usize {
  const scale = v128.load32_splat(words);
  const ones = i32x4(1, 2, 4, 8);
  let to = block;
  for (let word: usize = 1; word <= SIGN_WORDS; word++, to += SIGNS_BYTES) {
    const signs = load<u32>(words + word * WORD_BYTES);
    for (let at: usize = 0; at < SIGNS_BYTES; at += VECTOR_BYTES) {
      const four = i32x4.splat(<i32>(signs >> (<u32>at >> 2)));
      const isNegative = i32x4.eq(v128.and(four, ones), ones);
      v128.store(to + at, v128.xor(scale, i32x4.shl(isNegative, 31)));
    }
  }
  return words + (1 + SIGN_WORDS) * WORD_BYTES;
}
