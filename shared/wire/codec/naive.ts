/**
 * The codecs in plain code: what the kernels are fuzzed against, and what encodes where no kernel does. All arithmetic is f32.
 *
 * A decoded value is exact in f32 before it is added to anything: a scale has 8 significant bits and a code 7, so that their
 * product has no rounding, whether or not a compiler fuses it with the addition that follows. Replica and coordinator therefore
 * hold the same base bit for bit, on every device (SPEC C2).
 */

import { BLOCK_ELEMENTS, BLOCK_WORDS, encodedBytes, TOP_ELEMENTS, type CodecName } from "./codec.ts";

/** Below this a scale is zero: its products would leave f32's normal range, which some devices flush. */
const LEAST_SCALE = 2 ** -100;
const GREATEST_F16 = 65_504;
const INT8_MOST = 127;
const INT4_MOST = 7;

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);
const halves = new Float16Array(1);
const halfBits = new Uint16Array(halves.buffer);

function bitsOf(value: number): number {
  floats[0] = value;
  return bits[0]!;
}

function floatOf(word: number): number {
  bits[0] = word;
  return floats[0]!;
}

function f16BitsOf(value: number): number {
  halves[0] = value;
  return halfBits[0]!;
}

function f16Of(word: number): number {
  halfBits[0] = word;
  return halves[0]!;
}

/** To nearest, ties to even; a NaN stays one. */
function bf16BitsOf(value: number): number {
  const word = bitsOf(value);
  if (Number.isNaN(value)) return (word >>> 16) | 0x40;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

/** The least number of 8 significant bits that is not below `value` >= 0; 0 where that is too small, NaN for what is not finite. */
function scaleAbove(value: number): number {
  if (!Number.isFinite(value)) return NaN;
  const scale = floatOf((bitsOf(value) + 0xffff) & 0xffff_0000);
  return scale < LEAST_SCALE ? 0 : scale;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `values`: from the beginning of a block on. Returns as many bytes as `encodedBytes` says. */
export function encode(codec: CodecName, values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(encodedBytes(codec, values.length));
  if (codec === "f32") {
    new Float32Array(bytes.buffer).set(values);
    return bytes;
  }
  const words = new Uint32Array(bytes.buffer);
  const block = new Float32Array(BLOCK_ELEMENTS);
  for (let from = 0, at = 0; from < values.length; from += BLOCK_ELEMENTS, at += BLOCK_WORDS[codec]) {
    block.fill(0);
    block.set(values.subarray(from, from + BLOCK_ELEMENTS));
    encodeBlock(codec, block, words.subarray(at, at + BLOCK_WORDS[codec]));
  }
  return bytes;
}

/** What `bytes` says, `elements` of it. A vector that was not finite comes out as NaN or infinite somewhere. */
export function decode(codec: CodecName, bytes: Uint8Array, elements: number): Float32Array<ArrayBuffer> {
  const aligned = bytes.slice();
  if (codec === "f32") return new Float32Array(aligned.buffer, 0, elements);
  const words = new Uint32Array(aligned.buffer);
  const values = new Float32Array(BLOCK_ELEMENTS * Math.ceil(elements / BLOCK_ELEMENTS));
  for (let from = 0, at = 0; from < elements; from += BLOCK_ELEMENTS, at += BLOCK_WORDS[codec]) {
    decodeBlock(codec, words.subarray(at, at + BLOCK_WORDS[codec]), values.subarray(from, from + BLOCK_ELEMENTS));
  }
  return values.slice(0, elements);
}

type BlockCodec = Exclude<CodecName, "f32">;

function encodeBlock(codec: BlockCodec, block: Float32Array, words: Uint32Array): void {
  switch (codec) {
    case "f16":
      return pack(words, 0, 16, block.length, (index) => f16BitsOf(block[index]!));
    case "bf16":
      return pack(words, 0, 16, block.length, (index) => bf16BitsOf(block[index]!));
    case "int8":
      return encodeIntegers(block, words, 8, INT8_MOST);
    case "int4":
      return encodeIntegers(block, words, 4, INT4_MOST);
    case "top-k":
      return encodeTop(block, words);
    case "sign":
      return encodeSigns(block, words);
    default:
      return codec satisfies never;
  }
}

function decodeBlock(codec: BlockCodec, words: Uint32Array, block: Float32Array): void {
  const each = (value: (index: number) => number): void => {
    for (let index = 0; index < block.length; index++) block[index] = value(index);
  };
  const scale = floatOf(words[0]!);
  switch (codec) {
    case "f16":
      return each((index) => f16Of(unpack(words, 0, 16, index)));
    case "bf16":
      return each((index) => floatOf(unpack(words, 0, 16, index) << 16));
    case "int8":
      return each((index) => scale * ((unpack(words, 1, 8, index) << 24) >> 24));
    case "int4":
      return each((index) => scale * ((unpack(words, 1, 4, index) << 28) >> 28));
    case "top-k":
      // Of two words for one element the later counts.
      for (const word of words) block[word & (BLOCK_ELEMENTS - 1)] = f16Of(word >>> 16);
      return;
    case "sign":
      return each((index) => (unpack(words, 1, 1, index) === 1 ? -scale : scale));
    default:
      return codec satisfies never;
  }
}

/** Codes of `width` bits each, the first in the lowest bits, behind `firstWord`. */
function pack(
  words: Uint32Array,
  firstWord: number,
  width: number,
  count: number,
  code: (index: number) => number,
): void {
  const perWord = 32 / width;
  words.fill(0, firstWord);
  for (let index = 0; index < count; index++) {
    const kept = width === 32 ? code(index) : code(index) & ((1 << width) - 1);
    const at = firstWord + Math.floor(index / perWord);
    words[at] = (words[at]! | (kept << (width * (index % perWord)))) >>> 0;
  }
}

function unpack(words: Uint32Array, firstWord: number, width: number, index: number): number {
  const perWord = 32 / width;
  return (words[firstWord + Math.floor(index / perWord)]! >>> (width * (index % perWord))) & ((1 << width) - 1);
}

function magnitudeOf(block: Float32Array): number {
  // A NaN anywhere is the result.
  return block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Word 0 is the scale, an f32: greatest magnitude / `most`, rounded up to 8 significant bits. Then two's complement codes. */
function encodeIntegers(block: Float32Array, words: Uint32Array, width: number, most: number): void {
  const scale = scaleAbove(Math.fround(magnitudeOf(block) / most));
  words[0] = bitsOf(scale);
  pack(words, 1, width, block.length, (index) => {
    if (!(scale > 0)) return 0;
    return Math.max(-most, Math.min(most, roundHalfEven(Math.fround(block[index]! / scale))));
  });
}

/** Word 0 is the scale, an f32: the mean magnitude, to 8 significant bits. Then a bit for each element, 1 where it is negative. */
function encodeSigns(block: Float32Array, words: Uint32Array): void {
  const sum = block.reduce((total, value) => total + Math.abs(value), 0);
  const mean = Math.fround(sum / block.length);
  const scale = Number.isFinite(mean) ? floatOf(bf16BitsOf(mean) << 16) : NaN;
  words[0] = bitsOf(scale < LEAST_SCALE ? 0 : scale);
  pack(words, 1, 1, block.length, (index) => (block[index]! < 0 ? 1 : 0));
}

/** A word for each of the greatest magnitudes (of equal ones the first): the element's index, and above it its value as f16. */
function encodeTop(block: Float32Array, words: Uint32Array): void {
  const magnitude = (index: number): number => {
    const value = Math.abs(block[index]!);
    return Number.isNaN(value) ? Infinity : value;
  };
  const order = Array.from(block.keys()).toSorted((a, b) => magnitude(b) - magnitude(a) || a - b);
  for (let rank = 0; rank < TOP_ELEMENTS; rank++) {
    const index = order[rank]!;
    const value = block[index]!;
    const within = Number.isFinite(value) ? Math.max(-GREATEST_F16, Math.min(GREATEST_F16, value)) : NaN;
    words[rank] = ((f16BitsOf(within) << 16) | index) >>> 0;
  }
}

/** Whether what was encoded was finite: a NaN or an infinity is still one in every codec. */
export function isFinitePayload(codec: CodecName, bytes: Uint8Array, elements: number): boolean {
  return decode(codec, bytes, elements).every(Number.isFinite);
}
