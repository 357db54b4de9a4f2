/**
 * Turns an operation of the plan into kernel calls with all their numbers: addresses, shapes, strides. Done once per
 * operation when a plan is compiled; a step only repeats the calls.
 */

import { elementsOf } from "../../model/model.ts";
import type { Operation, OperationOf } from "../operation.ts";
import { addressesOf, call, mask } from "./calls.ts";
import { convolve, convolveDataGradient, convolveFilterGradient } from "./convolution_invocations.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";
import { matrixRows, rowTables } from "./row_tables.ts";
import { stripColumns } from "./scratch.ts";

const WORD_BYTES = 4;

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
      throw new Error(`No WASM kernel does ${operation.kind}.`);
  }
}

function gather({ output, labels }: OperationOf<"gather">, map: MemoryMap): Invocation[] {
  const { batch, model, normalisation } = map.plan;
  const scale = 1 / (255 * normalisation.deviation[0]!);
  const shift = -normalisation.mean[0]! / normalisation.deviation[0]!;
  return [
    call(
      "gather",
      map.images,
      map.labels,
      map.examples,
      batch,
      elementsOf(model.input),
      scale,
      shift,
      map.tensor(output),
      map.tensor(labels),
    ),
  ];
}

function maxPool({ window, input, output, choice, activation }: OperationOf<"max-pool">, map: MemoryMap): Invocation[] {
  return [
    call(
      "maxPool",
      map.tensor(input),
      window.input.height,
      window.input.width,
      window.input.channels,
      map.tensor(output),
      map.tensor(choice),
      window.output.height,
      window.output.width,
      window.batch,
      window.size,
      window.stride,
      Number(activation?.kind === "relu"),
    ),
  ];
}

function maxPoolGradient(operation: OperationOf<"max-pool-gradient">, map: MemoryMap): Invocation[] {
  const { window, outputGradient, choice, undo } = operation;
  const { batch, input, output, size, stride } = window;
  const inputGradient = map.tensor(operation.inputGradient);
  const bytes = batch * elementsOf(input) * WORD_BYTES;
  // Windows side by side write every element they cover; where they overlap, or leave some out, zeros come first.
  const apart = stride >= size && input.channels >= 4;
  const covers = stride === size && output.height * size === input.height && output.width * size === input.width;
  const gradient = apart
    ? call(
        "maxPoolGradient",
        map.tensor(outputGradient),
        map.tensor(choice),
        output.height,
        output.width,
        batch,
        inputGradient,
        input.height,
        input.width,
        input.channels,
        size,
        stride,
      )
    : call(
        "scatterPoolGradient",
        map.tensor(outputGradient),
        map.tensor(choice),
        elementsOf(output),
        batch,
        inputGradient,
        elementsOf(input) * WORD_BYTES,
      );
  return [
    ...(apart && covers ? [] : [call("fillZero", inputGradient, bytes)]),
    gradient,
    ...mask(inputGradient, undo, batch * elementsOf(input), map),
  ];
}

function dense(operation: OperationOf<"dense">, map: MemoryMap): Invocation[] {
  const { batch, inputs, units, activation } = operation;
  const { weights, bias } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map,
    matrixRows(batch, inputs, map.tensor(operation.input)),
    matrixRows(batch, units, map.tensor(operation.output)),
  );
  return [
    call(
      "dense",
      rowsA,
      rowsC,
      tiles,
      inputs,
      units,
      weights,
      map.scratch.packedBytes,
      stripColumns(inputs, units),
      bias,
      Number(activation?.kind === "relu"),
    ),
  ];
}

function denseDataGradient(operation: OperationOf<"dense-data-gradient">, map: MemoryMap): Invocation[] {
  const { batch, inputs, units, undo } = operation;
  const inputGradient = map.tensor(operation.inputGradient);
  const { weights } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map,
    matrixRows(batch, units, map.tensor(operation.outputGradient)),
    matrixRows(batch, inputs, inputGradient),
  );
  return [
    call(
      "denseDataGradient",
      rowsA,
      rowsC,
      tiles,
      inputs,
      units,
      weights,
      map.scratch.packedBytes,
      stripColumns(units, inputs),
      map.scratch.zeroBytes,
    ),
    ...mask(inputGradient, undo, batch * inputs, map),
  ];
}

function denseFilterGradient(operation: OperationOf<"dense-filter-gradient">, map: MemoryMap): Invocation[] {
  const { batch, inputs, units } = operation;
  const outputGradient = map.tensor(operation.outputGradient);
  const { weights, bias } = addressesOf(operation, map.gradient);
  return [
    call(
      "denseFilterGradient",
      map.tensor(operation.input),
      outputGradient,
      batch,
      inputs,
      units,
      map.scratch.packedBytes,
      weights,
      bias,
    ),
  ];
}

function softmaxCrossEntropy(operation: OperationOf<"softmax-cross-entropy">, map: MemoryMap): Invocation[] {
  const { batch, classes, outputs, labels, gradient, losses, correct } = operation;
  return [
    call(
      "softmaxCrossEntropy",
      map.tensor(outputs),
      map.tensor(labels),
      batch,
      classes,
      map.tensor(gradient),
      map.tensor(losses),
      map.tensor(correct),
    ),
  ];
}
