/**
 * The answers to a run's entrance exam: computed once in a worker thread when the run starts, kept in the run's folder, and
 * served under an address that names the settings which they belong to. Replicas ask again while they are being computed.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { readAnswers } from "../../shared/engine/exam/examine.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { EvaluationError } from "../evaluation/wasm_sources.ts";
import { writeDurably } from "../store/durable_file.ts";
import type { ExamWorkerAnswer } from "./exam_worker.ts";

export interface ExamAnswersOptions {
  /** Without an exam. */
  readonly settings: RunSettings;
  /** The run's. */
  readonly folder: string;
  readonly onFailure: (error: unknown) => void;
}

/** Changes where the exam asks otherwise, so that answers of another version of Drove are not taken. */
const EXAM_VERSION = 1;

export class ExamAnswers {
  /** Relative to the coordinator's address. */
  readonly path: string;
  /** Resolves when there is a file, or never will be. */
  readonly done: Promise<void>;
  readonly #options: ExamAnswersOptions;
  readonly #file: string;
  #worker: Worker | undefined;
  #isClosed = false;
  #hasFailed = false;
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  constructor(options: ExamAnswersOptions) {
    const { settings, folder, onFailure } = options;
    const key = createHash("sha256")
      .update(JSON.stringify([EXAM_VERSION, settings]))
      .digest("hex")
      .slice(0, 16);
    this.#options = options;
    this.path = `api/exam/${key}`;
    this.#file = join(folder, `exam-${key}.bin`);
    this.done = this.#make().catch((error: unknown) => {
      this.#hasFailed = true;
      if (!this.#isClosed) onFailure(error);
    });
  }

  /** Undefined while they are being computed. */
  get bytes(): Uint8Array<ArrayBuffer> | undefined {
    return this.#bytes;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Ends the computing; who waits for it waits no longer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
    await this.done;
  }

  async #make(): Promise<void> {
    const stored = await readFile(this.#file).catch(() => undefined);
    if (stored && this.#isWhole(stored)) {
      this.#bytes = new Uint8Array(stored);
      return;
    }
    const bytes = await this.#compute();
    this.#bytes = bytes;
    await writeDurably(this.#file, [bytes]);
  }

  #isWhole(bytes: Uint8Array): boolean {
    const { settings } = this.#options;
    const examples = Math.min(settings.batch, settings.data.trainExamples);
    return !("problem" in readAnswers(bytes, planOf(settings, examples), settings.seed));
  }

  async #compute(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#isClosed) throw new Error("closed");
    const worker = new Worker(new URL("./exam_worker.ts", import.meta.url), { workerData: this.#options.settings });
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
