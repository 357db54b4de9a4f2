/**
 * Sums over the rows of a matrix, in two halves: chunks of rows side by side, then the chunks. What the statistics of batch
 * norms and the gradients of scales and shifts are made of.
 */

import type { OperationOf } from "../../operation.ts";
import type { DeviceTraits } from "../choice/candidate.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import { channelPeriod, vectorsOf, type Surroundings } from "./surroundings.ts";

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

export function sumConstants(shape: Rows, traits: DeviceTraits): Constants & { CHUNKS: number } {
  const { chunks, chunkLines } = chunksOf(shape, traits);
  return { ROWS: shape.rows, CHANNELS: shape.channels, CHUNKS: chunks, CHUNK_LINES: chunkLines };
}

/** Words of the chunks' sums, two for each channel or, where channels are not a multiple of 4, eight. */
export function sumsElements(shape: Rows, traits: DeviceTraits): number {
  return chunksOf(shape, traits).chunks * 2 * channelPeriod(shape.channels) * 4;
}

export function sumsOf(shape: Rows, { memory, traits }: Surroundings): GPUBufferBinding {
  return { buffer: memory.scratch, offset: 0, size: sumsElements(shape, traits) * 4 };
}

/** The first half. */
export function sumsOverRows(
  name: string,
  shader: string,
  shape: Rows,
  inputs: readonly GPUBufferBinding[],
  surroundings: Surroundings,
): Dispatch {
  const constants = sumConstants(shape, surroundings.traits);
  const items = constants.CHUNKS * channelPeriod(shape.channels);
  return elementwise(name, shader, items, constants, [...inputs, sumsOf(shape, surroundings)]);
}

const SUMMING_SHADERS = {
  "batch-norm-scale-gradient": "batch_norm_sums",
  "layer-norm-scale-gradient": "layer_norm_sums",
} as const;

/** The gradients of scale and shift. */
export function scaleGradient(
  operation: OperationOf<keyof typeof SUMMING_SHADERS>,
  surroundings: Surroundings,
): Dispatch[] {
  const { kind, name, channels, scale, shift, input, outputGradient, mean, inverseDeviation } = operation;
  const { memory, traits } = surroundings;
  const { CHUNKS } = sumConstants(operation, traits);
  const inputs = [
    vectorsOf(memory, input),
    vectorsOf(memory, outputGradient),
    memory.tensor(mean),
    memory.tensor(inverseDeviation),
  ];
  const constants = { CHANNELS: channels, CHUNKS, SCALE_OFFSET: 0, SHIFT_OFFSET: shift.offset - scale.offset };
  const bindings = [sumsOf(operation, surroundings), memory.gradients(scale, shift)];
  return [
    sumsOverRows(`${name} scale gradient`, SUMMING_SHADERS[kind], operation, inputs, surroundings),
    elementwise(`${name} scale gradient, sum`, "scale_gradient", channels, constants, bindings),
  ];
}
