/** A model compiled for one image at a time, on the processor: bytes in, the probability of each class out. */

import { compilePlan } from "../../../shared/engine/plan.ts";
import plainUrl from "../../../shared/engine/wasm/build/plain.wasm?url";
import relaxedUrl from "../../../shared/engine/wasm/build/relaxed.wasm?url";
import { compileVirtual } from "../../../shared/engine/wasm/wasm_backend.ts";
import type { ParameterLayout } from "../../../shared/model/layout.ts";
import type { ToTrialWorker } from "../messages.ts";
import { TrialError } from "./trial_error.ts";

export interface Forward {
  readonly layout: ParameterLayout;
  /** `pixels`: [height, width, channels] of the model's input. */
  probabilities(parameters: Float32Array, pixels: Uint8Array): Float32Array<ArrayBuffer>;
}

const LABEL = new Uint8Array(1);
const EXAMPLE = new Uint32Array(1);

/** The module with relaxed multiply-add first: only a browser without it fetches the other. */
export async function compileForward({
  model,
  normalisation,
}: Pick<Extract<ToTrialWorker, { kind: "open" }>, "model" | "normalisation">): Promise<Forward> {
  const relaxed = await bytesOf(relaxedUrl);
  const plain = WebAssembly.validate(relaxed) ? relaxed : await bytesOf(plainUrl);
  const plan = compilePlan(model, { batch: 1, datasetExamples: 1, normalisation });
  const program = await compileVirtual({ plain, relaxed }, plan);
  return {
    layout: plan.layout,
    probabilities: (parameters, pixels) => {
      program.loadExamples(0, pixels, LABEL);
      const outputs = program.outputsAt(parameters, EXAMPLE);
      return model.loss === "mean-squared-error" ? normalised(outputs) : softmax(outputs);
    },
  };
}

async function bytesOf(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url).catch(() => undefined);
  if (response?.ok !== true) {
    throw new TrialError(
      "What computes the model did not come. Check that the coordinator is in reach, reload the page and try again.",
    );
  }
  return response.arrayBuffer();
}

function softmax(outputs: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const most = outputs.reduce((a, b) => Math.max(a, b), -Infinity);
  return scaledToOne(outputs.map((output) => Math.exp(output - most)));
}

/** Trained towards 1 for the right class and 0 for the others. */
function normalised(outputs: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return scaledToOne(outputs.map((output) => Math.max(0, output)));
}

function scaledToOne(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => (sum > 0 ? value / sum : 1 / values.length));
}
