/**
 * Compute groups (Omnivore; Hadjis et al. 2016): who is in which group, and what each replica does until its next push, so that
 * those who wait for each other finish together. Pure bookkeeping over measured speeds, the same in real runs and in
 * simulated ones; who is waited for is the order's (coordinator/order/grouped.ts).
 */

import type { Assignment } from "./assignment.ts";
import { solverOf } from "./catalogue.ts";
import { replicaRuleOf, type PushContent } from "./replica_rule.ts";
import { stepsPerExchange } from "./schedule.ts";
import type { SolverSettings } from "./settings.ts";

/** A replica and its speed: samples per second of computing. 0 where nothing is known yet. */
export interface Paced {
  readonly id: string;
  readonly speed: number;
}

/** Group numbers from 0, by replica. */
export type Grouping = ReadonlyMap<string, number>;

/** Groups whose speeds differ by more are divided anew when somebody leaves. */
const MOST_IMBALANCE = 2;
/** A push weighs as much as the work that was asked for, or up to twice that: local steps go on while a group waits. */
const MOST_WEIGHT = 2;
/** Parts of a batch: finer shares would make each part too small for a GPU. */
const MOST_PARTS = 8;

/** What a push weighs in its group's mean (SPEC G2). At a barrier every replica's parameters pull the center alike. */
export function pushWeight(
  { content, samples }: { readonly content: PushContent; readonly samples: number },
  { communicationPeriod, samples: stepSamples }: Pick<Assignment, "communicationPeriod" | "samples">,
  isBarrier: boolean,
): number {
  if (isBarrier && content === "parameters") return 1;
  const most = content === "gradient" ? stepSamples : MOST_WEIGHT * communicationPeriod * stepSamples;
  return Math.min(Math.max(1, samples), most);
}

/** Groups of about equal total speed: the fastest first, each to the group that is slowest so far. */
export function dividedIntoGroups(members: readonly Paced[], groups: number): Map<string, number> {
  const speeds = knownSpeeds(members);
  const totals = Array.from({ length: groups }, () => 0);
  const grouping = new Map<string, number>();
  const byFalling = members.map((member, at) => ({ member, speed: speeds[at] ?? 0 }));
  for (const { member, speed } of byFalling.toSorted((a, b) => b.speed - a.speed)) {
    const group = totals.indexOf(Math.min(...totals));
    grouping.set(member.id, group);
    totals[group] = (totals[group] ?? 0) + speed;
  }
  return grouping;
}

/** A newcomer goes to the slowest group, an empty one first. */
export function groupOfNewcomer(members: readonly Paced[], grouping: Grouping, groups: number): number {
  const totals = totalSpeeds(members, grouping, groups);
  return totals.indexOf(Math.min(...totals));
}

/**
 * Another division for those who are left after a leave, or undefined where the present one will do: no group is empty that
 * could have members, and none is more than twice as fast as another, or no division is better.
 */
export function regroupedAfterLeave(
  members: readonly Paced[],
  grouping: Grouping,
  groups: number,
): Map<string, number> | undefined {
  const present = imbalanceOf(members, grouping, groups);
  if (present <= MOST_IMBALANCE) return undefined;
  const better = dividedIntoGroups(members, groups);
  return imbalanceOf(members, better, groups) < present ? better : undefined;
}

/** Speed of the fastest group over that of the slowest; infinite where one is empty that need not be. */
function imbalanceOf(members: readonly Paced[], grouping: Grouping, groups: number): number {
  const totals = totalSpeeds(members, grouping, groups).toSorted((a, b) => b - a);
  const possible = totals.slice(0, Math.max(1, Math.min(groups, members.length)));
  const slowest = possible.at(-1) ?? 0;
  return members.length === 0 ? 1 : (possible[0] ?? 0) / slowest;
}

function totalSpeeds(members: readonly Paced[], grouping: Grouping, groups: number): number[] {
  const speeds = knownSpeeds(members);
  const totals = Array.from({ length: groups }, () => 0);
  for (const [at, { id }] of members.entries()) {
    const group = grouping.get(id);
    if (group !== undefined) totals[group] = (totals[group] ?? 0) + (speeds[at] ?? 0);
  }
  return totals;
}

/** Whoever's speed is unknown counts as the mean of the others. */
function knownSpeeds(members: readonly Paced[]): number[] {
  const known = members.map(({ speed }) => speed).filter((speed) => speed > 0);
  const mean = known.length === 0 ? 1 : known.reduce((sum, speed) => sum + speed, 0) / known.length;
  return members.map(({ speed }) => (speed > 0 ? speed : mean));
}

/**
 * Whole parts in proportion to speed, by largest remainder, at least one each (papers.md C.4): they sum up to `parts`, or, where
 * there are more replicas than parts, to one each.
 */
export function sharesOf(speeds: readonly number[], parts: number): number[] {
  const spare = Math.max(0, parts - speeds.length);
  const total = speeds.reduce((sum, speed) => sum + speed, 0);
  const wanted = speeds.map((speed) => (total > 0 ? (speed / total) * parts : parts / speeds.length));
  // One part is everybody's; the spare ones go to whoever is still short of the wanted share.
  const beyondOne = wanted.map((want) => Math.max(0, want - 1));
  const allBeyond = beyondOne.reduce((sum, want) => sum + want, 0);
  const exact = beyondOne.map((want) => (allBeyond > 0 ? (want / allBeyond) * spare : 0));
  const shares = exact.map((want) => 1 + Math.floor(want));
  const left = Math.max(0, spare - shares.reduce((sum, share) => sum + share - 1, 0));
  const byRemainder = exact.map((want, at) => ({ at, remainder: want - Math.floor(want) }));
  for (const { at } of byRemainder.toSorted((a, b) => b.remainder - a.remainder).slice(0, left)) {
    shares[at] = (shares[at] ?? 0) + 1;
  }
  return shares;
}

/** DyLU (Liu et al. 2024): tau_i = max(1, floor(v_i / v_max * tau)). */
export function periodAt(speed: number, fastest: number, period: number): number {
  return Math.max(1, Math.floor((speed / fastest) * period));
}

/** In how many parts a batch is done where shares of it are given: the greatest divisor up to 8; 1 where none are given. */
export function batchPartsOf(settings: SolverSettings, isGrouped = settings.groups !== null): number {
  if (!isGrouped || !replicaRuleOf(settings.solver, settings.exchange).takesGradients) return 1;
  let parts = Math.min(MOST_PARTS, settings.batch);
  while (settings.batch % parts !== 0) parts--;
  return parts;
}

export interface WorkCircumstances {
  /** The replica's group, itself included; only itself where the run has no groups. */
  readonly group: readonly Paced[];
  /** Everybody who is connected. */
  readonly everybody: readonly Paced[];
  /** `batchPartsOf`. */
  readonly batchParts: number;
}

/** What `replica` does until its next push: local steps, and samples of each. */
export function workOf(
  settings: SolverSettings,
  replica: Paced,
  { group, everybody, batchParts }: WorkCircumstances,
): Pick<Assignment, "communicationPeriod" | "samples"> {
  const { batch, communicationPeriod: period, fragments, groups, shares, periods } = settings;
  if (solverOf(settings.solver).rule === "gradient") {
    if (groups === null) return { communicationPeriod: 1, samples: batch };
    const speeds = shares === "speed" ? knownSpeeds(group) : group.map(() => 1);
    const share = sharesOf(speeds, batchParts)[group.findIndex(({ id }) => id === replica.id)] ?? 1;
    return { communicationPeriod: 1, samples: (share * batch) / batchParts };
  }
  const divided = groups !== null && shares === "speed" ? group : [];
  const paceSetters = periods === "speed" ? everybody : divided;
  if (paceSetters.length === 0) return { communicationPeriod: stepsPerExchange(period, fragments), samples: batch };
  const speeds = knownSpeeds(paceSetters);
  const at = paceSetters.findIndex(({ id }) => id === replica.id);
  const speed = speeds[at] ?? replica.speed;
  const own = periodAt(speed, Math.max(...speeds, speed), period);
  return { communicationPeriod: stepsPerExchange(own, fragments), samples: batch };
}
