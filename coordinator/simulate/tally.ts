/** What a simulated run counts as it goes: work, staleness, losses and what evaluations found. */

import { StalenessHistogram } from "../../shared/staleness_histogram.ts";
import type { UpdateTiming } from "../autotune/hardware_model.ts";
import type { Push } from "./messages.ts";

export interface CurvePoint {
  readonly virtualSeconds: number;
  readonly samples: number;
  readonly localSteps: number;
  readonly centerSteps: number;
  /** Of the test images that the scenario names. */
  readonly accuracy: number;
  readonly loss: number;
  /** Mean over the samples since the last point; null where there were none. */
  readonly trainLoss: number | null;
}

/** A mean loss over a stretch of training. */
class LossWindow {
  #sum = 0;
  #samples = 0;

  add(lossSum: number, samples: number): void {
    this.#sum += lossSum;
    this.#samples += samples;
  }

  get samples(): number {
    return this.#samples;
  }

  /** And begins anew. NaN where no sample came. */
  take(): number {
    const mean = this.#sum / this.#samples;
    this.#sum = 0;
    this.#samples = 0;
    return mean;
  }
}

const TIMINGS = 1000;

export class Tally {
  readonly staleness = new StalenessHistogram();
  readonly refused = { tooStale: 0, notFinite: 0, outOfBounds: 0 };
  readonly curve: CurvePoint[] = [];
  /** Since the last curve point, and since the last stretch of a caller's. */
  readonly curveLoss = new LossWindow();
  readonly stretchLoss = new LossWindow();
  localSteps = 0;
  samples = 0;
  exchanges = 0;
  /** Of replicas that left before they pushed them. */
  lostSteps = 0;
  overlappedApplies = 0;
  /** Pushes and rounds that came to the center to be applied, and how long they waited to be. */
  applies = 0;
  lockWaitedSeconds = 0;
  #timings: UpdateTiming[] = [];

  applied(push: Push, staleness: number): void {
    const { replica, samples, lossSum } = push;
    this.staleness.add(staleness);
    this.exchanges++;
    this.samples += samples;
    replica.exchanges++;
    replica.samples += samples;
    this.curveLoss.add(lossSum, samples);
    this.stretchLoss.add(lossSum, samples);
  }

  timed(timing: UpdateTiming): void {
    this.#timings.push(timing);
    if (this.#timings.length >= 2 * TIMINGS) this.#timings = this.#timings.slice(-TIMINGS);
  }

  /** The latest of them, since the last `forgetTimings`. */
  timings(): readonly UpdateTiming[] {
    return this.#timings.slice(-TIMINGS);
  }

  forgetTimings(): void {
    this.#timings = [];
  }
}
