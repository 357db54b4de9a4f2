/** The plan of a run: what every replica trains, and what the coordinator answers the entrance exam on. */

import type { RunSettings } from "../run_settings.ts";
import { compilePlan, type Plan } from "./plan.ts";

/** Throws a `ModelError` where the model's shapes do not fit. */
export function planOf(settings: RunSettings, datasetExamples: number): Plan {
  const { model, batch, data, augmentation, optimizer, seed } = settings;
  const { normalisation } = data;
  return compilePlan(model, { batch, datasetExamples, normalisation, augmentation, optimizer, seed });
}
