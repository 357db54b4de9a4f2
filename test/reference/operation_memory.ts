/**
 * What one operation reads, drawn at random: the inputs of a comparison between a kernel and its reference. How far the kernel
 * may be off is in `allowed_errors.ts`.
 */

import type { Operation, OperationOf, TensorId } from "../../shared/engine/operation.ts";
import { tensorsOf } from "../../shared/engine/operation_tensors.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import type { ParameterTensor } from "../../shared/model/layout.ts";
import { elementsOf } from "../../shared/model/model.ts";
import type { Random } from "../../shared/random.ts";
import { activate } from "./activation.ts";
import { channelMoments, rowMoments, scaleGradients, type Axis } from "./normalisation.ts";
import { referenceMemory, runOperation, type ReferenceMemory } from "./operations.ts";

const EPSILON = 1e-3;

/** Tensors of u32. */
export function wholeNumberTensors(plan: Plan): ReadonlySet<TensorId> {
  return new Set(
    [...plan.forward, ...plan.evaluation].flatMap((operation) => {
      if (operation.kind === "gather") return [operation.labels];
      return operation.kind === "max-pool" ? [operation.choice] : [];
    }),
  );
}

/** Ranges of the parameter buffer that an operation moves. */
export function parametersWrittenBy(operation: Operation): readonly ParameterTensor[] {
  return operation.kind === "batch-norm-statistics" ? [operation.runningMean, operation.runningVariance] : [];
}

/** Ranges of the gradient vector that an operation reads. */
export function gradientsReadBy(operation: Operation): readonly ParameterTensor[] {
  return operation.kind === "batch-norm-data-gradient" ? [operation.scale, operation.shift] : [];
}

/**
 * f32 values everywhere that the operation touches. An activation's output lies in its range, choices in their windows and
 * tokens around the vocabulary; variances are positive; statistics and the gradients of scale and shift are those of the
 * input. The draw is random as well.
 */
export function randomMemory(plan: Plan, operation: Operation, random: Random): ReferenceMemory {
  const bytes = plan.datasetExamples * elementsOf(plan.model.input);
  const images = Uint8Array.from({ length: bytes }, () => random.below(256));
  const labels = Uint8Array.from({ length: plan.datasetExamples }, () => random.below(plan.model.classes));
  const examples = Uint32Array.from({ length: plan.microBatch }, () => random.below(plan.datasetExamples));
  const memory = { ...referenceMemory(plan, images, labels), examples, draw: random.below(1000) };
  fill(memory.parameters, () => random.normal());
  for (const { name, offset, elements } of plan.layout.tensors) {
    if (name.endsWith(".variance")) {
      fill(memory.parameters.subarray(offset, offset + elements), () => 0.1 + 2 * random.uniform());
    }
  }
  for (const id of tensorsOf(operation)) fill(memory.tensors[id]!, () => random.normal());
  if ("undo" in operation && operation.undo) {
    const { activation, output } = operation.undo;
    fill(memory.tensors[output]!, () => activate(activation, random.normal()));
  }
  fillSpecial(plan, operation, memory, random);
  return memory;
}

/** What standard normal numbers would not do for. */
function fillSpecial(plan: Plan, operation: Operation, memory: ReferenceMemory, random: Random): void {
  const { kind } = operation;
  const fillTensor = (id: TensorId, draw: () => number): void => fill(memory.tensors[id]!, draw);
  if (kind === "softmax-cross-entropy" || kind === "mean-squared-error") {
    fillTensor(operation.labels, () => random.below(plan.model.classes));
  } else if (kind === "embedding" || kind === "embedding-gradient") {
    fillTensor(operation.input, () => random.below(Math.min(operation.vocabulary + 2, 256)));
  } else if (kind === "max-pool") {
    // Coarse, so that equals meet.
    fillTensor(operation.input, () => Math.round(2 * random.normal()) / 2);
  } else if (kind === "max-pool-gradient") {
    chooseAtRandom(plan, operation.choice, memory, random);
  } else if (kind === "activate" || kind === "activate-gradient") {
    fillTensor(operation.input, () => 3 * random.normal());
  } else if (kind === "batch-norm-statistics" || kind === "layer-norm") {
    // Far from zero: a variance by the difference of two large numbers would show.
    fillTensor(operation.input, () => 4 + random.normal());
  } else if (kind === "batch-norm" && operation.statistics.from === "batch") {
    fillStatistics({ ...operation, ...operation.statistics }, "channel", memory, random);
  } else if (kind === "batch-norm-scale-gradient" || kind === "batch-norm-data-gradient") {
    fillStatistics(operation, "channel", memory, random);
  } else if (kind === "layer-norm-scale-gradient" || kind === "layer-norm-data-gradient") {
    fillStatistics(operation, "row", memory, random);
  }
}

type Normalising = Pick<
  OperationOf<"batch-norm-scale-gradient">,
  "rows" | "channels" | "input" | "mean" | "inverseDeviation" | "scale" | "shift"
> & { readonly outputGradient?: TensorId };

/** Statistics of the input and, where the operation has an output's gradient, those of scale and shift. */
function fillStatistics(operation: Normalising, axis: Axis, memory: ReferenceMemory, random: Random): void {
  const input = memory.tensors[operation.input]!;
  fill(input, () => 1 + random.normal());
  const { mean, variance } = axis === "channel" ? channelMoments(operation, input) : rowMoments(operation, input);
  const statistics = {
    mean: mean.map(Math.fround),
    inverseDeviation: variance.map((value) => Math.fround(1 / Math.sqrt(value + EPSILON))),
  };
  memory.tensors[operation.mean]!.set(statistics.mean);
  memory.tensors[operation.inverseDeviation]!.set(statistics.inverseDeviation);
  if (operation.outputGradient === undefined) return;
  const gradients = scaleGradients(operation, axis, input, statistics, memory.tensors[operation.outputGradient]!);
  memory.gradient.set(gradients.scale.map(Math.fround), operation.scale.offset);
  memory.gradient.set(gradients.shift.map(Math.fround), operation.shift.offset);
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
