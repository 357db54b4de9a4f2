/**
 * Judges the center as the run goes: asks the schedule what is due, the evaluator for the answer, and tells the run. Ends
 * itself with the first center that all test images prove to have reached the target.
 */

import type { EvaluationResult, Evaluator } from "./evaluation/evaluator.ts";
import type { EvaluationSchedule } from "./evaluation/schedule.ts";
import type { Snapshot } from "./store/checkpoint.ts";

export interface JudgedCenter {
  readonly snapshot: Snapshot;
  readonly result: EvaluationResult;
}

export interface EvaluationLoopOptions {
  readonly evaluator: Evaluator;
  readonly schedule: EvaluationSchedule;
  readonly version: () => number;
  readonly snapshot: () => Snapshot;
  readonly record: (result: EvaluationResult) => void;
  /** The center that reached the target, once. */
  readonly onTarget: (judged: JudgedCenter) => void;
  /** Told once for each kind of problem. */
  readonly onProblem: (sentence: string) => void;
  readonly nowMs: () => number;
}

/** The schedule itself keeps evaluations apart. */
const ASK_MS = 250;

export class EvaluationLoop {
  readonly #options: EvaluationLoopOptions;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<unknown> = Promise.resolve();
  #isStopped = false;
  #problem = "";

  constructor(options: EvaluationLoopOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#ask(), ASK_MS);
  }

  /** Resolves when the evaluation that runs, if any, is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Judges on all test images, after `stop`. */
  judge(snapshot: Snapshot): Promise<EvaluationResult> {
    return this.#options.evaluator.evaluate(snapshot.parameters, { scope: "all", turn: 0, stopWhenBelow: null });
  }

  #ask(): void {
    const { schedule, evaluator, version, nowMs } = this.#options;
    const request = schedule.next(nowMs(), version());
    if (!request) return;
    const snapshot = this.#options.snapshot();
    this.#running = evaluator.evaluate(snapshot.parameters, request).then(
      (result) => this.#take(snapshot, result),
      (error: unknown) => this.#fail(error as Error),
    );
  }

  #take(snapshot: Snapshot, result: EvaluationResult): void {
    const { schedule, record, onTarget } = this.#options;
    const isProof = schedule.finished(result);
    if (this.#isStopped) return;
    record(result);
    if (!isProof) return;
    clearInterval(this.#timer);
    onTarget({ snapshot, result });
  }

  #fail({ message }: Error): void {
    this.#options.schedule.failed();
    if (message !== this.#problem && !this.#isStopped) this.#options.onProblem(message);
    this.#problem = message;
  }
}
