/**
 * When to evaluate, and on how many images: pure logic, which is handed the time. Evaluation takes at most a tenth of the
 * machine's processors, so that local volunteers keep theirs: subsets spend up to half of that, and the rest is kept
 * until a subset suggests that the target is reached, because only all images prove it.
 */

import { subsetCount, type EvaluationRequest } from "./selection.ts";

export interface ScheduleOptions {
  readonly cores: number;
  readonly testExamples: number;
  readonly targetAccuracy: number | null;
  /** Measured when the evaluator starts; every result corrects it. */
  readonly cpuMsPerImage: number;
  readonly startMs: number;
}

/** What the schedule needs to know of a result. */
export interface ScheduledResult {
  readonly scope: "subset" | "all";
  readonly images: number;
  readonly accuracy: number;
  readonly cpuMs: number;
  readonly stoppedEarly: boolean;
}

const CPU_SHARE = 0.1;
const SUBSET_SHARE = 0.05;
/** Small models cost next to nothing, but more than a point per second is of no use in a chart. */
const MIN_INTERVAL_MS = 1000;
/** What can be saved up: so much of the budget's time. */
const SAVED_MS = 60_000;
/** Costs vary with what else the machine does. */
const COST_MARGIN = 1.25;

/** Processor time that is earned at a rate, up to a cap, and spent afterwards. */
class Budget {
  #levelCpuMs = 0;
  readonly #earnedPerMs: number;

  constructor(earnedPerMs: number) {
    this.#earnedPerMs = earnedPerMs;
  }

  /** `capCpuMs` is at least what the dearest purchase needs, or it could never be made. */
  earn(elapsedMs: number, atLeastCapCpuMs: number): void {
    const capCpuMs = Math.max(SAVED_MS * this.#earnedPerMs, atLeastCapCpuMs);
    this.#levelCpuMs = Math.min(this.#levelCpuMs + elapsedMs * this.#earnedPerMs, capCpuMs);
  }

  affords(cpuMs: number): boolean {
    return this.#levelCpuMs >= cpuMs;
  }

  spend(cpuMs: number): void {
    this.#levelCpuMs -= cpuMs;
  }
}

export class EvaluationSchedule {
  readonly #options: ScheduleOptions;
  readonly #all: Budget;
  readonly #subsets: Budget;
  #cpuMsPerImage: number;
  #lastMs: number;
  #lastStartMs = -Infinity;
  #lastVersion: number | undefined;
  #turn = 0;
  #isRunning = false;
  /** A subset suggested that the target is reached. */
  #wantsAll = false;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#all = new Budget(CPU_SHARE * options.cores);
    this.#subsets = new Budget(SUBSET_SHARE * options.cores);
    this.#cpuMsPerImage = options.cpuMsPerImage;
    this.#lastMs = options.startMs;
  }

  /**
   * What to evaluate now, of the center of this version; undefined for nothing. After a request comes `finished` or
   * `failed` before the next one.
   */
  next(nowMs: number, version: number): EvaluationRequest | undefined {
    const { testExamples, targetAccuracy } = this.#options;
    const subsetImages = Math.ceil(testExamples / subsetCount(testExamples));
    const allCpuMs = testExamples * this.#cpuMsPerImage * COST_MARGIN;
    const subsetCpuMs = subsetImages * this.#cpuMsPerImage * COST_MARGIN;
    this.#all.earn(nowMs - this.#lastMs, allCpuMs);
    this.#subsets.earn(nowMs - this.#lastMs, subsetCpuMs);
    this.#lastMs = nowMs;
    if (this.#isRunning) return undefined;

    if (this.#wantsAll) {
      if (!this.#all.affords(allCpuMs)) return undefined;
      return this.#start(nowMs, version, { scope: "all", turn: 0, stopWhenBelow: targetAccuracy });
    }
    const isDue = nowMs - this.#lastStartMs >= MIN_INTERVAL_MS && version !== this.#lastVersion;
    if (!isDue || !this.#subsets.affords(subsetCpuMs) || !this.#all.affords(subsetCpuMs)) return undefined;
    return this.#start(nowMs, version, { scope: "subset", turn: this.#turn++, stopWhenBelow: null });
  }

  /** True when this result proves that the target is reached. */
  finished(result: ScheduledResult): boolean {
    const { targetAccuracy, testExamples } = this.#options;
    this.#isRunning = false;
    this.#all.spend(result.cpuMs);
    if (result.scope === "subset") this.#subsets.spend(result.cpuMs);
    if (result.images > 0) this.#cpuMsPerImage = result.cpuMs / result.images;
    const isAbove = targetAccuracy !== null && !result.stoppedEarly && result.accuracy >= targetAccuracy;
    // A subset that is the whole test set needs no second look.
    const isProof = result.scope === "all" || result.images === testExamples;
    this.#wantsAll = isAbove && !isProof;
    return isAbove && isProof;
  }

  /** The evaluation brought no result; what it cost is unknown and small. */
  failed(): void {
    this.#isRunning = false;
  }

  #start(nowMs: number, version: number, request: EvaluationRequest): EvaluationRequest {
    this.#isRunning = true;
    this.#lastStartMs = nowMs;
    this.#lastVersion = version;
    return request;
  }
}
