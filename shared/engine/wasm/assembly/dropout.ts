// The dice of `engine/dice.ts`, bit for bit, one lane per element, and dropout by them.

import { storeFirst, VECTOR_BYTES } from "./lanes";

/** PCG's output function on 32 bits. */
export function mixed(word: u32): u32 {
  const state: u32 = word * 747796405 + 2891336453;
  const product: u32 = ((state >> ((state >> 28) + 4)) ^ state) * 277803737;
  return (product >> 22) ^ product;
}

/** What `randomWord` makes of seed, draw and salt before the element comes in. */
export function dieOf(seed: u32, draw: u32, salt: u32): u32 {
  return mixed(draw ^ mixed(seed ^ mixed(salt)));
}

/** `mixed` of four lanes. A lane's own shift is put together from the bits of its length. */
// @ts-ignore: decorator
@inline
function mixed4(word: v128): v128 {
  const state = i32x4.add(i32x4.mul(word, i32x4.splat(747796405)), i32x4.splat(-1403630843));
  let shifted = i32x4.shr_u(state, 4);
  shifted = v128.bitselect(i32x4.shr_u(shifted, 8), shifted, i32x4.shr_s(state, 31));
  shifted = v128.bitselect(i32x4.shr_u(shifted, 4), shifted, i32x4.shr_s(i32x4.shl(state, 1), 31));
  shifted = v128.bitselect(i32x4.shr_u(shifted, 2), shifted, i32x4.shr_s(i32x4.shl(state, 2), 31));
  shifted = v128.bitselect(i32x4.shr_u(shifted, 1), shifted, i32x4.shr_s(i32x4.shl(state, 3), 31));
  const product = i32x4.mul(v128.xor(shifted, state), i32x4.splat(277803737));
  return v128.xor(i32x4.shr_u(product, 22), product);
}

/**
 * output = input / (1 - rate) where the element's random number is at least the rate, else 0; or added to. Elements are
 * numbered from `first` on; `threshold` is the rate times 2^24.
 */
export function dropout(
  input: usize, output: usize, elements: i32, first: i32, seed: i32, draw: usize, salt: i32, threshold: f64, factor: f32,
  add: bool,
): void {
  const die = i32x4.splat(dieOf(seed, load<u32>(draw), salt));
  // A number is below the rate where its 24 bits are below the threshold's next whole number.
  const limit = i32x4.splat(<i32>ceil<f64>(threshold));
  let lanes = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  for (let left = elements; left > 0; left -= 4) {
    const bits = i32x4.shr_u(mixed4(v128.xor(lanes, die)), 8);
    let value = f32x4.mul(v128.load(input), f32x4.splat(factor));
    value = v128.andnot(value, i32x4.lt_s(bits, limit));
    if (add) value = f32x4.add(value, v128.load(output));
    storeFirst(output, value, left);
    lanes = i32x4.add(lanes, i32x4.splat(4));
    input += VECTOR_BYTES;
    output += VECTOR_BYTES;
  }
}
