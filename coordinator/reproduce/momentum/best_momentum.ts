/** What searches for the best explicit momentum say together: the best of a seed, and what a choice of momentum costs. */

import type { SearchRow } from "./explicit_momentum.ts";

/** Momenta that need at most so much more than the fewest updates count as best too. */
export const AS_GOOD = 1.05;
/** A descent that has not arrived by then counts as that. */
export const MOST_UPDATES = 2000;
/** What most of the literature leaves momentum at. */
const USUAL_MOMENTUM = 0.9;

/** By seed. */
export type Searches = readonly (readonly SearchRow[])[];

export interface AtReplicas {
  readonly replicas: number;
  /** Each momentum with its best learning rate. */
  readonly tuned: Searches;
  /** All at one learning rate. */
  readonly fixed: Searches;
}

export const isNegative = ({ momentum }: SearchRow): boolean => momentum < 0;
export const isNotNegative = ({ momentum }: SearchRow): boolean => momentum >= 0;

/** The middle of the momenta that are as good as the best; undefined where none arrives. */
export function bestMomentum(rows: readonly SearchRow[]): number | undefined {
  const fewest = Math.min(...rows.map(({ updates }) => updates ?? Infinity));
  const good = rows.filter(({ updates }) => updates !== null && updates <= AS_GOOD * fewest);
  const [first, last] = [good[0], good.at(-1)];
  return first && last ? (first.momentum + last.momentum) / 2 : undefined;
}

/** The momentum with the fewest updates alone: undefined where none arrives. */
export function fewestUpdatesMomentum(rows: readonly SearchRow[]): number | undefined {
  const arrived = rows.filter(({ updates }) => updates !== null);
  return arrived.toSorted((one, other) => Number(one.updates) - Number(other.updates))[0]?.momentum;
}

/** Of each seed the updates at the momentum, among those allowed, that needs fewest on the other seeds (geometric mean). */
export function chosenElsewhere(searches: Searches, isAllowed: (row: SearchRow) => boolean): number[] {
  return searches.map((rows, seed) => {
    const others = searches.length > 1 ? searches.filter((_, other) => other !== seed) : searches;
    const cost = (index: number): number =>
      others.reduce((sum, other) => sum + Math.log(other[index]?.updates ?? MOST_UPDATES), 0);
    const [chosen] = rows
      .map((row, index) => ({ row, cost: cost(index) }))
      .filter(({ row }) => isAllowed(row))
      .toSorted((one, other) => one.cost - other.cost);
    return chosen?.row.updates ?? MOST_UPDATES;
  });
}

/** Of each seed the updates at a momentum of 0.9. */
export function atUsualMomentum(searches: Searches): number[] {
  return searches.map((rows) => rows.find(({ momentum }) => momentum === USUAL_MOMENTUM)?.updates ?? MOST_UPDATES);
}
