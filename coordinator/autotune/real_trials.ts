/**
 * The optimizer's view of a real run: wall time while replicas train, settings through `Run.retune`, centers from memory, and the
 * loss by an evaluator of its own on training examples, in a thread beside everything else.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { CenterState } from "../center/center.ts";
import type { Evaluator } from "../evaluation/evaluator.ts";
import type { Run } from "../run.ts";
import type { UpdateTiming } from "./hardware_model.ts";
import { meanOf } from "./mean.ts";
import type { Stretch, Trials, Tuning } from "./trials.ts";

export interface RealTrialsOptions {
  readonly run: Run;
  /** Its test set is a part of the training set. */
  readonly evaluator: Evaluator;
  readonly nowMs: () => number;
}

/** Between two looks at the run. */
const LOOK_MS = 50;
/** What a push that is no number, or beyond all bounds, is refused with. */
const DIVERGED = ["NOT_FINITE", "OUT_OF_BOUNDS"];
const TIMINGS_KEPT = 400;

export class RealTrials implements Trials<CenterState> {
  readonly #run: Run;
  readonly #evaluator: Evaluator;
  readonly #nowMs: () => number;
  #groups = 1;
  #trainedMs = 0;
  #isStopped = false;
  #timings: UpdateTiming[] = [];
  /** Since the last update. */
  #pendingSeconds = 0;
  /** Updates still to come that belong to the settings before. */
  #unsettled = 0;

  constructor({ run, evaluator, nowMs }: RealTrialsOptions) {
    this.#run = run;
    this.#evaluator = evaluator;
    this.#nowMs = nowMs;
  }

  get isOver(): boolean {
    return this.#isStopped || this.#isRunOver;
  }

  get #isRunOver(): boolean {
    return this.#run.state === "reached" || this.#run.state === "stopped";
  }

  /** No more trials: whoever advances sees a run that is over. */
  stop(): void {
    this.#isStopped = true;
  }

  replicas(): number {
    return this.#run.replicas;
  }

  now(): number {
    return this.#trainedMs / 1000;
  }

  timings(): readonly UpdateTiming[] {
    return this.#timings;
  }

  snapshot(): Promise<CenterState> {
    const { parameters, velocity } = this.#run.snapshot();
    return Promise.resolve({ parameters, velocity });
  }

  async restart(snapshot: CenterState): Promise<void> {
    if (!this.#isRunOver) await this.#run.restart(snapshot);
  }

  retune(tuning: Tuning): Promise<void> {
    const { groups, momentum, learningRate } = tuning;
    this.#groups = groups;
    this.#timings = [];
    this.#unsettled = groups;
    if (!this.#isRunOver) this.#run.retune({ groups, momentum, learningRate });
    return Promise.resolve();
  }

  async loss(centers: readonly CenterState[]): Promise<number> {
    const mean = meanOf(centers.map(({ parameters }) => parameters));
    const { meanLoss } = await this.#evaluator.evaluate(mean, { scope: "all", turn: 0, stopWhenBelow: null });
    return Number.isFinite(meanLoss) ? meanLoss : Infinity;
  }

  /** Time without replicas does not count, nor does time in which the operator has everybody wait. */
  async advance(seconds: number): Promise<Stretch> {
    const endMs = this.#trainedMs + 1000 * seconds;
    const before = this.#counted();
    while (!this.isOver && this.#trainedMs < endMs) {
      const { version } = this.#run;
      const beganMs = this.#nowMs();
      const { isPaused } = this.#run.clock;
      await sleep(isPaused ? LOOK_MS : Math.min(LOOK_MS, Math.max(1, endMs - this.#trainedMs)));
      if (this.#run.replicas === 0) continue;
      const tookMs = this.#nowMs() - beganMs;
      this.#trainedMs += tookMs;
      this.#time(this.#run.version - version, tookMs / 1000);
    }
    const after = this.#counted();
    return {
      samples: after.samples - before.samples,
      diverged: after.diverged > before.diverged,
      isOver: this.isOver,
    };
  }

  /**
   * From the pace of updates alone: a group's work is all that lies between two updates of one group. What of it the coordinator
   * took is part of it, which the fit over group sizes shows as work that does not shrink.
   */
  #time(updates: number, seconds: number): void {
    this.#pendingSeconds += seconds;
    if (updates <= 0) return;
    const workSeconds = (this.#pendingSeconds * Math.min(this.#groups, this.replicas())) / updates;
    this.#pendingSeconds = 0;
    const counted = Math.max(0, updates - this.#unsettled);
    this.#unsettled = Math.max(0, this.#unsettled - updates);
    const groupSize = Math.max(1, this.replicas() / this.#groups);
    const timing = { groupSize, workSeconds, applySeconds: 0 };
    this.#timings = [...this.#timings, ...Array.from({ length: counted }, () => timing)].slice(-TIMINGS_KEPT);
  }

  #counted(): { samples: number; diverged: number } {
    const { samples, refusals } = this.#run.view();
    return { samples, diverged: DIVERGED.reduce((sum, code) => sum + (refusals[code] ?? 0), 0) };
  }
}
