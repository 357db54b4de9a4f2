/**
 * A share of a batch's gradient on one thread of the WASM engine, in a worker of the pool: one of two devices that do a batch
 * together. A slower device is a thread that does everything several times.
 */

import { compilePlan } from "../../../shared/engine/plan.ts";
import type { VirtualProgram } from "../../../shared/engine/wasm/replica_states.ts";
import { compileVirtual } from "../../../shared/engine/wasm/wasm_backend.ts";
import { MODELS, type ModelName } from "../../../shared/model/catalogue.ts";
import { elementsOf } from "../../../shared/model/model.ts";
import { Random } from "../../../shared/random.ts";
import { readWasmSources } from "../../evaluation/wasm_sources.ts";

export interface ShareInput {
  readonly model: ModelName;
  readonly batch: number;
  /** Into which the batch is divided. */
  readonly parts: number;
  /** The parts to be done: from the first, so many. */
  readonly firstPart: number;
  readonly count: number;
  /** How often everything is done. */
  readonly times: number;
  readonly parameters: Float32Array;
}

/** What the share adds to the mean gradient of the batch. */
export type ShareOutput = Float32Array;

/** Kept by the thread: a device is compiled for once. */
const programs = new Map<string, Promise<VirtualProgram>>();

export default async function gradientOfShare(input: ShareInput): Promise<ShareOutput> {
  const { model, batch, parts, firstPart, count, times, parameters } = input;
  const key = `${model} ${batch} ${parts}`;
  const opening = programs.get(key) ?? open(input);
  programs.set(key, opening);
  const program = await opening;
  const size = batch / parts;
  const examples = Uint32Array.from({ length: count * size }, (_, index) => firstPart * size + index);
  for (let time = 1; time < times; time++) program.gradientAt(parameters, examples);
  const share = { stepExamples: batch, draw: firstPart };
  return program.gradientAt(parameters, examples, share).gradient.slice();
}

async function open({ model, batch, parts }: ShareInput): Promise<VirtualProgram> {
  const description = MODELS[model];
  const plan = compilePlan(description, {
    batch,
    microBatches: parts,
    datasetExamples: batch,
    normalisation: { mean: [0.5], deviation: [0.25] },
  });
  const program = await compileVirtual(await readWasmSources(), plan);
  const random = new Random(1);
  const images = Uint8Array.from({ length: batch * elementsOf(description.input) }, () => random.below(256));
  program.loadExamples(
    0,
    images,
    Uint8Array.from({ length: batch }, () => random.below(description.classes)),
  );
  return program;
}
