// The few vector words that all kernels share. A vector is four f32 lanes.

export const FLOAT_BYTES: usize = 4;
export const VECTOR_BYTES: usize = 16;

/** a * b + c; fused where the module is built with relaxed SIMD. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/** Stores the first `count` lanes; four or more store all, none or fewer nothing. */
// @ts-ignore: decorator
@inline
export function storeFirst(at: usize, value: v128, count: i32): void {
  if (count >= 4) {
    v128.store(at, value);
  } else if (count > 0) {
    if (count & 2) {
      v128.store_lane<u64>(at, value, 0);
      if (count & 1) v128.store_lane<u32>(at, value, 2, 8);
    } else {
      v128.store_lane<u32>(at, value, 0);
    }
  }
}
