/**
 * Turns an operation of the plan into kernel calls with all their numbers: addresses, shapes, strides. Done once per
 * operation when a plan is compiled; a step only repeats the calls.
 */

import { elementsOf } from "../../model/model.ts";
import type { Operation, TensorId, Weighted, WindowGeometry } from "../plan.ts";
import type { Invocation, KernelName } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";
import { chunkImages, paddedImageBytes, paddedLineBytes, stripColumns } from "./scratch.ts";
import { imageRows, matrixRows, rowTables, windowRows } from "./row_tables.ts";

const WORD_BYTES = 4;

type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { readonly kind: Kind }>;

export function invocationsOf(operation: Operation, map: MemoryMap): readonly Invocation[] {
  switch (operation.kind) {
    case "gather":
      return gather(operation, map);
    case "convolve":
      return convolve(operation, map);
    case "convolve-data-gradient":
      return convolveDataGradient(operation, map);
    case "convolve-filter-gradient":
      return convolveFilterGradient(operation, map);
    case "max-pool":
      return maxPool(operation, map);
    case "max-pool-gradient":
      return maxPoolGradient(operation, map);
    case "dense":
      return dense(operation, map);
    case "dense-data-gradient":
      return denseDataGradient(operation, map);
    case "dense-filter-gradient":
      return denseFilterGradient(operation, map);
    case "softmax-cross-entropy":
      return softmaxCrossEntropy(operation, map);
    default:
      return operation satisfies never;
  }
}

function call(kernel: KernelName, ...numbers: number[]): Invocation {
  return { kernel, numbers };
}

function addressesOf({ weights, bias }: Weighted, vector: number): { weights: number; bias: number } {
  return { weights: vector + weights.offset * WORD_BYTES, bias: vector + bias.offset * WORD_BYTES };
}

function gather({ output, labels }: OperationOf<"gather">, map: MemoryMap): Invocation[] {
  const { batch, model, normalisation } = map.plan;
  const scale = 1 / (255 * normalisation.deviation);
  const shift = -normalisation.mean / normalisation.deviation;
  return [
    call(
      "gather", map.images, map.labels, map.examples, batch, elementsOf(model.input),
      scale, shift, map.tensor(output), map.tensor(labels),
    ),
  ];
}

/** Where the windows of a convolution read their input: the tensor itself, or a padded copy that is made first. */
function paddedInput(input: number, window: WindowGeometry, map: MemoryMap): { source: number; first: Invocation[] } {
  if (window.padding === 0) return { source: input, first: [] };
  const source = map.scratch.paddedBytes;
  const lineBytes = window.input.width * window.input.channels * WORD_BYTES;
  const first = [
    call("fillZero", source, window.batch * paddedImageBytes(window)),
    call(
      "pad", input, lineBytes, window.input.height, window.batch,
      source + borderBytes(window), paddedLineBytes(window), paddedImageBytes(window),
    ),
  ];
  return { source, first };
}

/** From the corner of a padded image to the first pixel inside. */
function borderBytes(window: WindowGeometry): number {
  return window.padding * (paddedLineBytes(window) + window.input.channels * WORD_BYTES);
}

function convolve(operation: OperationOf<"convolve">, map: MemoryMap): Invocation[] {
  const { window, relu } = operation;
  const { size, input, output } = window;
  const { source, first } = paddedInput(map.tensor(operation.input), window, map);
  const { weights, bias } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map, windowRows(window, source), imageRows(window, map.tensor(operation.output)),
  );
  const runBytes = size * input.channels * WORD_BYTES;
  return [
    ...first,
    call(
      "convolve", rowsA, rowsC, tiles, size, input.channels, paddedLineBytes(window) - runBytes,
      weights, output.channels, map.scratch.packedBytes,
      stripColumns(size * size * input.channels, output.channels), bias, Number(relu),
    ),
  ];
}

function convolveDataGradient(operation: OperationOf<"convolve-data-gradient">, map: MemoryMap): Invocation[] {
  const { window, reluOutput } = operation;
  const { size, input, output, batch, padding } = window;
  const inputGradient = map.tensor(operation.inputGradient);
  const target = padding === 0 ? inputGradient : map.scratch.paddedBytes;
  const { weights } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map, imageRows(window, map.tensor(operation.outputGradient)), windowRows(window, target),
  );
  const lineBytes = input.width * input.channels * WORD_BYTES;
  const crop = call(
    "crop", target + borderBytes(window), paddedLineBytes(window), paddedImageBytes(window), batch,
    inputGradient, lineBytes, input.height,
  );
  return [
    call(
      "convolveDataGradient", rowsA, rowsC, tiles, size, input.channels, paddedLineBytes(window),
      weights, output.channels, map.scratch.packedBytes, target, batch * paddedImageBytes(window),
    ),
    ...(padding === 0 ? [] : [crop]),
    ...mask(inputGradient, reluOutput, batch * elementsOf(input), map),
  ];
}

function mask(gradient: number, reluOutput: TensorId | undefined, elements: number, map: MemoryMap): Invocation[] {
  return reluOutput === undefined ? [] : [call("maskByRelu", gradient, map.tensor(reluOutput), elements)];
}

function convolveFilterGradient(operation: OperationOf<"convolve-filter-gradient">, map: MemoryMap): Invocation[] {
  const { window } = operation;
  const { size, stride, input, output, batch } = window;
  const { source, first } = paddedInput(map.tensor(operation.input), window, map);
  const outputGradient = map.tensor(operation.outputGradient);
  const { weights, bias } = addressesOf(operation, map.gradient);
  return [
    ...first,
    call(
      "convolveFilterGradient", source, paddedImageBytes(window), paddedLineBytes(window), outputGradient,
      output.height, output.width, batch, chunkImages(window), size, input.channels, stride, output.channels,
      map.scratch.packedBytes, weights, bias,
    ),
  ];
}

function maxPool({ window, input, output, choice, relu }: OperationOf<"max-pool">, map: MemoryMap): Invocation[] {
  return [
    call(
      "maxPool", map.tensor(input), window.input.height, window.input.width, window.input.channels,
      map.tensor(output), map.tensor(choice), window.output.height, window.output.width,
      window.batch, window.size, window.stride, Number(relu),
    ),
  ];
}

function maxPoolGradient(operation: OperationOf<"max-pool-gradient">, map: MemoryMap): Invocation[] {
  const { window, outputGradient, choice, reluOutput } = operation;
  const { batch, input, output, size, stride } = window;
  const inputGradient = map.tensor(operation.inputGradient);
  const bytes = batch * elementsOf(input) * WORD_BYTES;
  // Windows side by side write every element they cover; where they overlap, or leave some out, zeros come first.
  const apart = stride >= size && input.channels >= 4;
  const covers = stride === size && output.height * size === input.height && output.width * size === input.width;
  const gradient = apart
    ? call(
        "maxPoolGradient", map.tensor(outputGradient), map.tensor(choice), output.height, output.width, batch,
        inputGradient, input.height, input.width, input.channels, size, stride,
      )
    : call(
        "scatterPoolGradient", map.tensor(outputGradient), map.tensor(choice), elementsOf(output), batch,
        inputGradient, elementsOf(input) * WORD_BYTES,
      );
  return [
    ...(apart && covers ? [] : [call("fillZero", inputGradient, bytes)]),
    gradient,
    ...mask(inputGradient, reluOutput, batch * elementsOf(input), map),
  ];
}

function dense(operation: OperationOf<"dense">, map: MemoryMap): Invocation[] {
  const { batch, inputs, units, relu } = operation;
  const { weights, bias } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map, matrixRows(batch, inputs, map.tensor(operation.input)), matrixRows(batch, units, map.tensor(operation.output)),
  );
  return [
    call(
      "dense", rowsA, rowsC, tiles, inputs, units,
      weights, map.scratch.packedBytes, stripColumns(inputs, units), bias, Number(relu),
    ),
  ];
}

function denseDataGradient(operation: OperationOf<"dense-data-gradient">, map: MemoryMap): Invocation[] {
  const { batch, inputs, units, reluOutput } = operation;
  const inputGradient = map.tensor(operation.inputGradient);
  const { weights } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map, matrixRows(batch, units, map.tensor(operation.outputGradient)), matrixRows(batch, inputs, inputGradient),
  );
  return [
    call(
      "denseDataGradient", rowsA, rowsC, tiles, inputs, units,
      weights, map.scratch.packedBytes, stripColumns(units, inputs), map.scratch.zeroBytes,
    ),
    ...mask(inputGradient, reluOutput, batch * inputs, map),
  ];
}

function denseFilterGradient(operation: OperationOf<"dense-filter-gradient">, map: MemoryMap): Invocation[] {
  const { batch, inputs, units } = operation;
  const outputGradient = map.tensor(operation.outputGradient);
  const { weights, bias } = addressesOf(operation, map.gradient);
  return [
    call(
      "denseFilterGradient", map.tensor(operation.input), outputGradient, batch, inputs, units,
      map.scratch.packedBytes, weights, bias,
    ),
  ];
}

function softmaxCrossEntropy(operation: OperationOf<"softmax-cross-entropy">, map: MemoryMap): Invocation[] {
  const { batch, classes, logits, labels, gradient, losses, correct } = operation;
  return [
    call(
      "softmaxCrossEntropy", map.tensor(logits), map.tensor(labels), batch, classes,
      map.tensor(gradient), map.tensor(losses), map.tensor(correct),
    ),
  ];
}
