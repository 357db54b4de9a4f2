/**
 * Which explicit momentum is best at a degree of asynchrony (the estimator of Mitliagkas et al. 2016, figures 3 and 8): for each
 * momentum of a grid, negative ones included, the fewest updates until the smoothed held-out loss is at a target, over a grid of
 * learning rates.
 */

import { Random } from "../../../shared/random.ts";
import { descend } from "./asynchrony.ts";
import type { Rates, ReusableCenter } from "./center.ts";
import type { NetworkObjective } from "./network.ts";
import { turnsOf } from "./turns.ts";

export interface SearchOptions {
  /** M, memoryless. */
  readonly replicas: number;
  readonly seed: number;
  /** In ascending order, both. */
  readonly momenta: readonly number[];
  readonly learningRates: readonly number[];
  readonly targetLoss: number;
  readonly mostUpdates: number;
}

/** The best of one momentum. */
export interface SearchRow {
  readonly momentum: number;
  /** Null where no learning rate reaches the target. */
  readonly updates: number | null;
  readonly learningRate: number | null;
  /** Of the best learning rate, every `EVALUATED` updates. */
  readonly losses: readonly number[];
}

/** Updates between two looks at the held-out loss. */
export const EVALUATED = 10;
/** Share of a look in the smoothed loss. */
const NEWEST = 0.4;
/** Of the smoothed loss: far above an untrained model's, from where no run came back. */
const DIVERGED = 6;

interface Descent {
  readonly rates: Rates;
  /** Interpolated between two looks; infinite where the target was not reached. */
  readonly updates: number;
  readonly losses: readonly number[];
}

export class MomentumSearch {
  readonly #objective: NetworkObjective;
  readonly #center: ReusableCenter;
  readonly #options: SearchOptions;

  constructor(objective: NetworkObjective, center: ReusableCenter, options: SearchOptions) {
    this.#objective = objective;
    this.#center = center;
    this.#options = options;
  }

  /**
   * Along the learning rates each row begins where the row before was best, and goes on in both directions until two in a row are
   * no better: the number of updates has one valley. A descent ends when it takes longer than the row's best.
   */
  run(): SearchRow[] {
    let middle = Math.floor(this.#options.learningRates.length / 2);
    return this.#options.momenta.map((momentum) => {
      const { best, index } = this.#searchRow(momentum, middle);
      if (!best) return { momentum, updates: null, learningRate: null, losses: [] };
      middle = index;
      return { momentum, updates: best.updates, learningRate: best.rates.learningRate, losses: best.losses };
    });
  }

  #searchRow(momentum: number, start: number): { best: Descent | undefined; index: number } {
    const { learningRates, mostUpdates } = this.#options;
    let best: Descent | undefined;
    let index = start;
    for (const direction of [-1, 1]) {
      let failures = 0;
      // Upwards the start has been tried already.
      for (let at = direction < 0 ? start : start + 1; failures < 2; at += direction) {
        const learningRate = learningRates[at];
        if (learningRate === undefined) break;
        const found = this.#descend({ learningRate, momentum }, best?.updates ?? mostUpdates);
        if (found.updates < (best?.updates ?? Infinity)) [best, index, failures] = [found, at, 0];
        // Where nothing has arrived yet, the valley may still be far.
        else if (best) failures++;
      }
    }
    return { best, index };
  }

  #descend(rates: Rates, mostUpdates: number): Descent {
    const { replicas, seed, targetLoss } = this.#options;
    const [objective, center] = [this.#objective, this.#center];
    const losses: number[] = [];
    let updates = Infinity;
    const before = (update: number): boolean => {
      if (update % EVALUATED !== 0) return false;
      const now = objective.heldOutLoss(center.values);
      const last = losses.at(-1) ?? now;
      const smoothed = last + NEWEST * (now - last);
      losses.push(smoothed);
      if (smoothed <= targetLoss && update > 0) {
        updates = update - (EVALUATED * (targetLoss - smoothed)) / (last - smoothed);
      }
      return smoothed <= targetLoss || !(smoothed < DIVERGED);
    };
    // The same turns and draws for all rates of a seed.
    const turns = turnsOf("memoryless", replicas, new Random(2 * seed));
    const random = new Random(2 * seed + 1);
    descend({ objective, center, replicas, turns, rates, updates: mostUpdates + EVALUATED, random }, before);
    return { rates, updates, losses };
  }
}
