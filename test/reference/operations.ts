/**
 * Runs one operation of a plan on plain arrays: the bridge from the plan's words to the naive loops. Every tensor has its
 * own array here; slots are the backends' business.
 */

import type { FusedActivation } from "../../shared/engine/activation.ts";
import { unitRandom, type Augmentation } from "../../shared/engine/dice.ts";
import type { Operation, Statistics, TensorId, WritesInputGradient } from "../../shared/engine/operation.ts";
import type { Normalisation, Plan } from "../../shared/engine/plan.ts";
import type { ParameterTensor } from "../../shared/model/layout.ts";
import type { ImageShape } from "../../shared/model/model.ts";
import { activate, derivative, derivativeFromOutput } from "./activation.ts";
import { convolve, convolveDataGradient, convolveFilterGradient, type Numbers } from "./convolution.ts";
import { dense, denseDataGradient, denseFilterGradient } from "./dense.ts";
import { meanSquaredError, softmaxCrossEntropy } from "./loss.ts";
import {
  batchNormDataGradient,
  channelMoments,
  layerNormDataGradient,
  localResponse,
  localResponseGradient,
  normalise,
  rowMoments,
  scaleGradients,
  type Normalised,
} from "./normalisation.ts";
import {
  averagePool,
  averagePoolGradient,
  globalAveragePool,
  globalAveragePoolGradient,
  maxPool,
  maxPoolGradient,
} from "./pooling.ts";
import { gatherImages, gatherLabels } from "./update.ts";

type Values = Float64Array<ArrayBuffer>;

/** Everything that an operation may read or write. */
export interface ReferenceMemory {
  /** By tensor id. */
  readonly tensors: Values[];
  /** Both have the layout's `elements`. */
  readonly parameters: Values;
  readonly gradient: Values;
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  examples: Numbers;
  /** Which gathering this is (dice.ts). */
  draw: number;
  readonly seed: number;
  readonly input: ImageShape;
  readonly normalisation: Normalisation;
  readonly augmentation: Augmentation;
}

export function referenceMemory(plan: Plan, images: Uint8Array, labels: Uint8Array): ReferenceMemory {
  return {
    tensors: plan.tensors.map(({ elements }) => new Float64Array(elements)),
    parameters: new Float64Array(plan.layout.elements),
    gradient: new Float64Array(plan.layout.elements),
    images,
    labels,
    examples: new Uint32Array(plan.microBatch),
    draw: 0,
    seed: plan.seed,
    input: plan.model.input,
    normalisation: plan.normalisation,
    augmentation: plan.augmentation,
  };
}

export function runOperation(operation: Operation, memory: ReferenceMemory): void {
  const read = (id: TensorId): Values => memory.tensors[id]!;
  const write = (id: TensorId, values: Values, activation?: FusedActivation): void =>
    read(id).set(activation ? values.map((value) => activate(activation, value)) : values);
  const give = (target: WritesInputGradient, values: Values): void => giveGradient(memory, target, values);
  const parameter = (tensor: ParameterTensor): Values => slice(memory.parameters, tensor);
  const parameterIf = (tensor: ParameterTensor | undefined): Values | undefined => tensor && parameter(tensor);
  const statisticsOf = ({ mean, inverseDeviation }: { mean: TensorId; inverseDeviation: TensorId }): Normalised => ({
    mean: read(mean),
    inverseDeviation: read(inverseDeviation),
  });
  switch (operation.kind) {
    case "gather": {
      const { input: shape, normalisation, seed, draw, images } = memory;
      const augmentation = operation.augment ? memory.augmentation : undefined;
      const how = { shape, normalisation, augmentation, seed, draw, tokens: operation.tokens };
      write(operation.output, gatherImages(images, memory.examples, how));
      return write(operation.labels, gatherLabels(memory.labels, memory.examples));
    }
    case "convolve": {
      const { window, input, weights, bias, output, activation } = operation;
      return write(output, convolve(window, read(input), parameter(weights), parameterIf(bias)), activation);
    }
    case "convolve-data-gradient":
      return give(
        operation,
        convolveDataGradient(operation.window, read(operation.outputGradient), parameter(operation.weights)),
      );
    case "convolve-filter-gradient": {
      const { window, input, outputGradient, weights, bias } = operation;
      const gradients = convolveFilterGradient(window, read(input), read(outputGradient));
      return writeGradients(memory, [weights, gradients.weights], [bias, gradients.bias]);
    }
    case "dense": {
      const { input, output, weights, bias, activation } = operation;
      return write(output, dense(operation, read(input), parameter(weights), parameterIf(bias)), activation);
    }
    case "dense-data-gradient":
      return give(
        operation,
        denseDataGradient(operation, read(operation.outputGradient), parameter(operation.weights)),
      );
    case "dense-filter-gradient": {
      const { input, outputGradient, weights, bias } = operation;
      const gradients = denseFilterGradient(operation, read(input), read(outputGradient));
      return writeGradients(memory, [weights, gradients.weights], [bias, gradients.bias]);
    }
    case "max-pool": {
      const { output, choice } = maxPool(operation.window, read(operation.input));
      write(operation.output, output, operation.activation);
      return write(operation.choice, choice);
    }
    case "max-pool-gradient": {
      const { window, outputGradient, choice } = operation;
      return give(operation, maxPoolGradient(window, read(outputGradient), read(choice)));
    }
    case "average-pool":
      return write(operation.output, averagePool(operation.window, read(operation.input)), operation.activation);
    case "average-pool-gradient":
      return give(operation, averagePoolGradient(operation.window, read(operation.outputGradient)));
    case "global-average-pool":
      return write(operation.output, globalAveragePool(operation, read(operation.input)));
    case "global-average-pool-gradient":
      return give(operation, globalAveragePoolGradient(operation, read(operation.outputGradient)));
    case "batch-norm-statistics": {
      const { epsilon, momentum } = operation;
      const { mean, variance } = channelMoments(operation, read(operation.input));
      write(operation.mean, mean);
      write(
        operation.inverseDeviation,
        variance.map((value) => 1 / Math.sqrt(value + epsilon)),
      );
      moveRunning(parameter(operation.runningMean), mean, momentum);
      return moveRunning(parameter(operation.runningVariance), variance, momentum);
    }
    case "batch-norm": {
      const { input, output, scale, shift, addend, activation } = operation;
      const statistics = batchNormStatistics(operation.statistics, parameter, statisticsOf);
      const values = normalise(operation, "channel", read(input), statistics, parameter(scale), parameter(shift));
      const residual = addend === undefined ? undefined : read(addend);
      return write(output, residual ? values.map((value, index) => value + residual[index]!) : values, activation);
    }
    case "batch-norm-scale-gradient":
    case "layer-norm-scale-gradient": {
      const { input, outputGradient, scale, shift } = operation;
      const axis = operation.kind === "batch-norm-scale-gradient" ? "channel" : "row";
      const gradients = scaleGradients(operation, axis, read(input), statisticsOf(operation), read(outputGradient));
      return writeGradients(memory, [scale, gradients.scale], [shift, gradients.shift]);
    }
    case "batch-norm-data-gradient": {
      const { input, outputGradient, scale, shift } = operation;
      const gradients = { scale: slice(memory.gradient, scale), shift: slice(memory.gradient, shift) };
      const dy = read(outputGradient);
      const statistics = statisticsOf(operation);
      return give(
        operation,
        batchNormDataGradient(operation, read(input), statistics, dy, parameter(scale), gradients),
      );
    }
    case "layer-norm": {
      const { input, output, scale, shift, epsilon, activation } = operation;
      const { mean, variance } = rowMoments(operation, read(input));
      write(operation.mean, mean);
      write(
        operation.inverseDeviation,
        variance.map((value) => 1 / Math.sqrt(value + epsilon)),
      );
      const statistics = statisticsOf(operation);
      const values = normalise(operation, "row", read(input), statistics, parameter(scale), parameter(shift));
      return write(output, values, activation);
    }
    case "layer-norm-data-gradient": {
      const { input, outputGradient, scale } = operation;
      const statistics = statisticsOf(operation);
      const dy = read(outputGradient);
      return give(operation, layerNormDataGradient(operation, read(input), statistics, dy, parameter(scale)));
    }
    case "local-response-norm":
      return write(operation.output, localResponse(operation, read(operation.input)));
    case "local-response-norm-gradient":
      return give(operation, localResponseGradient(operation, read(operation.input), read(operation.outputGradient)));
    case "activate":
      return write(
        operation.output,
        read(operation.input).map((value) => activate(operation.activation, value)),
      );
    case "activate-gradient": {
      const input = read(operation.input);
      const slopes = read(operation.outputGradient);
      return give(
        operation,
        slopes.map((slope, index) => slope * derivative(operation.activation, input[index]!)),
      );
    }
    case "dropout":
      return write(operation.output, dropped(operation, memory, read(operation.input)));
    case "dropout-gradient":
      return give(operation, dropped(operation, memory, read(operation.outputGradient)));
    case "add": {
      const second = read(operation.second);
      const sum = read(operation.first).map((value, index) => value + second[index]!);
      return write(operation.output, sum, operation.activation);
    }
    case "pass-gradient":
      return give(operation, read(operation.outputGradient));
    case "place-channels": {
      const { channels, outputChannels, offset } = operation;
      const output = read(operation.output);
      return read(operation.input).forEach((value, index) => {
        output[Math.floor(index / channels) * outputChannels + offset + (index % channels)] = value;
      });
    }
    case "take-channels": {
      const { rows, channels, outputChannels, offset } = operation;
      const from = read(operation.outputGradient);
      const at = (index: number): number => Math.floor(index / channels) * outputChannels + offset + (index % channels);
      return give(
        operation,
        Float64Array.from({ length: rows * channels }, (_, index) => from[at(index)]!),
      );
    }
    case "embedding": {
      const { tokens, width, vocabulary } = operation;
      const weights = parameter(operation.weights);
      const words = read(operation.input);
      const at = (index: number): number =>
        Math.min(words[Math.floor(index / width)]!, vocabulary - 1) * width + (index % width);
      return write(
        operation.output,
        Float64Array.from({ length: tokens * width }, (_, index) => weights[at(index)]!),
      );
    }
    case "embedding-gradient": {
      const { width, vocabulary, weights } = operation;
      const words = read(operation.input);
      const gradient = new Float64Array(vocabulary * width);
      read(operation.outputGradient).forEach((slope, index) => {
        const word = Math.min(words[Math.floor(index / width)]!, vocabulary - 1);
        gradient[word * width + (index % width)]! += slope;
      });
      return writeGradients(memory, [weights, gradient]);
    }
    case "softmax-cross-entropy":
    case "mean-squared-error": {
      const lossOf = operation.kind === "softmax-cross-entropy" ? softmaxCrossEntropy : meanSquaredError;
      const { losses, correct, gradient } = lossOf(operation, read(operation.outputs), read(operation.labels));
      write(operation.losses, losses);
      write(operation.correct, correct);
      return write(operation.gradient, gradient);
    }
    default:
      return operation satisfies never;
  }
}

/** Adds to what is there where asked, then undoes the activation of the layer whose gradient it is. */
function giveGradient(memory: ReferenceMemory, target: WritesInputGradient, values: Values): void {
  const { inputGradient, accumulate, undo } = target;
  const gradient = memory.tensors[inputGradient]!;
  const output = undo && memory.tensors[undo.output]!;
  for (let index = 0; index < gradient.length; index++) {
    const sum = values[index]! + (accumulate ? gradient[index]! : 0);
    gradient[index] = undo && output ? sum * derivativeFromOutput(undo.activation, output[index]!) : sum;
  }
}

function slice(vector: Values, { offset, elements }: ParameterTensor): Values {
  return vector.subarray(offset, offset + elements);
}

function writeGradients(memory: ReferenceMemory, ...written: readonly [ParameterTensor | undefined, Values][]): void {
  for (const [tensor, values] of written) if (tensor) memory.gradient.set(values, tensor.offset);
}

function moveRunning(running: Values, now: Values, momentum: number): void {
  for (let index = 0; index < running.length; index++) {
    running[index] = momentum * running[index]! + (1 - momentum) * now[index]!;
  }
}

function batchNormStatistics(
  statistics: Statistics,
  parameter: (tensor: ParameterTensor) => Values,
  kept: (ids: { mean: TensorId; inverseDeviation: TensorId }) => Normalised,
): Normalised {
  if (statistics.from === "batch") return kept(statistics);
  const inverseDeviation = parameter(statistics.variance).map((value) => 1 / Math.sqrt(value + statistics.epsilon));
  return { mean: parameter(statistics.mean), inverseDeviation };
}

function dropped(
  { rate, salt }: { rate: number; salt: number },
  { seed, draw }: ReferenceMemory,
  from: Values,
): Values {
  return from.map((value, index) => (unitRandom(seed, draw, salt, index) < rate ? 0 : value / (1 - rate)));
}

/** How many products each element of the operation's outputs sums: what its tolerance is derived from. */
export function sumLengthOf(operation: Operation): number {
  switch (operation.kind) {
    case "convolve":
      return (operation.window.size ** 2 * operation.window.input.channels) / operation.window.groups;
    case "convolve-data-gradient":
      return (operation.window.size ** 2 * operation.window.output.channels) / operation.window.groups;
    case "convolve-filter-gradient":
      return operation.window.batch * operation.window.output.height * operation.window.output.width;
    case "max-pool-gradient":
    case "average-pool":
    case "average-pool-gradient":
      return operation.window.size ** 2;
    case "global-average-pool":
      return operation.pixels;
    case "dense":
      return operation.inputs;
    case "dense-data-gradient":
      return operation.units;
    case "dense-filter-gradient":
      return operation.batch;
    case "batch-norm-statistics":
    case "batch-norm-scale-gradient":
    case "layer-norm-scale-gradient":
      return operation.rows;
    case "layer-norm":
    case "layer-norm-data-gradient":
      return operation.channels;
    case "local-response-norm":
    case "local-response-norm-gradient":
      return operation.size;
    case "embedding-gradient":
      return operation.tokens;
    case "softmax-cross-entropy":
    case "mean-squared-error":
      return operation.classes;
    default:
      return 3;
  }
}
