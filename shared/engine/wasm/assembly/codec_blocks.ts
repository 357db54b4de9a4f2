/** What the codecs' kernels agree on (`shared/wire/codec/codec.ts`): their numbers, and the words of a block. */

export const F16: i32 = 1;
export const BF16: i32 = 2;
export const INT8: i32 = 3;
export const INT4: i32 = 4;
export const TOP_K: i32 = 5;
export const SIGN: i32 = 6;

export const BLOCK_ELEMENTS: usize = 128;
/** Elements that one turn of a loop takes are a cache line of f32. */
export const GROUP_BYTES: usize = 64;

/** Bytes of one block's words. */
export function blockBytes(codec: i32): usize {
  switch (codec) {
    case F16:
    case BF16:
      return 256;
    case INT8:
      return 132;
    case INT4:
      return 68;
    case TOP_K:
      return 16;
    case SIGN:
      return 20;
    default:
      return unreachable();
  }
}
