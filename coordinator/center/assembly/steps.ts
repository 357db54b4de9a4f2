/**
 * The moves of the center that are steps of an optimizer (`shared/solver/center_rule.ts`), and what they need before: delay
 * compensation and norms. Pointers and counts as in `kernels.ts`. Each operation rounds to f32, in the order written here. What
 * `area` holds afterwards is the center after the step, which is the answer.
 */

/** 2^-100: a smaller velocity counts as zero. Left alone it would shrink into denormals and stay there, slow. */
const SMALLEST_VELOCITY: f32 = 7.888609052210118e-31;

// @ts-ignore: decorator
@inline
function withoutDenormals(values: v128): v128 {
  return v128.andnot(values, f32x4.lt(f32x4.abs(values), f32x4.splat(SMALLEST_VELOCITY)));
}

/** area = g + lambda * g * g * (center - base): the gradient as it would be at the present center (Zheng et al. 2017, eq. 10). */
export function compensate(area: usize, base: usize, center: usize, count: usize, lambda: f32): void {
  const strength = f32x4.splat(lambda);
  const end = area + (count << 2);
  for (; area < end; area += 16, base += 16, center += 16) {
    const g = v128.load(area);
    const curvature = f32x4.mul(f32x4.mul(strength, g), g);
    const moved = f32x4.sub(v128.load(center), v128.load(base));
    v128.store(area, f32x4.add(g, f32x4.mul(curvature, moved)));
  }
}

/** Sum of squares, in double precision, where the square of no f32 is a denormal. */
export function squareSum(vector: usize, count: usize): f64 {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  const end = vector + (count << 2);
  for (; vector < end; vector += 16) {
    const values = v128.load(vector);
    const low = f64x2.promote_low_f32x4(values);
    const high = f64x2.promote_low_f32x4(v128.shuffle<u64>(values, values, 1, 0));
    even = f64x2.add(even, f64x2.mul(low, low));
    odd = f64x2.add(odd, f64x2.mul(high, high));
  }
  const both = f64x2.add(even, odd);
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
}

/** center = center - rate * (area + decay * center). */
export function descend(center: usize, area: usize, count: usize, rate: f32, decay: f32): void {
  const step = f32x4.splat(rate);
  const shrink = f32x4.splat(decay);
  const end = center + (count << 2);
  for (; center < end; center += 16, area += 16) {
    const c = v128.load(center);
    const g = f32x4.add(v128.load(area), f32x4.mul(shrink, c));
    const next = f32x4.sub(c, f32x4.mul(step, g));
    v128.store(center, next);
    v128.store(area, next);
  }
}

/** Heavy ball: velocity = momentum * velocity - rate * (area + decay * center); center = center + velocity. */
export function stepMomentum(
  center: usize, area: usize, velocity: usize, count: usize,
  rate: f32, momentum: f32, decay: f32,
): void {
  const step = f32x4.splat(rate);
  const keep = f32x4.splat(momentum);
  const shrink = f32x4.splat(decay);
  const end = center + (count << 2);
  for (; center < end; center += 16, area += 16, velocity += 16) {
    const c = v128.load(center);
    const g = f32x4.add(v128.load(area), f32x4.mul(shrink, c));
    const v = withoutDenormals(f32x4.sub(f32x4.mul(keep, v128.load(velocity)), f32x4.mul(step, g)));
    const next = f32x4.add(c, v);
    v128.store(velocity, v);
    v128.store(center, next);
    v128.store(area, next);
  }
}

/** d = -area; velocity = momentum * velocity + d; center = center - rate * (d + momentum * velocity) (DiLoCo). */
export function stepNesterov(
  center: usize, area: usize, velocity: usize, count: usize,
  rate: f32, momentum: f32,
): void {
  const step = f32x4.splat(rate);
  const keep = f32x4.splat(momentum);
  const end = center + (count << 2);
  for (; center < end; center += 16, area += 16, velocity += 16) {
    const d = f32x4.neg(v128.load(area));
    const m = withoutDenormals(f32x4.add(f32x4.mul(keep, v128.load(velocity)), d));
    const ahead = f32x4.add(d, f32x4.mul(keep, m));
    const next = f32x4.sub(v128.load(center), f32x4.mul(step, ahead));
    v128.store(velocity, m);
    v128.store(center, next);
    v128.store(area, next);
  }
}

/**
 * Delayed Nesterov (Liu et al. 2024): d = -area / delay; sum = sum + d. At a boundary velocity = momentum * velocity + sum,
 * center = center - rate * (d + momentum * velocity), sum = 0; between two center = center - rate * d.
 */
export function stepDelayed(
  center: usize, area: usize, velocity: usize, sum: usize, count: usize,
  rate: f32, momentum: f32, delay: f32, isBoundary: bool,
): void {
  const step = f32x4.splat(rate);
  const keep = f32x4.splat(momentum);
  const parts = f32x4.splat(delay);
  const end = center + (count << 2);
  for (; center < end; center += 16, area += 16, velocity += 16, sum += 16) {
    const d = f32x4.neg(f32x4.div(v128.load(area), parts));
    const total = f32x4.add(v128.load(sum), d);
    let ahead = d;
    if (isBoundary) {
      const m = withoutDenormals(f32x4.add(f32x4.mul(keep, v128.load(velocity)), total));
      ahead = f32x4.add(d, f32x4.mul(keep, m));
      v128.store(velocity, m);
      v128.store(sum, f32x4.splat(0));
    } else {
      v128.store(sum, total);
    }
    const next = f32x4.sub(v128.load(center), f32x4.mul(step, ahead));
    v128.store(center, next);
    v128.store(area, next);
  }
}
