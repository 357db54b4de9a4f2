/**
 * The answers to a run's entrance exam for one number of parts of its batch: computed at most once, in a worker thread, and
 * kept in the run's folder. Replicas ask again while they are being computed. `run_exam.ts` has those for every number.
 */

import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { readAnswers } from "../../shared/engine/exam/examine.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { EvaluationError } from "../evaluation/wasm_sources.ts";
import { writeDurably } from "../store/durable_file.ts";
import type { ExamWorkerAnswer, ExamWorkerTask } from "./exam_worker.ts";

export interface ExamAnswersOptions {
  readonly settings: RunSettings;
  /** Equal parts in which the batch is done. */
  readonly microBatches: number;
  /** Relative to the coordinator's address. */
  readonly path: string;
  /** Where they are kept. */
  readonly file: string;
  /** Does the work when it may be done. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly onFailure: (error: unknown) => void;
}

export class ExamAnswers {
  readonly path: string;
  readonly #options: ExamAnswersOptions;
  #done: Promise<void> | undefined;
  #worker: Worker | undefined;
  #isClosed = false;
  #hasFailed = false;
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  constructor(options: ExamAnswersOptions) {
    this.#options = options;
    this.path = options.path;
  }

  /** Undefined until they are computed or read. */
  get bytes(): Uint8Array<ArrayBuffer> | undefined {
    return this.#bytes;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Reads the file or computes it, the first time. Resolves when there is one, or never will be. */
  begin(): Promise<void> {
    this.#done ??= this.#make().catch((error: unknown) => {
      this.#hasFailed = true;
      if (!this.#isClosed) this.#options.onFailure(error);
    });
    return this.#done;
  }

  /** Ends the computing; who waits for it waits no longer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
    await this.#done;
  }

  async #make(): Promise<void> {
    const { file, inTurn } = this.#options;
    const stored = await readFile(file).catch(() => undefined);
    if (stored && this.#isWhole(stored)) {
      this.#bytes = new Uint8Array(stored);
      return;
    }
    const bytes = await inTurn(() => this.#compute());
    this.#bytes = bytes;
    await writeDurably(file, [bytes]);
  }

  #isWhole(bytes: Uint8Array): boolean {
    const { settings, microBatches } = this.#options;
    const examples = Math.min(settings.batch, settings.data.trainExamples);
    return !("problem" in readAnswers(bytes, planOf(settings, examples, microBatches), settings.seed));
  }

  async #compute(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#isClosed) throw new Error("closed");
    const { settings, microBatches } = this.#options;
    const task: ExamWorkerTask = { settings, microBatches };
    const worker = new Worker(new URL("./exam_worker.ts", import.meta.url), { workerData: task });
    this.#worker = worker;
    const answer = await new Promise<ExamWorkerAnswer>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () =>
        reject(new Error("The thread that answers the entrance exam ended without an answer.")),
      );
    });
    this.#worker = undefined;
    await worker.terminate();
    if (answer.kind === "problem") throw new EvaluationError(answer.sentence);
    return answer.bytes;
  }
}
