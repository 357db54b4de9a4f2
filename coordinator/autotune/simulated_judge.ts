/**
 * The loss of a simulated run's center over fixed training examples, for the optimizer: computed aside, as a coordinator
 * would on a core of its own, so that virtual time stands still.
 */

import { compilePlan } from "../../shared/engine/plan.ts";
import { compileVirtual } from "../../shared/engine/wasm/wasm_backend.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import type { Dataset } from "../data/dataset.ts";
import { readWasmSources } from "../evaluation/wasm_sources.ts";
import { Judge, JUDGED_TOGETHER } from "../simulate/judge.ts";
import { evenlySpread } from "./spread_examples.ts";

const JUDGED_EXAMPLES = 1000;

export async function trainingJudge(model: ModelDescription, { train, normalisation }: Dataset): Promise<Judge> {
  const { images, labels, count } = evenlySpread(train, JUDGED_EXAMPLES);
  const plan = compilePlan(model, { batch: Math.min(JUDGED_TOGETHER, count), datasetExamples: count, normalisation });
  const program = await compileVirtual(await readWasmSources(), plan);
  program.loadExamples(0, images, labels);
  return new Judge(program, count);
}
