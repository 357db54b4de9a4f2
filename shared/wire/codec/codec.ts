/**
 * How a vector travels (SPEC C): the codecs by name, the blocks that they work in, and how long what they make is. Encoding and
 * decoding is done by kernels (engine/webgpu, engine/wasm, coordinator/center); `naive.ts` says in plain code what each of them
 * has to compute.
 *
 * Every codec but f32 makes whole u32 words for each block of 128 elements, one block after the other, so that any range of
 * blocks is a piece of its own. The last block of a layout is filled up with zeros.
 */

export const CODEC_NAMES = ["f32", "f16", "bf16", "int8", "int4", "top-k", "sign"] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

export const BLOCK_ELEMENTS = 128;
/** Of each block, by the codec top-k. */
export const TOP_ELEMENTS = 4;

/** u32 words that one block takes; of f32 a block may be cut short by the layout's end. */
export const BLOCK_WORDS: Readonly<Record<CodecName, number>> = {
  f32: BLOCK_ELEMENTS,
  f16: BLOCK_ELEMENTS / 2,
  bf16: BLOCK_ELEMENTS / 2,
  int8: 1 + BLOCK_ELEMENTS / 4,
  int4: 1 + BLOCK_ELEMENTS / 8,
  "top-k": TOP_ELEMENTS,
  sign: 1 + BLOCK_ELEMENTS / 32,
};

/** Length of `elements` elements, from the beginning of a block to the end of one or of the layout. */
export function encodedBytes(codec: CodecName, elements: number): number {
  if (codec === "f32") return 4 * elements;
  return 4 * BLOCK_WORDS[codec] * Math.ceil(elements / BLOCK_ELEMENTS);
}

export function isCodecName(text: string): text is CodecName {
  return (CODEC_NAMES as readonly string[]).includes(text);
}

/** A range of elements of a layout: both ends are multiples of a block, or the layout's end. */
export interface Fragment {
  readonly fromElement: number;
  readonly toElement: number;
}

/** The `index`-th of `count` fragments of a layout, of about equally many blocks. A count beyond the blocks leaves some empty. */
export function fragmentOf(elements: number, count: number, index: number): Fragment {
  const blocks = Math.ceil(elements / BLOCK_ELEMENTS);
  const edge = (part: number): number => Math.min(elements, BLOCK_ELEMENTS * Math.floor((blocks * part) / count));
  return { fromElement: edge(index), toElement: edge(index + 1) };
}

export function wholeOf(elements: number): Fragment {
  return { fromElement: 0, toElement: elements };
}
