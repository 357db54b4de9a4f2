/**
 * The optimizer's decisions in words: what a person reads in the run's log and on the dashboard.
 */

import { LEAST_GAIN, type GroupsChosen } from "./hardware_model.ts";
import type { SearchResult, Trial } from "./search.ts";
import type { Tuning } from "./trials.ts";

/** Losses that a sentence names beside the best one. */
const LOSSES_NAMED = 4;

export function groupsReason(groups: number, efficiency: GroupsChosen["efficiency"]): string {
  const index = efficiency.findIndex((choice) => choice.groups === groups);
  const [at, fewer, more] = [efficiency[index], efficiency[index - 1], efficiency[index + 1]];
  if (!at) throw new Error("invariant violation: groups were chosen that were not among the choices");
  const parts = [`${time(at.secondsPerUpdate)} per update`];
  if (fewer) parts.push(`${saved(fewer.secondsPerUpdate, at.secondsPerUpdate)} % less than with ${fewer.groups}`);
  const further = more && saved(at.secondsPerUpdate, more.secondsPerUpdate);
  if (further === undefined) parts.push("and there are no more replicas");
  else if (further <= 0) parts.push(`and ${more?.groups} would save nothing`);
  else parts.push(`and ${more?.groups} would save only ${further} % (worth it from ${LEAST_GAIN * 100} %)`);
  return `${count(groups, "group")}: ${parts.join(", ")}`;
}

export function searchReason({ best, trials, end }: SearchResult): string {
  if (!best) return `all ${trials.length} settings that were tried diverged; a smaller learning rate is next`;
  const tried = trials.filter((trial) => trial.outcome !== "pruned");
  const others = tried.filter((trial) => trial.tuning !== best.tuning);
  const against = [...others.filter(ran).slice(0, LOSSES_NAMED), ...others.filter((trial) => !ran(trial)).slice(0, 1)];
  const more = others.length - against.length;
  const lowest = others.some((trial) => ran(trial) && trial.loss < best.loss && trial.seconds >= best.seconds * 0.9);
  const opening = lowest
    ? `${settings(best.tuning)} had a loss within the tie of the lowest of ${tried.length} tried and is the boldest of those`
    : `${settings(best.tuning)} had the lowest loss of ${tried.length} tried`;
  const losses = against.map((trial) => `${lossOf(trial)} (${difference(trial.tuning, best.tuning)})`);
  const rest = more > 0 ? ` and ${more} more` : "";
  const comparison = losses.length === 0 ? "" : ` against ${losses.join(", ")}${rest}`;
  const cut = end === "replicas-changed" ? "; replicas came or went, so the trials ended early" : "";
  return `${opening}: ${shortNumber(best.loss)}${comparison}${cut}`;
}

export function halvedReason(groups: number, fewer: number): string {
  return `the best momentum is the lowest that is tried, so ${count(groups, "group")} are too asynchronous: ${fewer}`;
}

export function recoveryReason(tuning: Tuning): string {
  return `training diverged with ${settings(tuning)}: back to the last good state`;
}

export function membershipReason(
  before: number,
  after: number,
  groups: number,
  efficiency: GroupsChosen["efficiency"],
): string {
  return `${count(after, "replica")} instead of ${before}: ${groupsReason(groups, efficiency)}`;
}

/** "8 groups, momentum 0.3, learning rate 0.1". */
function settings({ groups, momentum, learningRate }: Tuning): string {
  return `${count(groups, "group")}, momentum ${shortNumber(momentum)}, learning rate ${shortNumber(learningRate)}`;
}

/** Only what another candidate had otherwise. */
function difference(other: Tuning, best: Tuning): string {
  const parts = [
    other.groups === best.groups ? undefined : count(other.groups, "group"),
    other.momentum === best.momentum ? undefined : `momentum ${shortNumber(other.momentum)}`,
    other.learningRate === best.learningRate ? undefined : `learning rate ${shortNumber(other.learningRate)}`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

/** In percent. */
function saved(slow: number, fast: number): number {
  return Math.round((1 - fast / slow) * 100);
}

function ran(trial: Trial): boolean {
  return trial.outcome === "ran";
}

function lossOf(trial: Trial): string {
  return ran(trial) ? shortNumber(trial.loss) : "diverged";
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function shortNumber(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function time(seconds: number): string {
  return seconds < 1 ? `${shortNumber(seconds * 1000)} ms` : `${shortNumber(seconds)} s`;
}
