/**
 * Held-out evaluation of the center in a worker thread, on the engine's WASM backend: the coordinator's own judge, which
 * trusts no volunteer's numbers. One evaluation at a time; `schedule.ts` says when.
 */

import { Worker } from "node:worker_threads";
import type { Normalisation } from "../../shared/engine/plan.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { Examples } from "../data/dataset.ts";
import type { EvaluationRequest } from "./selection.ts";
import { EvaluationError } from "./wasm_sources.ts";

export interface EvaluatorOptions {
  readonly model: ModelDescription;
  readonly test: Examples;
  readonly normalisation: Normalisation;
}

export interface EvaluationResult {
  readonly scope: "subset" | "all";
  /** How many were looked at. */
  readonly images: number;
  readonly correct: number;
  readonly accuracy: number;
  readonly meanLoss: number;
  /** Processor time of the thread. */
  readonly cpuMs: number;
  /** True where it ended because the accuracy asked for could no longer be reached: then `images` is not all. */
  readonly stoppedEarly: boolean;
}

export interface EvaluationTask {
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly request: EvaluationRequest;
}

/** What the worker says: once `ready`, then one `result` or `problem` for each task. */
export type EvaluationAnswer =
  | { readonly kind: "ready"; readonly cpuMsPerImage: number }
  | { readonly kind: "result"; readonly result: EvaluationResult }
  | { readonly kind: "problem"; readonly sentence: string };

export class Evaluator {
  /** Measured at the start, for the schedule. */
  readonly cpuMsPerImage: number;
  readonly #worker: Worker;
  #running: PromiseWithResolvers<EvaluationResult> | undefined;
  #failure: EvaluationError | undefined;

  private constructor(worker: Worker, cpuMsPerImage: number) {
    this.#worker = worker;
    this.cpuMsPerImage = cpuMsPerImage;
    worker.on("message", (answer: EvaluationAnswer) => this.#settle(answer));
    worker.on("error", (error) => this.#fail(`The evaluation ended: ${(error as Error).message}`));
    worker.on("exit", () => this.#fail("The evaluator has been closed."));
    // Idle, it must not keep the process alive.
    worker.unref();
  }

  /** Starts the thread, compiles the model there and measures an evaluation. */
  static async create(options: EvaluatorOptions): Promise<Evaluator> {
    const worker = new Worker(new URL("./evaluation_worker.ts", import.meta.url), { workerData: options });
    const answer = await new Promise<EvaluationAnswer>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    if (answer.kind === "ready") {
      worker.removeAllListeners("error");
      return new Evaluator(worker, answer.cpuMsPerImage);
    }
    await worker.terminate();
    throw new EvaluationError(
      answer.kind === "problem" ? answer.sentence : "invariant violation: a result before any task",
    );
  }

  /** The parameters are copied at once; the caller may go on using them. */
  evaluate(parameters: Float32Array, request: EvaluationRequest): Promise<EvaluationResult> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#running) throw new Error("invariant violation: two evaluations at a time");
    this.#running = Promise.withResolvers();
    // A message would share a center that lies in shared memory: the judged must not move while it is judged.
    const task: EvaluationTask = { parameters: new Float32Array(parameters), request };
    this.#worker.ref();
    this.#worker.postMessage(task, [task.parameters.buffer]);
    return this.#running.promise;
  }

  /** Ends the thread; an evaluation that runs is rejected. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: EvaluationAnswer): void {
    const running = this.#running;
    this.#running = undefined;
    this.#worker.unref();
    if (answer.kind === "result") running?.resolve(answer.result);
    else if (answer.kind === "problem") running?.reject(new EvaluationError(answer.sentence));
  }

  #fail(sentence: string): void {
    this.#failure ??= new EvaluationError(sentence);
    this.#running?.reject(this.#failure);
    this.#running = undefined;
  }
}
