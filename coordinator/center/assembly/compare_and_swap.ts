/**
 * The moves of the compare-and-swap applier (Niu et al. 2011 assume such adds): each element of the center is exchanged alone,
 * as the 32 bits that it is, and computed anew from what was found there where another thread was faster. So no move of an
 * element is ever lost, and each is that of one rounding after the other as in `kernels.ts`. Pointers and counts as there.
 */

/** Puts `next` in the place of `seen`; returns what was there, which is `seen` where that went well. */
// @ts-ignore: decorator
@inline
function exchanged(center: usize, seen: i32, next: f32): i32 {
  return atomic.cmpxchg<i32>(center, seen, reinterpret<i32>(next));
}

/** center = old + rate * (area - old); area = old, or, of a group's `isMean`, area - rate * (area - old). */
export function casElastic(center: usize, area: usize, count: usize, rate: f32, isMean: bool): void {
  const end = center + (count << 2);
  for (; center < end; center += 4, area += 4) {
    const x = load<f32>(area);
    let seen = atomic.load<i32>(center);
    let old: f32;
    let difference: f32;
    while (true) {
      old = reinterpret<f32>(seen);
      difference = rate * (x - old);
      const found = exchanged(center, seen, old + difference);
      if (found == seen) break;
      seen = found;
    }
    store<f32>(area, isMean ? x - difference : old);
  }
}

/** center = old + rate * area; area = old where it `keepsOld`, else the new center. */
export function casAdd(center: usize, area: usize, count: usize, rate: f32, keepsOld: bool): void {
  const end = center + (count << 2);
  for (; center < end; center += 4, area += 4) {
    const u = rate * load<f32>(area);
    let seen = atomic.load<i32>(center);
    let old: f32;
    let next: f32;
    while (true) {
      old = reinterpret<f32>(seen);
      next = old + u;
      const found = exchanged(center, seen, next);
      if (found == seen) break;
      seen = found;
    }
    store<f32>(area, keepsOld ? old : next);
  }
}

/** center = old - rate * (area + decay * old); area = the new center. */
export function casDescend(center: usize, area: usize, count: usize, rate: f32, decay: f32): void {
  const end = center + (count << 2);
  for (; center < end; center += 4, area += 4) {
    const g = load<f32>(area);
    let seen = atomic.load<i32>(center);
    let next: f32;
    while (true) {
      const old = reinterpret<f32>(seen);
      next = old - rate * (g + decay * old);
      const found = exchanged(center, seen, next);
      if (found == seen) break;
      seen = found;
    }
    store<f32>(area, next);
  }
}
