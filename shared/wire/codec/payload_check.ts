/**
 * Whether what was encoded was finite, seen from the payload alone (SPEC C5): a NaN or an infinity in a block is one in its scale,
 * or in an element's own bits. Looks at each word at most once, and decodes nothing.
 */

import { BLOCK_WORDS, type CodecName } from "./codec.ts";

const F32_EXPONENT = 0x7f80_0000;
const LOW_F16_EXPONENT = 0x7c00;
const HIGH_F16_EXPONENT = 0x7c00_0000;
const LOW_BF16_EXPONENT = 0x7f80;

/** `words`: as `encodedBytes` says. */
export function isFiniteEncoding(codec: CodecName, words: Uint32Array): boolean {
  switch (codec) {
    case "f32":
      return !hasAllOnes(words, 1, F32_EXPONENT);
    case "f16":
      return !hasAllOnes(words, 1, LOW_F16_EXPONENT, HIGH_F16_EXPONENT);
    case "bf16":
      return !hasAllOnes(words, 1, LOW_BF16_EXPONENT, F32_EXPONENT);
    case "int8":
    case "int4":
    case "sign":
      return !hasAllOnes(words, BLOCK_WORDS[codec], F32_EXPONENT);
    case "top-k":
      return !hasAllOnes(words, 1, HIGH_F16_EXPONENT);
    default:
      return codec satisfies never;
  }
}

/** Whether an exponent says infinite or NaN in every `step`-th word. */
function hasAllOnes(words: Uint32Array, step: number, exponent: number, other = exponent): boolean {
  for (let at = 0; at < words.length; at += step) {
    const word = words[at]!;
    if ((word & exponent) === exponent || (word & other) === other) return true;
  }
  return false;
}
