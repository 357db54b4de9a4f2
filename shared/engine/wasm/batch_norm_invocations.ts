/** The kernel calls of batch norm. */

import type { OperationOf } from "../operation.ts";
import { activated, call, chunksOf, fusedRelu, undone, within, WORD_BYTES } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";

/** A thread's share of a sum over rows: which rows, and where its table of sums lies. The tables lie one after another. */
interface SummedPart {
  readonly view: MemoryView;
  readonly rows: number;
  readonly sums: number;
}

/** For each part the call that sums, and the one that comes after all of them. */
interface Summed {
  readonly sums: readonly Invocation[];
  readonly finish: Invocation;
}

export function batchNormStatistics(operation: OperationOf<"batch-norm-statistics">, map: MemoryView): Invocation[] {
  const part = { view: map, rows: operation.rows, sums: map.scratch.sumsBytes };
  const { sums, finish } = batchNormStatisticsParts(operation, [part]);
  return [...sums, finish];
}

export function batchNormStatisticsParts(
  operation: OperationOf<"batch-norm-statistics">,
  parts: readonly SummedPart[],
): Summed {
  const { channels, momentum, epsilon, runningMean, runningVariance } = operation;
  const map = parts[0]!.view;
  // The first row of a part is as good a value to measure from as any.
  const originOf = ({ view }: SummedPart): number => view.tensor(operation.input);
  const kept = [map.tensor(operation.mean), map.tensor(operation.inverseDeviation)];
  const running = [within(runningMean, map.parameters), within(runningVariance, map.parameters)];
  const table = map.addTable(Uint32Array.from(parts.flatMap((part) => [part.rows, originOf(part)])));
  return {
    sums: parts.map((part) => call("sumMoments", originOf(part), part.rows, channels, originOf(part), part.sums)),
    finish: call(
      "finishMoments",
      parts[0]!.sums,
      parts.length,
      table,
      channels,
      ...kept,
      ...running,
      momentum,
      epsilon,
    ),
  };
}

export function batchNorm(operation: OperationOf<"batch-norm">, map: MemoryView): Invocation[] {
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
  map: MemoryView,
): Invocation[] {
  const part = { view: map, rows: operation.rows, sums: map.scratch.sumsBytes };
  const { sums, finish } = batchNormScaleParts(operation, [part]);
  return [...sums, finish];
}

export function batchNormScaleParts(
  operation: OperationOf<"batch-norm-scale-gradient">,
  parts: readonly SummedPart[],
): Summed {
  const { channels } = operation;
  const map = parts[0]!.view;
  const mean = map.tensor(operation.mean);
  const inverse = map.tensor(operation.inverseDeviation);
  const gradients = [within(operation.scale, map.batchGradient), within(operation.shift, map.batchGradient)];
  return {
    sums: parts.map(({ view, rows, sums }) => {
      const sources = [view.tensor(operation.input), view.tensor(operation.outputGradient)];
      return call("sumScaleGradients", ...sources, rows, channels, mean, sums);
    }),
    finish: call("finishScaleGradients", parts[0]!.sums, parts.length, channels, inverse, ...gradients),
  };
}

export function batchNormDataGradient(
  operation: OperationOf<"batch-norm-data-gradient">,
  map: MemoryView,
): Invocation[] {
  const { rows, channels, undo, accumulate } = operation;
  // The means are over the whole batch.
  const allRows = (rows / map.part.count) * map.plan.microBatch;
  const coefficients = map.scratch.sumsBytes;
  const scale = within(operation.scale, map.parameters);
  const gradients = [within(operation.scale, map.batchGradient), within(operation.shift, map.batchGradient)];
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
  return [call("dataGradientCoefficients", allRows, channels, scale, inverse, ...gradients, coefficients), ...chunks];
}
