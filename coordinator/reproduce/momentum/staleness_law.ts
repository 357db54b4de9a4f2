/**
 * How stale pushes are under an order of turns alone, without any gradient: geometric with P(0) = 1/M and variance M(M - 1) where
 * the replicas are memoryless (Mitliagkas et al. 2016, theorem 5).
 */

import { Random } from "../../../shared/random.ts";
import { stalenessOf } from "../../../shared/solver/staleness.ts";
import { turnsOf, type TurnOrder } from "./turns.ts";

export interface StalenessLaw {
  /** Share of pushes of each staleness, from 0. */
  readonly shares: readonly number[];
  readonly mean: number;
  readonly variance: number;
}

/** Sweeps until the common start is forgotten. */
const WARM_UP_SWEEPS = 20;

export function stalenessUnder(order: TurnOrder, replicas: number, pushes: number, seed: number): StalenessLaw {
  const turns = turnsOf(order, replicas, new Random(seed));
  const baseVersions = new Uint32Array(replicas);
  const counts: number[] = [];
  const first = WARM_UP_SWEEPS * replicas;
  for (let version = 0; version < first + pushes; version++) {
    const replica = turns();
    const staleness = stalenessOf(version, baseVersions[replica] ?? 0);
    baseVersions[replica] = version + 1;
    if (version < first) continue;
    while (counts.length <= staleness) counts.push(0);
    counts[staleness] = (counts[staleness] ?? 0) + 1;
  }
  const shares = counts.map((count) => count / pushes);
  const mean = momentOf(shares, (staleness) => staleness);
  return { shares, mean, variance: momentOf(shares, (staleness) => (staleness - mean) ** 2) };
}

function momentOf(shares: readonly number[], of: (staleness: number) => number): number {
  return shares.reduce((sum, share, staleness) => sum + share * of(staleness), 0);
}
