/**
 * What several seeds say about a claim: an estimate with its interval, the verdict that follows from where the interval lies,
 * and how many seeds would decide what these leave open. Seeds are paired wherever two solvers are compared: both saw the same
 * examples, speeds and initial parameters, so their difference (or ratio) has less spread than either.
 */

import jStat from "jstat";

/** Of every interval here, two-sided. */
const LEVEL = 0.95;

/** Beyond so many seeds a claim is as good as undecidable. */
const MOST_SEEDS = 10_000;

export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** Standard deviation of one seed, on the scale that the interval was computed on. */
  readonly deviation: number;
  /** Of ratios the logarithms are averaged: `mean` is then the geometric mean. A share counts yes and no. */
  readonly scale: "linear" | "log" | "share";
}

/** Where the interval must lie for the claim to hold. */
export type Expectation =
  | { readonly kind: "above"; readonly border: number }
  | { readonly kind: "below"; readonly border: number }
  | { readonly kind: "within"; readonly low: number; readonly high: number }
  /** "Never worse": not reproduced where the interval lies above the border, reproduced where it ends below border + margin. */
  | { readonly kind: "not-above"; readonly border: number; readonly margin: number };

export type Verdict = "reproduced" | "not reproduced" | "inconclusive";

/** Student's interval of the mean. A single value has no spread to judge by: its interval is everything. */
export function meanOf(values: readonly number[]): Estimate {
  return estimate(values, "linear");
}

/** `first` minus `second`, seed by seed. */
export function pairedDifference(first: readonly number[], second: readonly number[]): Estimate {
  return estimate(
    paired(first, second, (one, other) => one - other),
    "linear",
  );
}

/** `first` over `second`, seed by seed, averaged as logarithms so that a half and a double cancel. Both positive. */
export function pairedRatio(first: readonly number[], second: readonly number[]): Estimate {
  return estimate(
    paired(first, second, (one, other) => Math.log(one / other)),
    "log",
  );
}

/** Clopper and Pearson's exact interval of a share. */
export function proportionOf(successes: number, trials: number): Estimate {
  const mean = successes / trials;
  return {
    mean,
    ...shareInterval(successes, trials),
    count: trials,
    deviation: Math.sqrt(mean * (1 - mean)),
    scale: "share",
  };
}

export function verdictOf(found: Estimate, expectation: Expectation): Verdict {
  const { low, high } = found;
  switch (expectation.kind) {
    case "above":
      return decided(low > expectation.border, high <= expectation.border);
    case "below":
      return decided(high < expectation.border, low >= expectation.border);
    case "within":
      return decided(
        low >= expectation.low && high <= expectation.high,
        high < expectation.low || low > expectation.high,
      );
    case "not-above":
      // Worse, but surely by less than the margin, is worse: the first test wins.
      return decided(
        low <= expectation.border && high < expectation.border + expectation.margin,
        low > expectation.border,
      );
    default:
      return expectation satisfies never;
  }
}

/** The smallest number of seeds whose interval, at this mean and this spread, would lie on one side of every border. */
export function seedsToDecide(found: Estimate, expectation: Expectation): number | null {
  if (!Number.isFinite(found.mean) || !Number.isFinite(found.deviation)) return null;
  for (let count = 2; count <= MOST_SEEDS; count = nextCount(count)) {
    if (verdictOf({ ...found, ...intervalOf(found, count) }, expectation) !== "inconclusive") return count;
  }
  return null;
}

/** As it would be with `count` seeds of the same mean and spread. */
function intervalOf({ mean, deviation, scale }: Estimate, count: number): { low: number; high: number } {
  if (scale === "share") return shareInterval(Math.round(mean * count), count);
  const half = halfWidth(deviation, count);
  if (scale === "log") return { low: mean * Math.exp(-half), high: mean * Math.exp(half) };
  return { low: mean - half, high: mean + half };
}

function shareInterval(successes: number, trials: number): { low: number; high: number } {
  const tail = (1 - LEVEL) / 2;
  return {
    low: successes === 0 ? 0 : jStat.beta.inv(tail, successes, trials - successes + 1),
    high: successes === trials ? 1 : jStat.beta.inv(1 - tail, successes + 1, trials - successes),
  };
}

function nextCount(count: number): number {
  // One by one as long as it matters, then in steps of a thousandth.
  return count + Math.max(1, Math.floor(count / 1000));
}

function decided(holds: boolean, fails: boolean): Verdict {
  if (holds) return "reproduced";
  return fails ? "not reproduced" : "inconclusive";
}

function estimate(values: readonly number[], scale: "linear" | "log"): Estimate {
  const count = values.length;
  if (count === 0) throw new Error("invariant violation: an estimate needs at least one value");
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const back = (value: number): number => (scale === "log" ? Math.exp(value) : value);
  if (count === 1) {
    return { mean: back(mean), low: back(-Infinity), high: Infinity, count, deviation: Number.NaN, scale };
  }
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1));
  const half = halfWidth(deviation, count);
  return { mean: back(mean), low: back(mean - half), high: back(mean + half), count, deviation, scale };
}

function halfWidth(deviation: number, count: number): number {
  return (jStat.studentt.inv(0.5 + LEVEL / 2, count - 1) * deviation) / Math.sqrt(count);
}

function paired(
  first: readonly number[],
  second: readonly number[],
  compare: (one: number, other: number) => number,
): number[] {
  if (first.length !== second.length) {
    throw new Error(`invariant violation: ${first.length} values paired with ${second.length}`);
  }
  return first.map((one, index) => compare(one, second[index] ?? Number.NaN));
}
