// Whole vectors: sums of gradients and the exchange. Parameter vectors have a multiple of 64
// elements.

import { FLOAT_BYTES, VECTOR_BYTES } from "./lanes";

export function fillZero(target: usize, bytes: usize): void {
  memory.fill(target, 0, bytes);
}

/** target <- target + source. */
export function addVector(target: usize, source: usize, elements: i32): void {
  for (let at: usize = 0; at < (<usize>elements) * FLOAT_BYTES; at += VECTOR_BYTES) {
    v128.store(target + at, f32x4.add(v128.load(target + at), v128.load(source + at)));
  }
}

/** difference <- parameters - base ; sent <- parameters. */
export function takeDifference(parameters: usize, base: usize, sent: usize, difference: usize, elements: i32): void {
  for (let at: usize = 0; at < (<usize>elements) * FLOAT_BYTES; at += VECTOR_BYTES) {
    const x = v128.load(parameters + at);
    v128.store(sent + at, x);
    v128.store(difference + at, f32x4.sub(x, v128.load(base + at)));
  }
}

/**
 * parameters <- parameters - movingRate * (sent - center), where `base` holds the center. Never fused, so that both modules
 * move by exactly the same.
 */
export function settle(parameters: usize, sent: usize, base: usize, elements: i32, movingRate: f32): void {
  for (let at: usize = 0; at < (<usize>elements) * FLOAT_BYTES; at += VECTOR_BYTES) {
    const pull = f32x4.mul(f32x4.splat(movingRate), f32x4.sub(v128.load(sent + at), v128.load(base + at)));
    v128.store(parameters + at, f32x4.sub(v128.load(parameters + at), pull));
  }
}
