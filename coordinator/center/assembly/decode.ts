/**
 * Decoding of the wire's codecs, as `shared/wire/codec/naive.ts` defines it, bit for bit: a vector's words become f32 values in an
 * area, with or without the base added, and a verdict on all of them.
 *
 * Block by block, first the decoded values, then the sum over what is in the nearest cache. The words may lie at the end of the
 * area that they are decoded into: with the last word at the end of the last whole block, what is written never reaches what is
 * still to be read. Of the last block only as many elements are written as the layout has, in whole cache lines; those
 * behind its end are zero, whatever the words say.
 *
 * With the base added this takes 0.9 times as long as a copy of the decoded vector does from int8, top-k and bf16, 1.0 and 1.1 times
 * from sign and int4, and twice as long from f16, whose denormals take their own way (f32's `decode`: 0.6 times; 431,080
 * elements, the best of 150 passes each, taken in turn; 2-core Xeon 2.5 GHz, 2026-11-21).
 */

import { BLOCK_ELEMENTS, blockBytes, GROUP_BYTES } from "../../../shared/engine/wasm/assembly/codec_blocks";
import { decodeBlock } from "../../../shared/engine/wasm/assembly/codec_decoding";
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
