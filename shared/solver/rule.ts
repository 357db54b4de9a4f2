/**
 * The elastic rule as numbers: how strongly one exchange pulls, and when that is stable. The vectors themselves move in
 * the center's kernels and on the replica's device.
 */

/** beta = 0.9 over all replicas, as in the experiments of the EASGD paper (§5). */
export const DEFAULT_ELASTIC_RATE = 0.9;

/**
 * A replica alone may not pull the center onto itself: at alpha <= 0.5 one exchange never swaps the two.
 */
export const HIGHEST_MOVING_RATE = 0.5;

/** alpha = beta / p for p replicas: the pull on the center stays the same however many take part. */
export function movingRateFor(elasticRate: number, replicas: number): number {
  return Math.min(HIGHEST_MOVING_RATE, elasticRate / Math.max(1, replicas));
}

/**
 * The elastic pull of one number, with every operation rounded to f32 in the order of the center's kernel, so that a
 * locked center can be replayed bit for bit (SPEC X8).
 */
export function movedBy(center: number, parameter: number, movingRate: number): number {
  const difference = Math.fround(parameter - center);
  return Math.fround(center + Math.fround(Math.fround(movingRate) * difference));
}
