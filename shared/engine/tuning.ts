/**
 * The words of tuning: a backend measures, on this very device and within a budget, which kernels a plan should use, and
 * remembers the winners. Only `webgpu/` tunes; `webgpu/tuner/` says how.
 */

/** Where winners are kept between sessions: IndexedDB, a file, or a test's memory. Neither method may reject. */
export interface Winners {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
}

export interface TuningOptions {
  /**
   * Milliseconds of compiling and measuring; what waits for the device's other work is not counted. No kernel is begun after
   * it is spent, so one slow compilation can exceed it. With 0 nothing is measured and only what is remembered is taken.
   */
  readonly budgetMs: number;
  readonly nowMs: () => number;
  readonly winners?: Winners;
  readonly onProgress?: (progress: TuningProgress) => void;
  /** Called between two pieces of work of at most about 50 ms; what it throws ends the tuning. */
  readonly between?: () => Promise<void>;
}

interface TuningProgress {
  /** Products (one pass of one shape of layer) whose kernel is settled, and all of the plan. */
  readonly settled: number;
  readonly products: number;
}

export interface TuningResult {
  readonly products: readonly TunedProduct[];
  readonly spentMs: number;
  /** The rule's time over the winners' for all products of a step that have been measured, now or before; 1 where none has. */
  readonly speedup: number;
  /** Every product has seen all candidates that the cost model does not rule out. */
  readonly isComplete: boolean;
}

export interface TunedProduct {
  /** The work in words: pass, shapes, window. */
  readonly product: string;
  /** How many launches of a step do this work. */
  readonly count: number;
  readonly winner: string;
  /** `rule`: nothing was measured, the rule's guess stands. */
  readonly from: "measured" | "remembered" | "rule";
  /** Of the winner and of the rule's choice, for the whole batch; undefined where not measured. */
  readonly ms: number | undefined;
  readonly ruleMs: number | undefined;
  /** Images that were measured; the times are scaled to `batch`. */
  readonly measuredImages: number | undefined;
  readonly batch: number;
  /** All that were measured, losers included. */
  readonly tried: readonly string[];
  readonly failed: readonly FailedCandidate[];
}

export interface FailedCandidate {
  readonly candidate: string;
  /** A sentence. */
  readonly reason: string;
}
