/**
 * The scratch space that operations need while they run, and the block sizes that decide it. Every operation uses the same
 * space, so the program holds the largest need of each kind.
 */

import { alignUp } from "../../model/layout.ts";
import type { Operation, OperationKind, OperationOf, WindowGeometry } from "../operation.ts";
import { borderedBytes } from "./window_geometry.ts";

const WORD_BYTES = 4;
const PANEL_COLUMNS = 8;
/**
 * Packed panels of one strip of weights; together with the rows that meet them they stay in a 1 MB L2 cache. LeNet's fc1 takes
 * 1.13 times as long with 96 KB and 1.10 times with 640 KB (Xeon 2.5 GHz, Node 24, 2026-11-21).
 */
const STRIP_BYTES = 256 * 1024;
/**
 * Input lines, and one panel of their output's gradient, that share a 32 KB L1 cache while the tiles of a filter gradient pass.
 * LeNet's conv2 takes 1.06 times as long with 14 KB and 1.10 times with 56 KB, CIFAR-quick's 1.18 times with 64 KB (same machine
 * and day).
 */
const LINES_BYTES = 28 * 1024;
/** Fewer pixels at a time do not pay for the sums that every tile reads and writes. */
const LEAST_PIXELS = 48;
/** Source images, with their borders, that stay in the L2 cache with the packed weights while they are multiplied. */
const IMAGES_BYTES = 128 * 1024;

export interface Scratch {
  /** Packed weights. */
  readonly packedBytes: number;
  /** Images with their borders. */
  readonly paddedBytes: number;
  /** Zeros that stand in for a bias that is not there. */
  readonly zeroBytes: number;
  /** Sums, factors and lines of normalisations. */
  readonly sumsBytes: number;
}

export function scratchOf(operations: readonly Operation[]): Scratch {
  const needs = operations.map(needsOf);
  const largest = (field: keyof Scratch): number => Math.max(0, ...needs.map((need) => need[field] ?? 0));
  return {
    packedBytes: largest("packedBytes"),
    paddedBytes: largest("paddedBytes"),
    zeroBytes: largest("zeroBytes"),
    sumsBytes: largest("sumsBytes"),
  };
}

type Needs = { readonly [Kind in OperationKind]?: (operation: OperationOf<Kind>) => Partial<Scratch> };

/** By kind of operation; the others need nothing. */
const NEEDS: Needs = {
  convolve: ({ window }) => {
    const { size, input, output, groups } = window;
    return {
      packedBytes: groups * panelsBytes((size * size * input.channels) / groups, output.channels / groups),
      paddedBytes: paddedBytes(window, "forward"),
      zeroBytes: output.channels * WORD_BYTES,
    };
  },
  "convolve-data-gradient": ({ window }) => {
    const { size, input, output, groups } = window;
    if (scattersGradient(window)) return { packedBytes: size * panelsBytes(output.channels, size * input.channels) };
    return {
      packedBytes: groups * panelsBytes((size * size * output.channels) / groups, input.channels / groups),
      paddedBytes: paddedBytes(window, "gradient"),
      zeroBytes: input.channels * WORD_BYTES,
    };
  },
  "convolve-filter-gradient": ({ window }) => {
    const { images, lines } = filterChunk(window);
    return {
      packedBytes: panelsBytes(images * lines * window.output.width, window.output.channels / window.groups),
      paddedBytes: images * borderedBytes(window, "forward"),
    };
  },
  dense: ({ inputs, units }) => ({ packedBytes: stripBytes(inputs, units), zeroBytes: units * WORD_BYTES }),
  "dense-data-gradient": ({ inputs, units }) => ({
    packedBytes: stripBytes(units, inputs),
    zeroBytes: inputs * WORD_BYTES,
  }),
  // The output's gradient, and eight columns of the input.
  "dense-filter-gradient": ({ batch, units }) => ({ packedBytes: panelsBytes(batch, units + PANEL_COLUMNS) }),
  "batch-norm-statistics": sumsOfChannels,
  "batch-norm": sumsOfChannels,
  "batch-norm-scale-gradient": sumsOfChannels,
  "batch-norm-data-gradient": sumsOfChannels,
  "layer-norm-scale-gradient": sumsOfChannels,
  "local-response-norm": linesOfChannels,
  "local-response-norm-gradient": linesOfChannels,
};

function needsOf(operation: Operation): Partial<Scratch> {
  const needs = NEEDS[operation.kind] as ((operation: Operation) => Partial<Scratch>) | undefined;
  return needs?.(operation) ?? {};
}

/** As `assembly/batch_norm.ts` lays them out. */
function sumsOfChannels({ channels }: { readonly channels: number }): Partial<Scratch> {
  return { sumsBytes: 3 * alignUp(channels, 4) * WORD_BYTES };
}

/** Three lines with room for the neighbours on both sides (`assembly/local_response.ts`). */
function linesOfChannels({ channels, size }: { readonly channels: number; readonly size: number }): Partial<Scratch> {
  return { sumsBytes: 3 * (channels + size + 3) * WORD_BYTES };
}

/** How many of `columns` are packed at a time: a multiple of 8. */
export function stripColumns(depth: number, columns: number): number {
  const fitting = Math.floor(STRIP_BYTES / (depth * WORD_BYTES * PANEL_COLUMNS)) * PANEL_COLUMNS;
  return Math.min(Math.max(fitting, PANEL_COLUMNS), alignUp(columns, PANEL_COLUMNS));
}

function stripBytes(depth: number, columns: number): number {
  return panelsBytes(depth, stripColumns(depth, columns));
}

/** Bytes of a packed matrix [depth, columns]. */
export function panelsBytes(depth: number, columns: number): number {
  return depth * alignUp(columns, PANEL_COLUMNS) * WORD_BYTES;
}

export function isDepthwise({ groups, input, output }: WindowGeometry): boolean {
  return groups > 1 && groups === input.channels && groups === output.channels;
}

/** From here on a data gradient is scattered: so many times the products that there are would be asked for. */
const SCATTER_RATIO = 1.4;

/** Whether a data gradient costs less when the output's pixels add to their windows than when the input's pixels ask for theirs. */
export function scattersGradient(window: WindowGeometry): boolean {
  const { input, output, stride, padding, dilation, groups } = window;
  const asked = (input.height * input.width) / (stride * stride * output.height * output.width);
  return padding === 0 && dilation === 1 && groups === 1 && asked > SCATTER_RATIO;
}

/** Images that are multiplied at a time. */
export function chunkImages(window: WindowGeometry, pass: "forward" | "gradient"): number {
  return Math.min(window.batch, Math.max(1, Math.floor(IMAGES_BYTES / borderedBytes(window, pass))));
}

function paddedBytes(window: WindowGeometry, pass: "forward" | "gradient"): number {
  return chunkImages(window, pass) * borderedBytes(window, pass);
}

/** What a filter gradient sums over at a time: some whole images, or some lines of one. */
export function filterChunk(window: WindowGeometry): { images: number; lines: number } {
  const { batch, output, size, stride, dilation, input } = window;
  const imageBytes = borderedBytes(window, "forward");
  const panelLineBytes = output.width * PANEL_COLUMNS * WORD_BYTES;
  const images = Math.floor(LINES_BYTES / (imageBytes + output.height * panelLineBytes));
  if (images >= 1) return { images: Math.min(images, batch), lines: output.height };
  const lineBytes = (input.width + 2 * window.padding) * input.channels * WORD_BYTES;
  const reach = (size - 1) * dilation + 1;
  const fitting = Math.floor((LINES_BYTES - reach * lineBytes) / (stride * lineBytes + panelLineBytes));
  return { images: 1, lines: Math.min(output.height, Math.max(fitting, Math.ceil(LEAST_PIXELS / output.width))) };
}
