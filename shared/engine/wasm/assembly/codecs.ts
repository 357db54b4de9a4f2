// Vectors for the wire (SPEC C): encoded block by block, with what the code leaves out kept on this side, and decoded onto a
// base. `codec_encoding.ts` and `codec_decoding.ts` have the codecs themselves.
//
// Every block passes through scratch of 2 * 128 elements, which stays in the first-level cache, so that a codec need not know
// what it encodes. `elements` is a multiple of 4; the last block is filled up with zeros, and nothing beyond `elements` is
// read or written.
//
// Of 443,840 elements encoding a difference takes 1.3 (bf16), 1.5 (int8, int4, sign), 2.2 (f16) and 3 times (top-k) as long as
// `takeDifference`, and `addDecoded` 0.4 to 0.7 times, with the target in the cache. Codecs interleaved, the fastest quarter of 25
// rounds, Node 24, 2-core Xeon 2.5 GHz with busy neighbours, 2026-11-21.

import { BLOCK_ELEMENTS, blockBytes } from "./codec_blocks";
import { decodeBlock } from "./codec_decoding";
import { encodeBlock } from "./codec_encoding";
import { FLOAT_BYTES, VECTOR_BYTES } from "./lanes";

const BLOCK_BYTES: usize = BLOCK_ELEMENTS * FLOAT_BYTES;
/** As in CODEC_NAMES of `shared/wire/codec/codec.ts`; `codec_blocks.ts` has the others. */
const F32: i32 = 0;

/** payload <- encoded(from - base) ; sent <- base + decoded(payload). `sent` may be `base`. */
export function encodeDifference(
  codec: i32, from: usize, base: usize, sent: usize, payload: usize, elements: i32, scratch: usize,
): void {
  const bytes = (<usize>elements) * FLOAT_BYTES;
  const decoded = scratch + BLOCK_BYTES;
  let words = payload;
  for (let at: usize = 0; at < bytes; at += BLOCK_BYTES) {
    const here = min(BLOCK_BYTES, bytes - at);
    for (let lane: usize = 0; lane < here; lane += VECTOR_BYTES) {
      v128.store(scratch + lane, f32x4.sub(v128.load(from + at + lane), v128.load(base + at + lane)));
    }
    memory.fill(scratch + here, 0, BLOCK_BYTES - here);
    const next = encodeWhole(codec, scratch, words, here);
    decodeWhole(codec, words, decoded, here);
    words = next;
    for (let lane: usize = 0; lane < here; lane += VECTOR_BYTES) {
      v128.store(sent + at + lane, f32x4.add(v128.load(base + at + lane), v128.load(decoded + lane)));
    }
  }
}

/** payload <- encoded(gradient + residual) ; residual <- gradient + residual - decoded(payload). */
export function encodeGradient(
  codec: i32, gradient: usize, residual: usize, payload: usize, elements: i32, scratch: usize,
): void {
  const bytes = (<usize>elements) * FLOAT_BYTES;
  const decoded = scratch + BLOCK_BYTES;
  let words = payload;
  for (let at: usize = 0; at < bytes; at += BLOCK_BYTES) {
    const here = min(BLOCK_BYTES, bytes - at);
    for (let lane: usize = 0; lane < here; lane += VECTOR_BYTES) {
      v128.store(scratch + lane, f32x4.add(v128.load(gradient + at + lane), v128.load(residual + at + lane)));
    }
    memory.fill(scratch + here, 0, BLOCK_BYTES - here);
    const next = encodeWhole(codec, scratch, words, here);
    decodeWhole(codec, words, decoded, here);
    words = next;
    for (let lane: usize = 0; lane < here; lane += VECTOR_BYTES) {
      v128.store(residual + at + lane, f32x4.sub(v128.load(scratch + lane), v128.load(decoded + lane)));
    }
  }
}

/** target <- target + decoded(payload). */
export function addDecoded(codec: i32, payload: usize, target: usize, elements: i32, scratch: usize): void {
  const bytes = (<usize>elements) * FLOAT_BYTES;
  let words = payload;
  for (let at: usize = 0; at < bytes; at += BLOCK_BYTES) {
    const here = min(BLOCK_BYTES, bytes - at);
    words = decodeWhole(codec, words, scratch, here);
    for (let lane: usize = 0; lane < here; lane += VECTOR_BYTES) {
      v128.store(target + at + lane, f32x4.add(v128.load(target + at + lane), v128.load(scratch + lane)));
    }
  }
}

/** Words of the 128 elements at `block`, `bytes` of which are the vector's; returns where the next block's words begin. */
function encodeWhole(codec: i32, block: usize, words: usize, bytes: usize): usize {
  if (codec == F32) {
    memory.copy(words, block, bytes);
    return words + bytes;
  }
  encodeBlock(codec, block, words, BLOCK_ELEMENTS);
  return words + blockBytes(codec);
}

/** The 128 elements that the words say, of f32 as many as there are; returns where the next block's words begin. */
function decodeWhole(codec: i32, words: usize, block: usize, bytes: usize): usize {
  if (codec == F32) {
    memory.copy(block, words, bytes);
    return words + bytes;
  }
  decodeBlock(codec, words, block, BLOCK_ELEMENTS);
  return words + blockBytes(codec);
}
