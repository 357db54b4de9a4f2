/** The plan of a run: what every replica trains, and what the coordinator answers the entrance exam on. */

import type { RunSettings } from "../run_settings.ts";
import { replicaRuleOf } from "../solver/replica_rule.ts";
import { compilePlan, type Plan } from "./plan.ts";

/** Its batch is done in `microBatches` equal parts. Throws a `ModelError` where the model's shapes do not fit. */
export function planOf(settings: RunSettings, datasetExamples: number, microBatches = settings.batchParts): Plan {
  const { model, batch, data, augmentation, seed, solver, exchange } = settings;
  const { normalisation } = data;
  const optimizer = {
    ...settings.optimizer,
    kind: replicaRuleOf(solver, exchange).optimizer ?? settings.optimizer.kind,
  };
  return compilePlan(model, { batch, microBatches, datasetExamples, normalisation, augmentation, optimizer, seed });
}
