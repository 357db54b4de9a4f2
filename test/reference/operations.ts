/**
 * Runs one operation of a plan on plain arrays: the bridge from the plan's words to the naive loops. Every tensor has its
 * own array here; slots are the backends' business.
 */

import type { Operation, TensorId, Weighted } from "../../shared/engine/operation.ts";
import type { Normalisation, Plan } from "../../shared/engine/plan.ts";
import { convolve, convolveDataGradient, convolveFilterGradient, type Numbers } from "./convolution.ts";
import { dense, denseDataGradient, denseFilterGradient } from "./dense.ts";
import { softmaxCrossEntropy } from "./loss.ts";
import { maxPool, maxPoolGradient } from "./pooling.ts";
import { gatherImages, gatherLabels } from "./update.ts";

/** Everything that an operation may read or write. */
export interface ReferenceMemory {
  /** By tensor id. */
  readonly tensors: Float64Array<ArrayBuffer>[];
  /** Both have the layout's `elements`. */
  readonly parameters: Float64Array<ArrayBuffer>;
  readonly gradient: Float64Array<ArrayBuffer>;
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  examples: Numbers;
  readonly normalisation: Normalisation;
}

export function referenceMemory(plan: Plan, images: Uint8Array, labels: Uint8Array): ReferenceMemory {
  return {
    tensors: plan.tensors.map(({ elements }) => new Float64Array(elements)),
    parameters: new Float64Array(plan.layout.elements),
    gradient: new Float64Array(plan.layout.elements),
    images,
    labels,
    examples: new Uint32Array(plan.batch),
    normalisation: plan.normalisation,
  };
}

export function runOperation(operation: Operation, memory: ReferenceMemory): void {
  const read = (id: TensorId): Float64Array<ArrayBuffer> => memory.tensors[id]!;
  const readIf = (id: TensorId | undefined): Numbers | undefined => (id === undefined ? undefined : read(id));
  switch (operation.kind) {
    case "gather": {
      const imageElements = read(operation.output).length / memory.examples.length;
      read(operation.output).set(gatherImages(memory.images, imageElements, memory.examples, memory.normalisation));
      return read(operation.labels).set(gatherLabels(memory.labels, memory.examples));
    }
    case "convolve": {
      const { window, relu } = operation;
      const { weights, bias } = slices(memory.parameters, operation);
      return read(operation.output).set(convolve(window, read(operation.input), weights, bias, relu));
    }
    case "convolve-data-gradient": {
      const { weights } = slices(memory.parameters, operation);
      const { window, outputGradient, inputGradient, reluOutput } = operation;
      return read(inputGradient).set(convolveDataGradient(window, read(outputGradient), weights, readIf(reluOutput)));
    }
    case "convolve-filter-gradient":
      return writeGradients(
        memory,
        operation,
        convolveFilterGradient(operation.window, read(operation.input), read(operation.outputGradient)),
      );
    case "max-pool": {
      const { output, choice } = maxPool(operation.window, read(operation.input), operation.relu);
      read(operation.output).set(output);
      return read(operation.choice).set(choice);
    }
    case "max-pool-gradient": {
      const { window, outputGradient, choice, inputGradient, reluOutput } = operation;
      return read(inputGradient).set(maxPoolGradient(window, read(outputGradient), read(choice), readIf(reluOutput)));
    }
    case "dense": {
      const { weights, bias } = slices(memory.parameters, operation);
      return read(operation.output).set(dense(operation, read(operation.input), weights, bias, operation.relu));
    }
    case "dense-data-gradient": {
      const { weights } = slices(memory.parameters, operation);
      const { outputGradient, inputGradient, reluOutput } = operation;
      return read(inputGradient).set(denseDataGradient(operation, read(outputGradient), weights, readIf(reluOutput)));
    }
    case "dense-filter-gradient":
      return writeGradients(
        memory,
        operation,
        denseFilterGradient(operation, read(operation.input), read(operation.outputGradient)),
      );
    case "softmax-cross-entropy": {
      const { losses, correct, gradient } = softmaxCrossEntropy(
        operation,
        read(operation.logits),
        read(operation.labels),
      );
      read(operation.losses).set(losses);
      read(operation.correct).set(correct);
      return read(operation.gradient).set(gradient);
    }
    default:
      return operation satisfies never;
  }
}

function slices(parameters: Float64Array, { weights, bias }: Weighted): { weights: Float64Array; bias: Float64Array } {
  return {
    weights: parameters.subarray(weights.offset, weights.offset + weights.elements),
    bias: parameters.subarray(bias.offset, bias.offset + bias.elements),
  };
}

function writeGradients(
  memory: ReferenceMemory,
  { weights, bias }: Weighted,
  gradients: { weights: Float64Array; bias: Float64Array },
): void {
  memory.gradient.set(gradients.weights, weights.offset);
  memory.gradient.set(gradients.bias, bias.offset);
}

/** How many products each element of the operation's outputs sums: what its tolerance is derived from. */
export function sumLengthOf(operation: Operation): number {
  switch (operation.kind) {
    case "gather":
      return 3;
    case "convolve":
      return operation.window.size ** 2 * operation.window.input.channels;
    case "convolve-data-gradient":
      return operation.window.size ** 2 * operation.window.output.channels;
    case "convolve-filter-gradient":
      return operation.window.batch * operation.window.output.height * operation.window.output.width;
    case "max-pool":
      return 1;
    case "max-pool-gradient":
      return operation.window.size ** 2;
    case "dense":
      return operation.inputs;
    case "dense-data-gradient":
      return operation.units;
    case "dense-filter-gradient":
      return operation.batch;
    case "softmax-cross-entropy":
      return operation.classes;
    default:
      return operation satisfies never;
  }
}
