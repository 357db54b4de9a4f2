/**
 * The worker thread behind `exam_answers.ts`: answers the run's entrance exam once, for one number of parts, on the engine's
 * WASM backend.
 */

import { parentPort, workerData } from "node:worker_threads";
import { answerExam } from "../../shared/engine/exam/examine.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { EvaluationError, readWasmSources } from "../evaluation/wasm_sources.ts";

export interface ExamWorkerTask {
  readonly settings: RunSettings;
  /** Equal parts in which the batch is done. */
  readonly microBatches: number;
}

/** The file's bytes, or a sentence. */
export type ExamWorkerAnswer =
  | { readonly kind: "answers"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "problem"; readonly sentence: string };

const port = parentPort;
if (!port) throw new Error("invariant violation: exam_worker.ts runs only as a worker thread");
const say = (answer: ExamWorkerAnswer): void => port.postMessage(answer);
const { settings, microBatches } = workerData as ExamWorkerTask;

try {
  const backend = await createWasmBackend(await readWasmSources());
  // The exam brings its own examples: one batch, or as many as there are.
  const examples = Math.min(settings.batch, settings.data.trainExamples);
  const plan = planOf(settings, examples, microBatches);
  say({ kind: "answers", bytes: await answerExam(backend, plan, settings.seed) });
} catch (error) {
  if (!(error instanceof EvaluationError)) throw error;
  say({ kind: "problem", sentence: error.message });
}
