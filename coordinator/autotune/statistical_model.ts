/**
 * Statistical efficiency: what asynchrony does to the number of updates, as far as it can be said before measuring. g
 * asynchronous groups act like a momentum of 1 - 1/g ("Asynchrony begets momentum", Mitliagkas et al. 2016, theorem 5), so the explicit
 * momentum is looked for where both together are what sequential training wants. A first guess only: the search measures.
 */

/** Of sequential training, before anything is known: what Omnivore's first trials use. */
export const USUAL_MOMENTUM = 0.9;

/** The explicit momenta that are ever tried. Negative ones undo implicit momentum (Mitliagkas et al. 2016, §5). */
export const MOMENTA = [-0.6, -0.3, 0, 0.3, 0.6, 0.9] as const;

export function implicitMomentum(groups: number): number {
  return 1 - 1 / Math.max(1, groups);
}

/** mu_L = mu* - (1 - 1/g), kept within what is ever tried. */
export function explicitMomentum(total: number, groups: number): number {
  return withinMomenta(total - implicitMomentum(groups));
}

/** mu* as the best explicit momentum at g groups tells it. */
export function totalMomentum(explicit: number, groups: number): number {
  return explicit + implicitMomentum(groups);
}

/** The `count` tried momenta nearest to the guess, rising. */
export function momentaNear(guess: number, count: number): readonly number[] {
  return MOMENTA.toSorted((a, b) => Math.abs(a - guess) - Math.abs(b - guess) || b - a)
    .slice(0, count)
    .toSorted((a, b) => a - b);
}

function withinMomenta(momentum: number): number {
  return Math.min(Math.max(...MOMENTA), Math.max(Math.min(...MOMENTA), momentum));
}
