/**
 * The inner loops of the center, as WebAssembly SIMD over one imported shared memory: what every push passes through, and the
 * elastic and additive moves. `steps.ts` has the moves with an optimizer, `compare_and_swap.ts` the moves that lose nothing,
 * `decode.ts` and `encode.ts` the codecs; `../kernels.ts` is the typed face of all; only the applier threads and the simulator
 * call them.
 *
 * Every pointer is the byte offset of a 64-byte aligned vector of f32 and every `count` is in elements and a multiple
 * of 16, so one turn of a loop is one cache line of each vector and no loop has a tail. Nothing here is allocated and
 * nothing is a static: each instantiation would write statics again, over a center that is in use.
 *
 * Plain SIMD on purpose: a relaxed multiply-add rounds once on some processors and twice on others, and the locked
 * center has to equal its log replayed with Math.fround.
 */

export { casAdd, casDescend, casElastic } from "./compare_and_swap";
export { decodeCoded } from "./decode";
export { encode } from "./encode";
export { compensate, descend, squareSum, stepDelayed, stepMomentum, stepNesterov } from "./steps";

import { faultOf, SOUND } from "./verdicts";

const STEP_BYTES: usize = 64;

function endOf(start: usize, count: usize): usize {
  return start + (count << 2);
}

/** area = base + area, and whether every sum is finite and at most `limit` in magnitude. */
export function decode(base: usize, area: usize, count: usize, limit: f32): i32 {
  const bound = f32x4.splat(limit);
  const end = endOf(area, count);
  // Lanes stay all ones while every element passes; a comparison with NaN is false, so NaN fails like an excess does.
  let sound = i32x4.splat(-1);
  let x = area;
  for (; x < end; x += STEP_BYTES, base += STEP_BYTES) {
    const s0 = f32x4.add(v128.load(base), v128.load(x));
    const s1 = f32x4.add(v128.load(base, 16), v128.load(x, 16));
    const s2 = f32x4.add(v128.load(base, 32), v128.load(x, 32));
    const s3 = f32x4.add(v128.load(base, 48), v128.load(x, 48));
    v128.store(x, s0);
    v128.store(x, s1, 16);
    v128.store(x, s2, 32);
    v128.store(x, s3, 48);
    const low = v128.and(f32x4.le(f32x4.abs(s0), bound), f32x4.le(f32x4.abs(s1), bound));
    const high = v128.and(f32x4.le(f32x4.abs(s2), bound), f32x4.le(f32x4.abs(s3), bound));
    sound = v128.and(sound, v128.and(low, high));
  }
  return i32x4.all_true(sound) ? SOUND : faultOf(area, count);
}

/** Whether every element is finite and at most `limit` in magnitude. */
export function check(area: usize, count: usize, limit: f32): i32 {
  const bound = f32x4.splat(limit);
  const end = endOf(area, count);
  let sound = i32x4.splat(-1);
  for (let x = area; x < end; x += STEP_BYTES) {
    const low = v128.and(f32x4.le(f32x4.abs(v128.load(x)), bound), f32x4.le(f32x4.abs(v128.load(x, 16)), bound));
    const high = v128.and(f32x4.le(f32x4.abs(v128.load(x, 32)), bound), f32x4.le(f32x4.abs(v128.load(x, 48)), bound));
    sound = v128.and(sound, v128.and(low, high));
  }
  return i32x4.all_true(sound) ? SOUND : faultOf(area, count);
}

/**
 * The elastic apply, one swap for each element: center = old + rate * (area - old), area = old. What the area holds
 * afterwards is the center that was used, which is the answer.
 *
 * Four vectors a turn: one to sixteen were tried, grouped and interleaved, with and without touching ahead, and none is
 * faster at both sizes beyond the noise (1.68 to 1.93 billion elements/s at 431,080 elements, 1.00 to 1.23 at 25
 * million; 2-core Xeon 2.5 GHz, 2026-11-21): memory is the limit. One pass that decodes and checks as well would be
 * faster than `decode` and this (1.33 against 0.84, and 0.77 against 0.54), but could not refuse a push before having
 * moved the center. A check that only reads, then such a pass, is slower (0.79, and 0.48).
 */
export function swapElastic(center: usize, area: usize, count: usize, rate: f32): void {
  const alpha = f32x4.splat(rate);
  const end = endOf(center, count);
  for (; center < end; center += STEP_BYTES, area += STEP_BYTES) {
    const c0 = v128.load(center);
    const c1 = v128.load(center, 16);
    const c2 = v128.load(center, 32);
    const c3 = v128.load(center, 48);
    const x0 = v128.load(area);
    const x1 = v128.load(area, 16);
    const x2 = v128.load(area, 32);
    const x3 = v128.load(area, 48);
    v128.store(center, f32x4.add(c0, f32x4.mul(alpha, f32x4.sub(x0, c0))));
    v128.store(center, f32x4.add(c1, f32x4.mul(alpha, f32x4.sub(x1, c1))), 16);
    v128.store(center, f32x4.add(c2, f32x4.mul(alpha, f32x4.sub(x2, c2))), 32);
    v128.store(center, f32x4.add(c3, f32x4.mul(alpha, f32x4.sub(x3, c3))), 48);
    v128.store(area, c0);
    v128.store(area, c1, 16);
    v128.store(area, c2, 32);
    v128.store(area, c3, 48);
  }
}

/** The apply of a ready-made difference: center = old + rate * area, area = old. */
export function swapDifference(center: usize, area: usize, count: usize, rate: f32): void {
  const scale = f32x4.splat(rate);
  const end = endOf(center, count);
  for (; center < end; center += STEP_BYTES, area += STEP_BYTES) {
    const c0 = v128.load(center);
    const c1 = v128.load(center, 16);
    const c2 = v128.load(center, 32);
    const c3 = v128.load(center, 48);
    v128.store(center, f32x4.add(c0, f32x4.mul(scale, v128.load(area))));
    v128.store(center, f32x4.add(c1, f32x4.mul(scale, v128.load(area, 16))), 16);
    v128.store(center, f32x4.add(c2, f32x4.mul(scale, v128.load(area, 32))), 32);
    v128.store(center, f32x4.add(c3, f32x4.mul(scale, v128.load(area, 48))), 48);
    v128.store(area, c0);
    v128.store(area, c1, 16);
    v128.store(area, c2, 32);
    v128.store(area, c3, 48);
  }
}

/** The elastic apply of a whole group's mean: the same difference moves both, center = old + d, area = area - d. */
export function meetElastic(center: usize, area: usize, count: usize, rate: f32): void {
  const alpha = f32x4.splat(rate);
  const end = endOf(center, count);
  for (; center < end; center += 16, area += 16) {
    const c = v128.load(center);
    const x = v128.load(area);
    const difference = f32x4.mul(alpha, f32x4.sub(x, c));
    v128.store(center, f32x4.add(c, difference));
    v128.store(area, f32x4.sub(x, difference));
  }
}

/** The apply of an update: center = center + rate * area, area = the center after it. */
export function addUpdate(center: usize, area: usize, count: usize, rate: f32): void {
  const scale = f32x4.splat(rate);
  const end = endOf(center, count);
  for (; center < end; center += 16, area += 16) {
    const c = f32x4.add(v128.load(center), f32x4.mul(scale, v128.load(area)));
    v128.store(center, c);
    v128.store(area, c);
  }
}

/** target = target + weight * source. */
export function addWeighted(target: usize, source: usize, count: usize, weight: f32): void {
  const scale = f32x4.splat(weight);
  const end = endOf(target, count);
  for (; target < end; target += STEP_BYTES, source += STEP_BYTES) {
    v128.store(target, f32x4.add(v128.load(target), f32x4.mul(scale, v128.load(source))));
    v128.store(target, f32x4.add(v128.load(target, 16), f32x4.mul(scale, v128.load(source, 16))), 16);
    v128.store(target, f32x4.add(v128.load(target, 32), f32x4.mul(scale, v128.load(source, 32))), 32);
    v128.store(target, f32x4.add(v128.load(target, 48), f32x4.mul(scale, v128.load(source, 48))), 48);
  }
}

/** vector = vector / divisor: a division and not a product with the reciprocal, as SPEC X15 rounds. */
export function divide(vector: usize, count: usize, divisor: f32): void {
  const by = f32x4.splat(divisor);
  const end = endOf(vector, count);
  for (; vector < end; vector += 16) v128.store(vector, f32x4.div(v128.load(vector), by));
}

export function clear(vector: usize, count: usize): void {
  const end = endOf(vector, count);
  for (; vector < end; vector += 16) v128.store(vector, f32x4.splat(0));
}

/**
 * target = source. A loop and not `memory.copy`, which goes through a call that moves shared memory word by word:
 * 1.99 against 1.36 billion elements/s at 431,080 elements, equal at 25 million (2-core Xeon 2.5 GHz, 2026-11-21).
 */
export function copy(target: usize, source: usize, count: usize): void {
  const end = endOf(target, count);
  for (; target < end; target += STEP_BYTES, source += STEP_BYTES) {
    const x0 = v128.load(source);
    const x1 = v128.load(source, 16);
    const x2 = v128.load(source, 32);
    const x3 = v128.load(source, 48);
    v128.store(target, x0);
    v128.store(target, x1, 16);
    v128.store(target, x2, 32);
    v128.store(target, x3, 48);
  }
}
