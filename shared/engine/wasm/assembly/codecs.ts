// Vectors for the wire (SPEC C): encoded block by block, with what the code leaves out kept on this side, and decoded onto a
// base. `shared/wire/codec/naive.ts` is the definition; `codec_halves.ts`, `codec_integers.ts` and `codec_picks.ts` have the
// codecs themselves.
//
// Every block passes through scratch of 2 * 128 elements, which stays in the first-level cache, so that a codec need not know
// what it encodes. `elements` is a multiple of 4; the last block is filled up with zeros, and nothing beyond `elements` is
// read or written.

import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from "./codec_halves";
import { decodeInt4, decodeInt8, encodeInt4, encodeInt8 } from "./codec_integers";
import { decodeSigns, decodeTop, encodeSigns, encodeTop } from "./codec_picks";
import { FLOAT_BYTES, VECTOR_BYTES } from "./lanes";

const BLOCK_BYTES: usize = 512;

// As in CODEC_NAMES of shared/wire/codec/codec.ts.
const F32: i32 = 0;
const F16: i32 = 1;
const BF16: i32 = 2;
const INT8: i32 = 3;
const INT4: i32 = 4;
const TOP_K: i32 = 5;

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
    const next = encodeBlock(codec, scratch, words, here);
    decodeBlock(codec, words, decoded, here);
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
    const next = encodeBlock(codec, scratch, words, here);
    decodeBlock(codec, words, decoded, here);
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
    words = decodeBlock(codec, words, scratch, here);
    for (let lane: usize = 0; lane < here; lane += VECTOR_BYTES) {
      v128.store(target + at + lane, f32x4.add(v128.load(target + at + lane), v128.load(scratch + lane)));
    }
  }
}

/** Encodes the 128 elements at `block`, `bytes` of which are the vector's, and returns where the next block's words begin. */
function encodeBlock(codec: i32, block: usize, words: usize, bytes: usize): usize {
  switch (codec) {
    case F32:
      memory.copy(words, block, bytes);
      return words + bytes;
    case F16:
      return encodeF16(block, words);
    case BF16:
      return encodeBf16(block, words);
    case INT8:
      return encodeInt8(block, words);
    case INT4:
      return encodeInt4(block, words);
    case TOP_K:
      return encodeTop(block, words);
    default:
      return encodeSigns(block, words);
  }
}

/** Decodes 128 elements, of f32 as many as there are, and returns where the next block's words begin. */
function decodeBlock(codec: i32, words: usize, block: usize, bytes: usize): usize {
  switch (codec) {
    case F32:
      memory.copy(block, words, bytes);
      return words + bytes;
    case F16:
      return decodeF16(words, block);
    case BF16:
      return decodeBf16(words, block);
    case INT8:
      return decodeInt8(words, block);
    case INT4:
      return decodeInt4(words, block);
    case TOP_K:
      return decodeTop(words, block);
    default:
      return decodeSigns(words, block);
  }
}
