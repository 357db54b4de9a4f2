/**
 * A run's entrance exam on the coordinator's side: answers for each number of equal parts in which a device may do the run's
 * batch, under addresses that name the settings which they belong to. Those for a batch done at once are computed when the
 * run starts, the others when they are asked for.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { divisorsOf } from "../../shared/engine/fit.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { ExamAnswers } from "./exam_answers.ts";

export interface RunExamOptions {
  /** Without an exam. */
  readonly settings: RunSettings;
  /** The run's. */
  readonly folder: string;
  readonly onFailure: (error: unknown) => void;
}

/** Changes where the exam asks otherwise, so that answers of another version of Drove are not taken. */
const EXAM_VERSION = 1;

export class RunExam {
  /** Relative to the coordinator's address; the answers are below it. */
  readonly path: string;
  /** For each divisor of the batch, in ascending order. */
  readonly answers: readonly ExamAnswers[];
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor({ settings, folder, onFailure }: RunExamOptions) {
    const key = createHash("sha256")
      .update(JSON.stringify([EXAM_VERSION, settings]))
      .digest("hex")
      .slice(0, 16);
    this.path = `api/exam/${key}`;
    this.answers = divisorsOf(settings.batch).map(
      (microBatches) =>
        new ExamAnswers({
          settings,
          microBatches,
          path: `${this.path}/${microBatches}`,
          file: join(folder, `exam-${key}-${microBatches}.bin`),
          inTurn: (work) => this.#inTurn(work),
          onFailure,
        }),
    );
    void this.answers[0]?.begin();
  }

  /** Ends the computing; who waits for it waits no longer. */
  async close(): Promise<void> {
    await Promise.all(this.answers.map((answers) => answers.close()));
  }

  /** One computing after the other: whoever asks for all divisors at once takes one core and one model's memory. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }
}
