/** The kernel calls of the norms within a row: layer norm and local response norm. */

import type { OperationOf } from "../operation.ts";
import { activated, call, chunksOf, fusedRelu, undone, within, WORD_BYTES } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";

export function layerNorm(operation: OperationOf<"layer-norm">, map: MemoryView): Invocation[] {
  const { rows, channels, epsilon, activation } = operation;
  const output = map.tensor(operation.output);
  const parameters = [within(operation.scale, map.parameters), within(operation.shift, map.parameters)];
  const kept = [map.tensor(operation.mean), map.tensor(operation.inverseDeviation)];
  const relu = fusedRelu(activation);
  return [
    call("layerNorm", map.tensor(operation.input), rows, channels, ...parameters, epsilon, ...kept, output, relu),
    ...activated(output, rows * channels, activation),
  ];
}

export function layerNormScaleGradient(
  operation: OperationOf<"layer-norm-scale-gradient">,
  map: MemoryView,
): Invocation[] {
  const { rows, channels } = operation;
  const sums = map.scratch.sumsBytes;
  const kept = [map.tensor(operation.mean), map.tensor(operation.inverseDeviation)];
  const sources = [map.tensor(operation.input), map.tensor(operation.outputGradient)];
  const gradients = [within(operation.scale, map.gradient), within(operation.shift, map.gradient)];
  return [
    call("sumLayerScaleGradients", ...sources, rows, channels, ...kept, sums),
    call("finishScaleGradients", sums, 1, channels, 0, ...gradients),
  ];
}

export function layerNormDataGradient(
  operation: OperationOf<"layer-norm-data-gradient">,
  map: MemoryView,
): Invocation[] {
  const { rows, channels, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  const sources = [map.tensor(operation.input), map.tensor(operation.outputGradient)];
  const scale = within(operation.scale, map.parameters);
  const kept = [map.tensor(operation.mean), map.tensor(operation.inverseDeviation)];
  return [
    call("layerNormDataGradient", ...sources, rows, channels, scale, ...kept, gradient, Number(accumulate)),
    ...undone(gradient, undo, rows * channels, map),
  ];
}

export function localResponse(operation: OperationOf<"local-response-norm">, map: MemoryView): Invocation[] {
  const { rows, channels, size, alpha, beta, k, input, output } = operation;
  const shape = [rows, channels, size, alpha / size, beta, k];
  return [call("localResponse", map.tensor(input), ...shape, map.scratch.sumsBytes, map.tensor(output))];
}

export function localResponseGradient(
  operation: OperationOf<"local-response-norm-gradient">,
  map: MemoryView,
): Invocation[] {
  const { rows, channels, size, alpha, beta, k, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  const lines = map.scratch.sumsBytes;
  const rowBytes = channels * WORD_BYTES;
  return chunksOf(rows, rowBytes, undo !== undefined).flatMap(({ first, count }) => {
    const at = first * rowBytes;
    const sources = [map.tensor(operation.input) + at, map.tensor(operation.outputGradient) + at];
    const shape = [count, channels, size, alpha / size, beta, k];
    return [
      call("localResponseGradient", ...sources, ...shape, lines, gradient + at, Number(accumulate)),
      undone(gradient, undo, count * channels, map, first * channels),
    ].flat();
  });
}
