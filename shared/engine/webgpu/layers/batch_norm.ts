/** The launches of batch norm: statistics are sums over rows, in two halves, as the gradients in `row_sums.ts`. */

import type { OperationOf } from "../../operation.ts";
import { elementwise, type Dispatch } from "../dispatch.ts";
import { sumConstants, sumsOf, sumsOverRows } from "./row_sums.ts";
import {
  activationConstants,
  channelPeriod,
  strided,
  targetConstants,
  undoneBinding,
  vectorsOf,
  type Surroundings,
} from "./surroundings.ts";

export function batchNormStatistics(
  operation: OperationOf<"batch-norm-statistics">,
  surroundings: Surroundings,
): Dispatch[] {
  const { name, channels, input, mean, inverseDeviation, runningMean, runningVariance } = operation;
  const { momentum: MOMENTUM, epsilon: EPSILON } = operation;
  const { memory, traits } = surroundings;
  const constants = { ...sumConstants(operation, traits), MOMENTUM, EPSILON };
  return [
    sumsOverRows(`${name} moments`, "batch_norm_moments", operation, [vectorsOf(memory, input)], surroundings),
    elementwise(`${name} statistics`, "batch_norm_statistics", channels, constants, [
      sumsOf(operation, surroundings),
      memory.tensor(mean),
      memory.tensor(inverseDeviation),
      memory.parameter(runningMean),
      memory.parameter(runningVariance),
    ]),
  ];
}

export function batchNorm(operation: OperationOf<"batch-norm">, { memory, traits }: Surroundings): Dispatch {
  const { name, rows, channels, input, output, statistics, addend, scale, shift, activation } = operation;
  const isRunning = statistics.from === "running";
  const constants = {
    CHANNELS: channels,
    RUNNING: isRunning ? 1 : 0,
    EPSILON: isRunning ? statistics.epsilon : 0,
    ADDEND: addend === undefined ? 0 : 1,
    ...activationConstants(activation),
  };
  const kept = isRunning
    ? [memory.parameter(statistics.mean), memory.parameter(statistics.variance)]
    : [memory.tensor(statistics.mean), memory.tensor(statistics.inverseDeviation)];
  return strided(
    { name: `${name} forward`, shader: "batch_norm", elements: rows * channels, period: channelPeriod(channels) },
    traits,
    constants,
    [
      vectorsOf(memory, input),
      vectorsOf(memory, addend ?? input),
      memory.parameter(scale),
      memory.parameter(shift),
      ...kept,
      vectorsOf(memory, output),
    ],
  );
}

export function batchNormDataGradient(
  operation: OperationOf<"batch-norm-data-gradient">,
  { memory, traits }: Surroundings,
): Dispatch {
  const { name, rows, channels, input, outputGradient, mean, inverseDeviation, inputGradient, undo } = operation;
  const { scale, shift } = operation;
  const slopes = vectorsOf(memory, outputGradient);
  return strided(
    {
      name: `${name} data gradient`,
      shader: "batch_norm_data_gradient",
      elements: rows * channels,
      period: channelPeriod(channels),
    },
    traits,
    { ROWS: rows, CHANNELS: channels, SHIFT_AT: shift.offset - scale.offset, ...targetConstants(operation) },
    [
      vectorsOf(memory, input),
      slopes,
      memory.parameter(scale),
      memory.tensor(mean),
      memory.tensor(inverseDeviation),
      memory.gradients(scale, shift),
      undoneBinding(undo, memory, slopes),
      vectorsOf(memory, inputGradient),
    ],
  );
}
