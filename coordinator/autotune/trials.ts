/**
 * The run as the optimizer sees it: time passes, settings change, a loss comes back. `simulated_trials.ts` is this over a
 * simulated run, `real_trials.ts` over a real one, so that the search is one and the same. Nothing of the test set is seen here.
 */

import type { UpdateTiming } from "./hardware_model.ts";

/** What the optimizer chooses. */
export interface Tuning {
  readonly groups: number;
  /** Explicit momentum; may be negative. */
  readonly momentum: number;
  readonly learningRate: number;
}

/** What a stretch of training showed. */
export interface Stretch {
  readonly samples: number;
  /** A loss or a center that is not finite. */
  readonly diverged: boolean;
  /** The run has ended: target reached, time over or stopped. */
  readonly isOver: boolean;
}

export interface Trials<Snapshot> {
  /** That take part now. */
  replicas(): number;
  /** Seconds since the run's start; trials that were thrown away count. */
  now(): number;
  /** Of the updates since the last `retune`, or of the latest of them. */
  timings(): readonly UpdateTiming[];
  snapshot(): Promise<Snapshot>;
  /** Parameters and momentum become those of the snapshot; the clock goes on. */
  restart(snapshot: Snapshot): Promise<void>;
  retune(tuning: Tuning): Promise<void>;
  /**
   * Mean loss, over the same training examples each time, of the mean of these centers; Infinity where that is not finite.
   * Training goes on meanwhile, or time stands still.
   */
  loss(centers: readonly Snapshot[]): Promise<number>;
  /** Trains on for so many seconds, or until the run is over. */
  advance(seconds: number): Promise<Stretch>;
}
