/**
 * The scratch space that operations need while they run, and the block sizes that decide it. Every operation uses the same
 * space, so the program holds the largest need of each kind.
 */

import { alignUp } from "../../model/layout.ts";
import type { Operation, WindowGeometry } from "../operation.ts";

const WORD_BYTES = 4;
const PANEL_COLUMNS = 8;
/**
 * Packed panels of one strip of weights; together with the rows that meet them they stay in a 1 MB L2 cache. LeNet's fc1 takes
 * 1.13 times as long with 96 KB and 1.10 times with 640 KB (Xeon 2.5 GHz, Node 24, 2026-11-21).
 */
const STRIP_BYTES = 256 * 1024;
/**
 * Images, and one panel of their output's gradient, that share a 32 KB L1 cache while the tiles of a filter gradient pass.
 * LeNet's conv2 takes 1.06 times as long with 14 KB and 1.10 times with 56 KB (same machine and day).
 */
const CHUNK_BYTES = 28 * 1024;

export interface Scratch {
  /** Packed weights. */
  readonly packedBytes: number;
  /** A batch of images with its borders. */
  readonly paddedBytes: number;
  /** Stands in for a bias that is not there. */
  readonly zeroBytes: number;
  /** Takes the rows of a last tile that do not exist. */
  readonly sinkBytes: number;
}

export function scratchOf(operations: readonly Operation[]): Scratch {
  const needs = operations.map(needsOf);
  const largest = (field: keyof Scratch): number => Math.max(0, ...needs.map((need) => need[field] ?? 0));
  return {
    packedBytes: largest("packedBytes"),
    paddedBytes: largest("paddedBytes"),
    zeroBytes: largest("zeroBytes"),
    sinkBytes: largest("sinkBytes"),
  };
}

function needsOf(operation: Operation): Partial<Scratch> {
  switch (operation.kind) {
    case "convolve": {
      const { size, input, output } = operation.window;
      return {
        packedBytes: stripBytes(size * size * input.channels, output.channels),
        paddedBytes: paddedBytes(operation.window),
        sinkBytes: output.channels * WORD_BYTES,
      };
    }
    case "convolve-data-gradient": {
      const { size, output } = operation.window;
      const run = size * operation.window.input.channels;
      return {
        packedBytes: size * alignUp(run, PANEL_COLUMNS) * output.channels * WORD_BYTES,
        paddedBytes: paddedBytes(operation.window),
        sinkBytes: size * paddedLineBytes(operation.window) + run * WORD_BYTES,
      };
    }
    case "convolve-filter-gradient":
      return {
        packedBytes:
          chunkImages(operation.window) * panelsBytes(pixelsOf(operation.window), operation.window.output.channels),
        paddedBytes: paddedBytes(operation.window),
      };
    case "dense":
      return {
        packedBytes: stripBytes(operation.inputs, operation.units),
        sinkBytes: operation.units * WORD_BYTES,
      };
    case "dense-data-gradient":
      return {
        packedBytes: stripBytes(operation.units, operation.inputs),
        zeroBytes: operation.inputs * WORD_BYTES,
        sinkBytes: operation.inputs * WORD_BYTES,
      };
    case "dense-filter-gradient":
      // The output's gradient, and eight columns of the input.
      return { packedBytes: panelsBytes(operation.batch, operation.units + PANEL_COLUMNS) };
    default:
      return {};
  }
}

/** How many of `columns` are packed at a time: a multiple of 8. */
export function stripColumns(depth: number, columns: number): number {
  const fitting = Math.floor(STRIP_BYTES / (depth * WORD_BYTES * PANEL_COLUMNS)) * PANEL_COLUMNS;
  return Math.min(Math.max(fitting, PANEL_COLUMNS), alignUp(columns, PANEL_COLUMNS));
}

function stripBytes(depth: number, columns: number): number {
  return panelsBytes(depth, stripColumns(depth, columns));
}

function panelsBytes(depth: number, columns: number): number {
  return depth * alignUp(columns, PANEL_COLUMNS) * WORD_BYTES;
}

export function chunkImages(window: WindowGeometry): number {
  const panelBytes = panelsBytes(pixelsOf(window), PANEL_COLUMNS);
  return Math.max(1, Math.floor(CHUNK_BYTES / (paddedImageBytes(window) + panelBytes)));
}

function pixelsOf({ output }: WindowGeometry): number {
  return output.height * output.width;
}

/** Bytes of one line of an image with its borders. */
export function paddedLineBytes({ input, padding }: WindowGeometry): number {
  return (input.width + 2 * padding) * input.channels * WORD_BYTES;
}

export function paddedImageBytes(window: WindowGeometry): number {
  return (window.input.height + 2 * window.padding) * paddedLineBytes(window);
}

function paddedBytes(window: WindowGeometry): number {
  return window.padding === 0 ? 0 : window.batch * paddedImageBytes(window);
}
