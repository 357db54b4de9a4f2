/**
 * How long a step takes on this machine's adapter alone, on its processor (WASM, one thread) alone, and on both together: a
 * program of its own, that `drove reproduce caffe-con-troll` starts with a job as JSON. `measuring.ts` says how it answers.
 */

import * as v from "valibot";
import { isModelName, MODELS, type ModelName } from "../../shared/model/catalogue.ts";
import { createWebGpuBackend } from "../../shared/engine/webgpu/webgpu_backend.ts";
import { openWasm, readShaders } from "./backends.ts";
import { measureHybrid, type HybridTimes } from "./hybrid_times.ts";
import { COUNT, SEEDS, openDevice, runProgram, type FoundAdapter } from "./measuring.ts";
import { NODE_CLOCK } from "./node_clock.ts";

const jobSchema = v.object({
  model: v.custom<ModelName>(
    (name) => typeof name === "string" && isModelName(name),
    "model is none of the catalogue.",
  ),
  batch: COUNT,
  /** Into which the batch is divided where every split of it is measured. */
  parts: v.pipe(v.number(), v.integer(), v.minValue(2)),
  repetitions: COUNT,
  seeds: SEEDS,
});

await runProgram(jobSchema, measure);

async function measure(
  { model, seeds, ...job }: v.InferOutput<typeof jobSchema>,
  found: FoundAdapter,
): Promise<{ readonly seeds: readonly HybridTimes[] }> {
  const helper = await openWasm();
  if ("note" in helper) throw new Error(helper.note);
  const { description, isFallback } = found;
  const info = { description, isFallback, nowMs: () => NODE_CLOCK.nowMs() };
  const owner = await createWebGpuBackend(await openDevice(found), info, await readShaders());
  const times: HybridTimes[] = [];
  for (const seed of seeds) times.push(await measureHybrid({ owner, helper }, { model: MODELS[model], seed, ...job }));
  return { seeds: times };
}
