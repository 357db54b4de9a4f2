/** The worker thread behind `evaluator.ts`: holds the test set and the compiled model, and judges parameters. */

import { parentPort, workerData } from "node:worker_threads";
import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import type { EvaluationAnswer, EvaluationResult, EvaluationTask, EvaluatorOptions } from "./evaluator.ts";
import { liftVariances } from "./lift_variances.ts";
import { isOutOfReach, selectImages, type EvaluationRequest } from "./selection.ts";
import { EvaluationError, readWasmSources } from "./wasm_sources.ts";

/** LeNet costs 0.14 ms per image from here on, 0.18 at 50 (one core of a 2-core server, 2026-11). */
const BATCH = 100;

const port = parentPort;
if (!port) throw new Error("invariant violation: evaluation_worker.ts runs only as a worker thread");
const say = (answer: EvaluationAnswer): void => port.postMessage(answer);
const { model, test, normalisation } = workerData as EvaluatorOptions;

try {
  const backend = await createWasmBackend(await readWasmSources());
  const plan = compilePlan(model, { batch: BATCH, datasetExamples: test.count, normalisation });
  const program = await backend.compile(plan);
  program.loadExamples(0, test.images, test.labels);
  port.on("message", ({ parameters, request }: EvaluationTask) => {
    liftVariances(parameters, plan.layout);
    program.writeParameters(parameters);
    evaluate(program, request).then(
      (result) => say({ kind: "result", result }),
      (error: unknown) => say({ kind: "problem", sentence: `The evaluation failed: ${(error as Error).message}` }),
    );
  });
  say({ kind: "ready", cpuMsPerImage: await measure(program) });
} catch (error) {
  if (!(error instanceof EvaluationError)) throw error;
  say({ kind: "problem", sentence: error.message });
}

async function measure(program: Program): Promise<number> {
  const request: EvaluationRequest = { scope: "subset", turn: 0, stopWhenBelow: null };
  const { cpuMs, images } = await evaluate(program, request);
  return cpuMs / images;
}

async function evaluate(program: Program, { scope, ...rest }: EvaluationRequest): Promise<EvaluationResult> {
  const begun = process.threadCpuUsage();
  const images = selectImages(test.count, { scope, ...rest });
  let looked = 0;
  let correct = 0;
  let lossSum = 0;
  let stoppedEarly = false;
  while (looked < images.length && !stoppedEarly) {
    const batch = images.subarray(looked, looked + BATCH);
    const judged = batch.length === BATCH ? await judge(program, batch) : await judgePart(program, batch);
    looked += batch.length;
    correct += judged.correct;
    lossSum += judged.lossSum;
    const remaining = images.length - looked;
    stoppedEarly =
      rest.stopWhenBelow !== null &&
      remaining > 0 &&
      isOutOfReach(rest.stopWhenBelow, correct, remaining, images.length);
  }
  const { user, system } = process.threadCpuUsage(begun);
  return {
    scope,
    images: looked,
    correct,
    accuracy: correct / looked,
    meanLoss: lossSum / looked,
    cpuMs: (user + system) / 1000,
    stoppedEarly,
  };
}

interface Judged {
  readonly correct: number;
  readonly lossSum: number;
}

async function judge(program: Program, batch: Uint32Array): Promise<Judged> {
  const { correct, meanLoss } = await program.evaluate(batch);
  return { correct, lossSum: meanLoss * batch.length };
}

/** A program takes whole batches only: fills up with copies of one image, and takes off what those count for. */
async function judgePart(program: Program, part: Uint32Array): Promise<Judged> {
  const filler = new Uint32Array(BATCH).fill(part[0]!);
  const filled = filler.slice();
  filled.set(part);
  const whole = await judge(program, filled);
  const copies = await judge(program, filler);
  const copied = (BATCH - part.length) / BATCH;
  return {
    correct: Math.round(whole.correct - copied * copies.correct),
    lossSum: whole.lossSum - copied * copies.lossSum,
  };
}
