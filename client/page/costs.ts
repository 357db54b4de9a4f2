/** What training takes of a volunteer's line, estimated from the run's settings: before the first step, and per hour. */

import { layoutOf } from "../../shared/model/layout.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import { encodedBytes } from "../../shared/wire/codec/codec.ts";

const SECONDS_OF_HOUR = 3600;

/** The first shard of images, and the center as it is. */
export function firstBytes({ model, data }: RunSettings): number {
  const { height, width, channels } = model.input;
  const examples = data.shards[0]?.examples ?? data.trainExamples;
  return examples * (height * width * channels + 1) + encodedBytes("f32", layoutOf(model).elements);
}

/** Of a machine that trains on so many images a second, up and down. */
export function bytesPerHour(settings: RunSettings, samplesPerSecond: number): number {
  const { elements } = layoutOf(settings.model);
  const { codecUp, codecDown, fragments } = settings;
  const isEveryStep = replicaRuleOf(settings.solver, settings.exchange).takesGradients;
  const samplesPerExchange = settings.batch * (isEveryStep ? 1 : settings.communicationPeriod);
  const bytesPerExchange = (encodedBytes(codecUp, elements) + encodedBytes(codecDown, elements)) / fragments;
  return (samplesPerSecond / samplesPerExchange) * bytesPerExchange * SECONDS_OF_HOUR;
}
