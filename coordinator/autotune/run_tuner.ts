/**
 * The optimizer beside a real run: waits for the first replicas, tunes until the run is over, and writes every decision to the run's
 * `autotune.jsonl`, its view and its result. A run that is resumed goes on with its last decision.
 */

import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Normalisation } from "../../shared/engine/plan.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { AutotuneDecision } from "../../shared/run_view.ts";
import type { Examples } from "../data/dataset.ts";
import { Evaluator } from "../evaluation/evaluator.ts";
import type { Run } from "../run.ts";
import { Autotuner } from "./autotuner.ts";
import { RealTrials } from "./real_trials.ts";
import { evenlySpread } from "./spread_examples.ts";

export interface RunTunerOptions {
  readonly run: Run;
  readonly model: ModelDescription;
  readonly train: Examples;
  readonly normalisation: Normalisation;
  /** Where the cold start looks first. */
  readonly learningRate: number;
  /** Replicas that are known to come; whoever else comes later is followed. */
  readonly volunteers: number;
  readonly folder: string;
  readonly nowMs: () => number;
  readonly onFailure: (error: unknown) => void;
}

export const AUTOTUNE_FILE = "autotune.jsonl";

/** Of the training set: enough to tell settings apart, few enough for a core of its own. */
const JUDGED_EXAMPLES = 512;
/** A first look at the pace of updates. */
const FIRST_SECONDS = 0.25;
const MOST_FIRST_SECONDS = 4;
const WAIT_MS = 100;
/** So long nobody must have joined before the tuning begins, if fewer come than were expected. */
const QUIET_MS = 5000;

export class RunTuner {
  readonly #options: RunTunerOptions;
  readonly #over: Promise<void>;
  #written: Promise<void> = Promise.resolve();
  #isClosed = false;
  #trials: RealTrials | undefined = undefined;

  constructor(options: RunTunerOptions) {
    this.#options = options;
    this.#over = this.#tune().catch(options.onFailure);
  }

  /**
   * Before the run's end, which must not leave the center of a trial: it goes back to the best one. Resolves when the last decision
   * is on disk.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#trials?.stop();
    await this.#over;
    await this.#written;
  }

  async #tune(): Promise<void> {
    const { run, model, train, normalisation, learningRate, nowMs } = this.#options;
    const test = evenlySpread(train, JUDGED_EXAMPLES);
    const evaluator = await Evaluator.create({ model, test, normalisation });
    try {
      await this.#replicasCame();
      const trials = new RealTrials({ run, evaluator, nowMs });
      this.#trials = trials;
      if (this.#isClosed || trials.isOver) return;
      const last = run.view().autotune.at(-1);
      const autotuner = new Autotuner({
        trials,
        learningRate,
        firstSeconds: FIRST_SECONDS,
        mostFirstSeconds: MOST_FIRST_SECONDS,
        ...(last ? { resumed: last } : {}),
        onDecision: (decision) => this.#decided(decision),
      });
      await autotuner.run();
      const { betterEnd } = autotuner;
      if (!betterEnd) return;
      await trials.restart(betterEnd.state);
      await trials.retune(betterEnd.tuning);
    } finally {
      await evaluator.close();
    }
  }

  async #replicasCame(): Promise<void> {
    const { run, volunteers, nowMs } = this.#options;
    let quietSinceMs = nowMs();
    let replicas = 0;
    while (!this.#isClosed && (run.version === 0 || run.replicas < volunteers)) {
      if (run.replicas !== replicas || replicas === 0) quietSinceMs = nowMs();
      replicas = run.replicas;
      if (nowMs() - quietSinceMs > QUIET_MS) return;
      await sleep(WAIT_MS);
    }
  }

  #decided({ groups, momentum, learningRate, phase, reason }: AutotuneDecision): void {
    const { run, folder, onFailure } = this.#options;
    const decision: AutotuneDecision = { seconds: run.view().seconds, phase, groups, momentum, learningRate, reason };
    run.recordDecision(decision);
    const line = `${JSON.stringify(decision)}\n`;
    this.#written = this.#written.then(() => appendFile(join(folder, AUTOTUNE_FILE), line)).catch(onFailure);
  }
}
