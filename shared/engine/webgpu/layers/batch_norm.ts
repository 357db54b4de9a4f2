/** The launches of batch norm: statistics and gradients of scale and shift are sums over rows, in two halves. */

import type { OperationOf } from "../../operation.ts";
import type { DeviceTraits } from "../choice/candidate.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import {
  activationConstants,
  channelPeriod,
  strided,
  targetConstants,
  undoneBinding,
  vectorsOf,
  type Surroundings,
} from "./surroundings.ts";

interface Rows {
  readonly rows: number;
  readonly channels: number;
}

/** Software: a few workgroups for each core. Hardware: enough to fill it, but no more than the second half likes to add. */
const WANTED_INVOCATIONS = { software: 512, hardware: 16_384 } as const;
const SHORTEST_CHUNK_LINES = { software: 16, hardware: 32 } as const;
const MOST_CHUNKS = 256;

/** How the rows of a sum are divided; a line is one row, or four where channels are not a multiple of 4. */
function chunksOf({ rows, channels }: Rows, { isFallback }: DeviceTraits): { chunks: number; chunkLines: number } {
  const device = isFallback ? "software" : "hardware";
  const lines = channels % 4 === 0 ? rows : Math.ceil(rows / 4);
  const wanted = Math.min(WANTED_INVOCATIONS[device] / channelPeriod(channels), MOST_CHUNKS);
  const chunkLines = Math.max(Math.ceil(lines / wanted), SHORTEST_CHUNK_LINES[device]);
  return { chunks: Math.ceil(lines / chunkLines), chunkLines };
}

function sumConstants(shape: Rows, traits: DeviceTraits): Constants {
  const { chunks, chunkLines } = chunksOf(shape, traits);
  return { ROWS: shape.rows, CHANNELS: shape.channels, CHUNKS: chunks, CHUNK_LINES: chunkLines };
}

/** Words of the chunks' sums. */
export function sumsElements(shape: Rows, traits: DeviceTraits): number {
  return chunksOf(shape, traits).chunks * 2 * channelPeriod(shape.channels) * 4;
}

function sumsOf(shape: Rows, { memory, traits }: Surroundings): GPUBufferBinding {
  return { buffer: memory.scratch, offset: 0, size: sumsElements(shape, traits) * 4 };
}

export function batchNormStatistics(
  operation: OperationOf<"batch-norm-statistics">,
  surroundings: Surroundings,
): Dispatch[] {
  const { name, channels, input, mean, inverseDeviation, runningMean, runningVariance } = operation;
  const { memory, traits } = surroundings;
  const { chunks } = chunksOf(operation, traits);
  const sums = sumsOf(operation, surroundings);
  const constants = sumConstants(operation, traits);
  const { momentum: MOMENTUM, epsilon: EPSILON } = operation;
  return [
    elementwise(`${name} moments`, "batch_norm_moments", chunks * channelPeriod(channels), constants, [
      vectorsOf(memory, input),
      sums,
    ]),
    elementwise(`${name} statistics`, "batch_norm_statistics", channels, { ...constants, MOMENTUM, EPSILON }, [
      sums,
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

export function batchNormScaleGradient(
  operation: OperationOf<"batch-norm-scale-gradient">,
  surroundings: Surroundings,
): Dispatch[] {
  const { name, channels, input, outputGradient, mean, inverseDeviation } = operation;
  const { memory, traits } = surroundings;
  const { chunks } = chunksOf(operation, traits);
  const sums = sumsOf(operation, surroundings);
  const constants = sumConstants(operation, traits);
  return [
    elementwise(`${name} scale gradient`, "batch_norm_sums", chunks * channelPeriod(channels), constants, [
      vectorsOf(memory, input),
      vectorsOf(memory, outputGradient),
      memory.tensor(mean),
      memory.tensor(inverseDeviation),
      sums,
    ]),
    scaleGradientOfChunks(operation, chunks, sums, surroundings),
  ];
}

/** Adds the chunks' sums, [chunks, 2, channels or four times as many], into the gradient. */
export function scaleGradientOfChunks(
  { name, channels, scale, shift }: OperationOf<"batch-norm-scale-gradient" | "layer-norm-scale-gradient">,
  chunks: number,
  sums: GPUBufferBinding,
  { memory }: Surroundings,
): Dispatch {
  const constants = {
    CHANNELS: channels,
    CHUNKS: chunks,
    SCALE_OFFSET: scale.offset,
    SHIFT_OFFSET: shift.offset,
  };
  const gradient = { buffer: memory.vectors.gradient };
  return elementwise(`${name} scale gradient, sum`, "scale_gradient", channels, constants, [sums, gradient]);
}

export function batchNormDataGradient(
  operation: OperationOf<"batch-norm-data-gradient">,
  { memory, traits }: Surroundings,
): Dispatch {
  const { name, rows, channels, input, outputGradient, mean, inverseDeviation, inputGradient, undo } = operation;
  const { scale, shift } = operation;
  const first = Math.min(scale.offset, shift.offset);
  const end = Math.max(scale.offset + scale.elements, shift.offset + shift.elements);
  if (first !== scale.offset) throw new Error(`invariant violation: the shift of "${name}" lies before its scale`);
  const slopes = vectorsOf(memory, outputGradient);
  return strided(
    {
      name: `${name} data gradient`,
      shader: "batch_norm_data_gradient",
      elements: rows * channels,
      period: channelPeriod(channels),
    },
    traits,
    { ROWS: rows, CHANNELS: channels, SHIFT_AT: shift.offset - first, ...targetConstants(operation) },
    [
      vectorsOf(memory, input),
      slopes,
      memory.parameter(scale),
      memory.tensor(mean),
      memory.tensor(inverseDeviation),
      { buffer: memory.vectors.gradient, offset: first * 4, size: (end - first) * 4 },
      undoneBinding(undo, memory, slopes),
      vectorsOf(memory, inputGradient),
    ],
  );
}
