/**
 * What one search tries: the present settings with a few learning rates, then whatever lies beside the best so far, in
 * groups, momentum and learning rate, until nothing better lies beside it. A neighbour in groups has the momentum that its asynchrony
 * leaves over (statistical_model.ts). Pure functions of what is known so far.
 */

import { groupChoices } from "./hardware_model.ts";
import { includes } from "./search.ts";
import { explicitMomentum, implicitMomentum, momentaNear, MOMENTA } from "./statistical_model.ts";
import type { Tuning } from "./trials.ts";

/** Between neighbouring learning rates: the best is within a factor of a few of where training breaks. */
export const RATE_STEP = 2;
/** A search that keeps finding better at its edge stops widening here. */
const MOST_TRIED = { cold: 12, steady: 8 };

export interface Room {
  /** The numbers of groups that are worth a trial, rising. */
  readonly groups: readonly number[];
  /** Nothing is known yet; later the smaller learning rate is what is likely wanted, as in Omnivore's steady state. */
  readonly isCold: boolean;
}

/** What fewer groups may cost in time per update: tuned asynchrony never cost more steps than that (Mitliagkas et al. 2016, fig. 8). */
const WORST_PENALTY = 3;

/** From what most groups cost, those that may still win by needing fewer updates. */
export function groupsWorthTrying(
  replicas: number,
  mostGroups: number,
  secondsPerUpdate: (groups: number) => number,
): readonly number[] {
  const limit = WORST_PENALTY * secondsPerUpdate(mostGroups);
  return groupChoices(replicas).filter((groups) => groups <= mostGroups && secondsPerUpdate(groups) <= limit);
}

/** Cold, with the momentum that is tried nearest to the guess. */
export function startOf(tuning: Tuning, { isCold }: Room): Tuning[] {
  if (!isCold) return [withRate(tuning, 1 / RATE_STEP), tuning];
  const guess = { ...tuning, momentum: nearest(tuning.momentum) };
  return [withRate(guess, 1 / RATE_STEP), guess, withRate(guess, RATE_STEP)];
}

/** What lies beside the best one and was not tried yet. */
export function neighboursOf(best: Tuning, tried: readonly Tuning[], room: Room): Tuning[] {
  const spare = (room.isCold ? MOST_TRIED.cold : MOST_TRIED.steady) - tried.length;
  const found = [withRate(best, 1 / RATE_STEP), withRate(best, RATE_STEP)];
  const momentum = MOMENTA.findIndex((value) => value === nearest(best.momentum));
  const [above, below] = [MOMENTA[momentum + 1], MOMENTA[momentum - 1]];
  // A gradient moves the center by rate / (1 - momentum) in the long run: the neighbour has the rate that keeps this about the same.
  if (above !== undefined) found.push({ ...withRate(best, 1 / RATE_STEP), momentum: above });
  if (below !== undefined) found.push({ ...withRate(best, RATE_STEP), momentum: below });
  // Right after the start every asynchrony looks bad for a while (Omnivore's cold start): it is judged later.
  const at = room.isCold ? NaN : room.groups.indexOf(best.groups);
  for (const groups of [room.groups[at - 1], room.groups[at + 1]]) {
    if (groups === undefined) continue;
    const total = best.momentum + implicitMomentum(best.groups);
    found.push({ ...best, groups, momentum: nearest(explicitMomentum(total, groups)) });
  }
  return found.filter((tuning) => !includes(tried, tuning)).slice(0, Math.max(0, spare));
}

function withRate(tuning: Tuning, factor: number): Tuning {
  return { ...tuning, learningRate: tuning.learningRate * factor };
}

function nearest(momentum: number): number {
  return momentaNear(momentum, 1)[0] ?? 0;
}
