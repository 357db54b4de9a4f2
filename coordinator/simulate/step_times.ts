/**
 * How long a virtual replica's local steps take: a mean, a distribution around it, and how replicas differ. Exponential
 * times are those of the asynchrony-begets-momentum paper (Assumption 4), fixed ones those of a homogeneous cluster,
 * lognormal ones are like volunteers.
 */

import type { Random } from "../../shared/random.ts";

export type StepTimes =
  | { readonly kind: "fixed" }
  | { readonly kind: "exponential" }
  /** Of the logarithm; the mean stays what it is. */
  | { readonly kind: "lognormal"; readonly sigma: number }
  /** Uniform in mean * (1 - spread) to mean * (1 + spread). */
  | { readonly kind: "uniform"; readonly spread: number }
  /** Measured times in seconds, one after the other, again and again; each replica begins at another one. The mean is theirs. */
  | { readonly kind: "trace"; readonly seconds: readonly number[] };

/** How many times slower a replica is: one factor each, in order, 1 where the list ends, or drawn once for each. */
export type SlownessFactors = readonly number[] | { readonly kind: "lognormal"; readonly sigma: number };

export function slownessOf(factors: SlownessFactors, replica: number, random: Random): number {
  if (isList(factors)) return factors[replica] ?? 1;
  return lognormal(factors.sigma, random);
}

/** The factor on the mean for one step; a trace has seconds instead. */
export class StepClock {
  readonly #times: StepTimes;
  readonly #meanSeconds: number;
  readonly #slowness: number;
  readonly #random: Random;
  #place: number;

  constructor(times: StepTimes, meanSeconds: number, slowness: number, random: Random) {
    this.#times = times;
    this.#meanSeconds = meanSeconds;
    this.#slowness = slowness;
    this.#random = random;
    this.#place = times.kind === "trace" ? random.below(times.seconds.length) : 0;
  }

  /** Expected, of one step of a whole batch. */
  get meanSeconds(): number {
    const { seconds } = this.#times.kind === "trace" ? this.#times : { seconds: [] };
    if (seconds.length === 0) return this.#meanSeconds * this.#slowness;
    return (seconds.reduce((sum, time) => sum + time, 0) / seconds.length) * this.#slowness;
  }

  /** Of `steps` local steps, each of `share` of a batch. */
  seconds(steps: number, share: number): number {
    if (this.#times.kind === "fixed") return steps * share * this.#meanSeconds * this.#slowness;
    let sum = 0;
    for (let step = 0; step < steps; step++) sum += this.#one();
    return sum * share * this.#slowness;
  }

  #one(): number {
    const times = this.#times;
    switch (times.kind) {
      case "fixed":
        return this.#meanSeconds;
      case "exponential":
        return -Math.log(1 - this.#random.uniform()) * this.#meanSeconds;
      case "lognormal":
        return this.#meanSeconds * lognormal(times.sigma, this.#random);
      case "uniform":
        return this.#meanSeconds * (1 + times.spread * (2 * this.#random.uniform() - 1));
      case "trace": {
        const seconds = times.seconds[this.#place] ?? 0;
        this.#place = (this.#place + 1) % times.seconds.length;
        return seconds;
      }
      default:
        return times satisfies never;
    }
  }
}

/** With mean 1. */
function lognormal(sigma: number, random: Random): number {
  return Math.exp(sigma * random.normal() - (sigma * sigma) / 2);
}

function isList(factors: SlownessFactors): factors is readonly number[] {
  return Array.isArray(factors);
}
