/**
 * The entrance exam as a volunteer takes it: fetches the coordinator's answers, and examines programs before they train.
 * There are answers for each number of parts in which a device may do the run's batch. The coordinator computes them when the
 * run starts, or when somebody asks for the first time, so it may have to be asked again.
 */

import type { Program } from "../../shared/engine/backend.ts";
import type { Answers } from "../../shared/engine/exam/answers.ts";
import { examine, readAnswers, type Verdict } from "../../shared/engine/exam/examine.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import type { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { Clock } from "../replica/clock.ts";
import { retryDelayMs } from "../replica/connection.ts";
import { Failure } from "./failure.ts";
import { within } from "./measurement.ts";
import type { Fetch, StopSignal } from "./surroundings.ts";

export interface ExamOptions {
  readonly settings: RunSettings;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: StopSignal;
}

/** About 20 s in all. */
const TRIES = 9;
const RETRY_COMPUTING_MS = 500;
const COMPUTING = 503;
/** In software a whole step of a large net takes half a minute. */
const EXAM_MS = 180_000;
const WHAT_HELPS = "Start again; if that does not help, ask the operator to restart the coordinator.";

export class Exam {
  readonly #options: ExamOptions;
  /** By number of parts. */
  readonly #answers = new Map<number, Promise<Answers>>();

  constructor(options: ExamOptions) {
    this.#options = options;
  }

  /** Has the answers come while something else is done; whoever takes the exam waits for them, and hears what is wrong with them. */
  prefetch(plan: Plan): void {
    const { exam } = this.#options.settings;
    if (exam !== undefined) this.#answersTo(plan, exam).catch(() => {});
  }

  /** Undefined where the run holds no exam. Rejects with a sentence where there are no answers, or the device breaks. */
  async take(program: Program): Promise<Verdict | undefined> {
    const { settings, clock } = this.#options;
    if (settings.exam === undefined) return undefined;
    const answers = await this.#answersTo(program.plan, settings.exam);
    return within(EXAM_MS, clock, "The exam", examine(program, settings.seed, answers));
  }

  #answersTo(plan: Plan, exam: string): Promise<Answers> {
    const { microBatches } = plan;
    const answers = this.#answers.get(microBatches) ?? this.#fetch(`${exam}/${microBatches}`, plan);
    this.#answers.set(microBatches, answers);
    return answers;
  }

  async #fetch(path: string, plan: Plan): Promise<Answers> {
    const answers = readAnswers(await this.#bytes(path), plan, this.#options.settings.seed);
    if (!("problem" in answers)) return answers;
    throw new ExamError(`The answers to the entrance exam came damaged: ${answers.problem}. ${WHAT_HELPS}`);
  }

  async #bytes(path: string): Promise<Uint8Array> {
    const { fetch, clock, random, signal } = this.#options;
    let why = "";
    for (let attempt = 0; attempt < TRIES; attempt++) {
      signal.throwIfAborted();
      try {
        let response = await fetch(path);
        while (response.status === COMPUTING) {
          await clock.sleep(RETRY_COMPUTING_MS);
          signal.throwIfAborted();
          response = await fetch(path);
        }
        if (response.ok) return new Uint8Array(await response.arrayBuffer());
        why = `HTTP ${response.status}`;
        // Another version's address: asking again changes nothing.
        if (response.status < 500) break;
      } catch (error) {
        signal.throwIfAborted();
        why = error instanceof Error ? error.message : String(error);
      }
      await clock.sleep(retryDelayMs(attempt, random));
    }
    throw new ExamError(`The answers to the entrance exam did not come (${why}). ${WHAT_HELPS}`);
  }
}

/** There is nothing to examine a device with: not the device's failure. */
export class ExamError extends Failure {
  constructor(sentence: string) {
    super("out-of-reach", sentence);
  }
}
