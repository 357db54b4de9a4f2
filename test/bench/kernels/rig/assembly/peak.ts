// How many multiply-adds a WASM engine does with registers alone, and how fast it copies memory.

// @ts-ignore: decorator
@inline
function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/**
 * Eight chains of four lanes: 64 operations a round. Factor and term are arguments because V8 13 (Node 24) makes vector constants
 * anew in every round: 6.4 instead of 44.6 GFLOP/s.
 */
export function multiplyAdd(rounds: i32, factorOfAll: f32, termOfAll: f32): f32 {
  const factor = f32x4.splat(factorOfAll);
  const term = f32x4.splat(termOfAll);
  let a = f32x4.splat(1);
  let b = f32x4.splat(2);
  let c = f32x4.splat(3);
  let d = f32x4.splat(4);
  let e = f32x4.splat(5);
  let f = f32x4.splat(6);
  let g = f32x4.splat(7);
  let h = f32x4.splat(8);
  for (let round = 0; round < rounds; round++) {
    a = madd(a, factor, term);
    b = madd(b, factor, term);
    c = madd(c, factor, term);
    d = madd(d, factor, term);
    e = madd(e, factor, term);
    f = madd(f, factor, term);
    g = madd(g, factor, term);
    h = madd(h, factor, term);
  }
  const sum = f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(g, h)));
  return f32x4.extract_lane(sum, 0);
}

export function copy(bytes: i32): void {
  memory.copy(bytes, 0, bytes);
}
