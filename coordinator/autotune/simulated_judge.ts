/**
 * The loss of a simulated run's center over fixed training examples, for the optimizer: computed aside, as a coordinator
 * would on a core of its own, so that virtual time stands still.
 */

import { compilePlan } from "../../shared/engine/plan.ts";
import type { VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import { compileVirtual } from "../../shared/engine/wasm/wasm_backend.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { Dataset } from "../data/dataset.ts";
import { readWasmSources } from "../evaluation/wasm_sources.ts";
import { Judge, JUDGED_TOGETHER } from "../simulate/judge.ts";

/** Spread evenly over the training set. */
const JUDGED_EXAMPLES = 1000;

export async function trainingJudge(model: ModelDescription, { train, normalisation }: Dataset): Promise<Judge> {
  const count = Math.min(JUDGED_EXAMPLES, train.count);
  const plan = compilePlan(model, { batch: Math.min(JUDGED_TOGETHER, count), datasetExamples: count, normalisation });
  const program: VirtualProgram = await compileVirtual(await readWasmSources(), plan);
  const imageBytes = train.images.length / train.count;
  const images = new Uint8Array(count * imageBytes);
  const labels = new Uint8Array(count);
  for (let index = 0; index < count; index++) {
    const example = Math.floor((index * train.count) / count);
    images.set(train.images.subarray(example * imageBytes, (example + 1) * imageBytes), index * imageBytes);
    labels[index] = train.labels[example] ?? 0;
  }
  program.loadExamples(0, images, labels);
  return new Judge(program, count);
}
