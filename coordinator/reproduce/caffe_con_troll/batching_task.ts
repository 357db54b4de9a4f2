/**
 * How long a gradient of one batch takes when the batch is done in so many parts: each image for itself as Caffe does it, or all
 * images at once. On one thread of the WASM engine, in a worker of the pool.
 */

import { compilePlan } from "../../../shared/engine/plan.ts";
import { compileVirtual } from "../../../shared/engine/wasm/wasm_backend.ts";
import { MODELS, type ModelName } from "../../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../../shared/model/layout.ts";
import { elementsOf } from "../../../shared/model/model.ts";
import { Random } from "../../../shared/random.ts";
import { readWasmSources } from "../../evaluation/wasm_sources.ts";
import { medianOf } from "./median.ts";

export interface BatchingInput {
  readonly model: ModelName;
  readonly batch: number;
  /** Images of a part, each a divisor of the batch. */
  readonly partSizes: readonly number[];
  readonly repetitions: number;
  readonly seed: number;
}

/** Milliseconds of a gradient, by part size: the median of the repetitions, which take turns. */
export type BatchingOutput = readonly number[];

export default async function timeParts(input: BatchingInput): Promise<BatchingOutput> {
  const { model, batch, partSizes, repetitions, seed } = input;
  const description = MODELS[model];
  const sources = await readWasmSources();
  const random = new Random(seed);
  const imageBytes = elementsOf(description.input);
  const images = Uint8Array.from({ length: batch * imageBytes }, () => random.below(256));
  const labels = Uint8Array.from({ length: batch }, () => random.below(description.classes));
  const examples = Uint32Array.from({ length: batch }, (_, index) => index);
  const parameters = initialParameters(layoutOf(description), seed);
  const programs = await Promise.all(
    partSizes.map(async (size) => {
      const plan = compilePlan(description, {
        batch,
        microBatches: batch / size,
        datasetExamples: batch,
        normalisation: { mean: [0.5], deviation: [0.5] },
      });
      const program = await compileVirtual(sources, plan);
      program.loadExamples(0, images, labels);
      program.writeParameters(parameters);
      // The first one also compiles.
      program.gradientStep(examples);
      return program;
    }),
  );
  const times = partSizes.map((): number[] => []);
  for (let repetition = 0; repetition < repetitions; repetition++) {
    programs.forEach((program, index) => {
      const beginMs = performance.now();
      program.gradientStep(examples);
      times[index]?.push(performance.now() - beginMs);
    });
  }
  for (const program of programs) program.close();
  return times.map(medianOf);
}
