/** The kernel calls of batch norm. */

import type { OperationOf } from "../operation.ts";
import { activated, call, chunksOf, fusedRelu, undone, within, WORD_BYTES } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";

export function batchNormStatistics(operation: OperationOf<"batch-norm-statistics">, map: MemoryMap): Invocation[] {
  const { rows, channels, momentum, epsilon, runningMean, runningVariance } = operation;
  const input = map.tensor(operation.input);
  const sums = map.scratch.sumsBytes;
  const kept = [map.tensor(operation.mean), map.tensor(operation.inverseDeviation)];
  const running = [within(runningMean, map.parameters), within(runningVariance, map.parameters)];
  return [
    // The first row is as good a value to measure from as any.
    call("sumMoments", input, rows, channels, input, sums),
    call("finishMoments", sums, 1, rows, channels, input, ...kept, ...running, momentum, epsilon),
  ];
}

export function batchNorm(operation: OperationOf<"batch-norm">, map: MemoryMap): Invocation[] {
  const { rows, channels, statistics, addend, activation } = operation;
  const scale = within(operation.scale, map.parameters);
  const shift = within(operation.shift, map.parameters);
  const factors = map.scratch.sumsBytes;
  const isRunning = statistics.from === "running";
  const prepared = isRunning
    ? call("runningFactors", scale, within(statistics.variance, map.parameters), statistics.epsilon, channels, factors)
    : call("scaleFactors", scale, map.tensor(statistics.inverseDeviation), channels, factors);
  const mean = isRunning ? within(statistics.mean, map.parameters) : map.tensor(statistics.mean);
  const rowBytes = channels * WORD_BYTES;
  const passesTwice = activation !== undefined && activation.kind !== "relu";
  const chunks = chunksOf(rows, rowBytes, passesTwice).flatMap(({ first, count }) => {
    const at = first * rowBytes;
    const output = map.tensor(operation.output) + at;
    const added = addend === undefined ? 0 : map.tensor(addend) + at;
    const input = map.tensor(operation.input) + at;
    return [
      call("normaliseChannels", input, count, channels, mean, factors, shift, added, output, fusedRelu(activation)),
      activated(output, count * channels, activation),
    ].flat();
  });
  return [prepared, ...chunks];
}

export function batchNormScaleGradient(
  operation: OperationOf<"batch-norm-scale-gradient">,
  map: MemoryMap,
): Invocation[] {
  const { rows, channels } = operation;
  const sums = map.scratch.sumsBytes;
  const gradients = [within(operation.scale, map.gradient), within(operation.shift, map.gradient)];
  const slopes = map.tensor(operation.outputGradient);
  const input = map.tensor(operation.input);
  return [
    call("sumScaleGradients", input, slopes, rows, channels, map.tensor(operation.mean), sums),
    call("finishScaleGradients", sums, 1, channels, map.tensor(operation.inverseDeviation), ...gradients),
  ];
}

export function batchNormDataGradient(
  operation: OperationOf<"batch-norm-data-gradient">,
  map: MemoryMap,
): Invocation[] {
  const { rows, channels, undo, accumulate } = operation;
  const coefficients = map.scratch.sumsBytes;
  const scale = within(operation.scale, map.parameters);
  const gradients = [within(operation.scale, map.gradient), within(operation.shift, map.gradient)];
  const inverse = map.tensor(operation.inverseDeviation);
  const gradient = map.tensor(operation.inputGradient);
  const mean = map.tensor(operation.mean);
  const rowBytes = channels * WORD_BYTES;
  const chunks = chunksOf(rows, rowBytes, undo !== undefined).flatMap(({ first, count }) => {
    const at = first * rowBytes;
    const [input, slopes] = [map.tensor(operation.input) + at, map.tensor(operation.outputGradient) + at];
    const numbers = [mean, coefficients, gradient + at, Number(accumulate)];
    return [
      call("batchNormDataGradient", input, slopes, count, channels, ...numbers),
      undone(gradient, undo, count * channels, map, first * channels),
    ].flat();
  });
  return [call("dataGradientCoefficients", rows, channels, scale, inverse, ...gradients, coefficients), ...chunks];
}
