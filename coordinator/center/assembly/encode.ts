/**
 * Encoding by the wire's codecs, as `shared/wire/codec/naive.ts` defines it, word for word: the way from one vector to another, and
 * where somebody stands who goes that way as it was encoded. That is how the center is published (SPEC X18), and how a
 * simulated replica pushes.
 *
 * Each block is read once, so that threads may move the target meanwhile: the differences are kept in `next` until they are
 * encoded, and `next` is decoded from the very words that the others get. A publication costs as much as 2 copies of the center in bf16
 * and sign, 2.5 in int8 and int4, 5 in top-k and f16, where the halves' rounding is what takes long (measured as in `decode.ts`).
 */

import { BLOCK_ELEMENTS, blockBytes, GROUP_BYTES } from "../../../shared/engine/wasm/assembly/codec_blocks";
import { decodeBlock } from "../../../shared/engine/wasm/assembly/codec_decoding";
import { encodeBlock } from "../../../shared/engine/wasm/assembly/codec_encoding";
import { addBase } from "./decode";
import { faultOf, SOUND } from "./verdicts";

/**
 * words = encoded(target - previous); next = previous + decoded(words), and whether that is finite. `count` elements, from the
 * beginning of a block on, to the end of one or of the layout; the padding of all vectors is zero.
 */
export function encode(
  codec: i32, target: usize, previous: usize, next: usize, words: usize, count: usize,
): i32 {
  const bytes = blockBytes(codec);
  const start = next;
  let sound = i32x4.splat(-1);
  for (let left = count; left > 0; ) {
    const elements = min(left, BLOCK_ELEMENTS);
    subtract(target, previous, next, elements);
    if (elements < BLOCK_ELEMENTS) memory.fill(words, 0, bytes);
    encodeBlock(codec, next, words, elements);
    decodeBlock(codec, words, next, elements);
    sound = v128.and(sound, addBase(previous, next, elements, f32.MAX_VALUE));
    target += BLOCK_ELEMENTS << 2;
    previous += BLOCK_ELEMENTS << 2;
    next += BLOCK_ELEMENTS << 2;
    words += bytes;
    left -= elements;
  }
  return i32x4.all_true(sound) ? SOUND : faultOf(start, count);
}

function subtract(target: usize, previous: usize, next: usize, elements: usize): void {
  const end = next + (elements << 2);
  for (; next < end; next += GROUP_BYTES, target += GROUP_BYTES, previous += GROUP_BYTES) {
    v128.store(next, f32x4.sub(v128.load(target), v128.load(previous)));
    v128.store(next, f32x4.sub(v128.load(target, 16), v128.load(previous, 16)), 16);
    v128.store(next, f32x4.sub(v128.load(target, 32), v128.load(previous, 32)), 32);
    v128.store(next, f32x4.sub(v128.load(target, 48), v128.load(previous, 48)), 48);
  }
}
