/**
 * The scratch space that operations need while they run, and the block sizes that decide it. Every operation uses the same
 * space, so the program holds the largest need of each kind.
 */

import { alignUp } from "../../model/layout.ts";
import type { Operation, WindowGeometry } from "../operation.ts";
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
 * LeNet's conv2 takes 1.06 times as long with 14 KB and 1.10 times with 56 KB (same machine and day).
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

function needsOf(operation: Operation): Partial<Scratch> {
  switch (operation.kind) {
    case "convolve": {
      const { size, input, output, groups } = operation.window;
      return {
        packedBytes: groups * panelsBytes((size * size * input.channels) / groups, output.channels / groups),
        paddedBytes: paddedBytes(operation.window, "forward"),
        zeroBytes: output.channels * WORD_BYTES,
      };
    }
    case "convolve-data-gradient": {
      const { size, input, output, groups } = operation.window;
      return {
        packedBytes: groups * panelsBytes((size * size * output.channels) / groups, input.channels / groups),
        paddedBytes: paddedBytes(operation.window, "gradient"),
        zeroBytes: input.channels * WORD_BYTES,
      };
    }
    case "convolve-filter-gradient": {
      const { window } = operation;
      const { images, lines } = filterChunk(window);
      return {
        packedBytes: panelsBytes(images * lines * window.output.width, window.output.channels / window.groups),
        paddedBytes: images * borderedBytes(window, "forward"),
      };
    }
    case "dense":
      return {
        packedBytes: stripBytes(operation.inputs, operation.units),
        zeroBytes: operation.units * WORD_BYTES,
      };
    case "dense-data-gradient":
      return {
        packedBytes: stripBytes(operation.units, operation.inputs),
        zeroBytes: operation.inputs * WORD_BYTES,
      };
    case "dense-filter-gradient":
      // The output's gradient, and eight columns of the input.
      return { packedBytes: panelsBytes(operation.batch, operation.units + PANEL_COLUMNS) };
    case "batch-norm-statistics":
    case "batch-norm":
    case "batch-norm-scale-gradient":
    case "batch-norm-data-gradient":
    case "layer-norm-scale-gradient":
      return { sumsBytes: 3 * alignUp(operation.channels, 4) * WORD_BYTES };
    case "local-response-norm":
    case "local-response-norm-gradient":
      // Lines with room for the neighbours on both sides.
      return { sumsBytes: 3 * (operation.channels + operation.size + 3) * WORD_BYTES };
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

/** Bytes of a packed matrix [depth, columns]. */
export function panelsBytes(depth: number, columns: number): number {
  return depth * alignUp(columns, PANEL_COLUMNS) * WORD_BYTES;
}

export function isDepthwise({ groups, input, output }: WindowGeometry): boolean {
  return groups > 1 && groups === input.channels && groups === output.channels;
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
