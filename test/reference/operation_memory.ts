/**
 * What one operation reads, drawn at random, and how large the sums behind its outputs are: the inputs of a comparison
 * between a kernel and its reference.
 */

import { tensorsOf, type Operation, type TensorId } from "../../shared/engine/operation.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { elementsOf } from "../../shared/model/model.ts";
import type { Random } from "../../shared/random.ts";
import { activate } from "./activation.ts";
import { referenceMemory, runOperation, type ReferenceMemory } from "./operations.ts";

/** Tensors of u32. */
export function wholeNumberTensors(plan: Plan): ReadonlySet<TensorId> {
  return new Set(
    [...plan.forward, ...plan.evaluation].flatMap((operation) => {
      if (operation.kind === "gather") return [operation.labels];
      return operation.kind === "max-pool" ? [operation.choice] : [];
    }),
  );
}

/**
 * f32 values everywhere that the operation touches. An activation's output lies in its range, and choices in their windows.
 */
export function randomMemory(plan: Plan, operation: Operation, random: Random): ReferenceMemory {
  const bytes = plan.datasetExamples * elementsOf(plan.model.input);
  const images = Uint8Array.from({ length: bytes }, () => random.below(256));
  const labels = Uint8Array.from({ length: plan.datasetExamples }, () => random.below(plan.model.classes));
  const examples = Uint32Array.from({ length: plan.microBatch }, () => random.below(plan.datasetExamples));
  const memory = { ...referenceMemory(plan, images, labels), examples };
  fill(memory.parameters, () => random.normal());
  for (const id of tensorsOf(operation)) fill(memory.tensors[id]!, () => random.normal());
  if ("undo" in operation && operation.undo) {
    const { activation, output } = operation.undo;
    fill(memory.tensors[output]!, () => activate(activation, random.normal()));
  }
  if (operation.kind === "softmax-cross-entropy" || operation.kind === "mean-squared-error") {
    fill(memory.tensors[operation.labels]!, () => random.below(plan.model.classes));
  }
  if (operation.kind === "max-pool-gradient") chooseAtRandom(plan, operation.choice, memory, random);
  return memory;
}

/** Fills `choice` as the pool before would have for some input. */
function chooseAtRandom(plan: Plan, choice: TensorId, memory: ReferenceMemory, random: Random): void {
  const pool = plan.forward.find((other) => other.kind === "max-pool" && other.choice === choice);
  if (!pool) throw new Error("a max-pool gradient without its pool");
  const tensors = memory.tensors.map((tensor, id) => {
    if (id === choice) return tensor;
    const copy = new Float64Array(tensor.length);
    fill(copy, () => random.normal());
    return copy;
  });
  runOperation(pool, { ...memory, tensors });
}

function fill(values: Float64Array, draw: () => number): void {
  for (let index = 0; index < values.length; index++) values[index] = Math.fround(draw());
}

function absolute(values: Float64Array): Float64Array<ArrayBuffer> {
  return Float64Array.from(values, Math.abs);
}

/** For each output the sum of |a||b| behind it: the operation on absolute values. */
export function magnitudesOf(operation: Operation, memory: ReferenceMemory): ReferenceMemory {
  const { mean, deviation } = memory.normalisation;
  const magnitudes = {
    ...memory,
    tensors: memory.tensors.map(absolute),
    parameters: absolute(memory.parameters),
    gradient: new Float64Array(memory.gradient.length),
    normalisation: { mean: mean.map((value) => -value), deviation },
  };
  runOperation(operation, magnitudes);
  if (operation.kind === "softmax-cross-entropy") {
    // Losses subtract logits, gradients subtract 1: both are rounded at that size, and exp and log are good to a few
    // units in the last place only (WGSL 15.7.4).
    const largest = Math.max(...memory.tensors[operation.outputs]!.map(Math.abs));
    magnitudes.tensors[operation.losses]!.fill(4 * largest + Math.log(operation.classes));
    magnitudes.tensors[operation.gradient]!.fill(4 / operation.examples);
  }
  return magnitudes;
}
