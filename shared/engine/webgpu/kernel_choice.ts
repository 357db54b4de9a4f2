/**
 * The one place that decides which kernel variant an operation uses, by rule, with the measurement beside each rule. A
 * tuner that measures on the volunteer's own device would replace `chooseTile`'s answers and nothing else.
 *
 * Measured on SwiftShader (2-core Xeon 2.5 GHz, Chromium 156 and Dawn, 2026-11-21) unless said otherwise.
 */

import type { WindowGeometry } from "../operation.ts";

/** What the rules look at. */
export interface DeviceTraits {
  /** Runs in software: few wide threads, dear loads, very dear barriers. */
  readonly isFallback: boolean;
  /** The `subgroups` feature was enabled on the device. */
  readonly hasSubgroups: boolean;
}

/** A GEMM-shaped kernel's register tile and launch. */
export interface Tile {
  /** `quads` kernels share loads between four lanes; `plain` ones run on any device. */
  readonly variant: "plain" | "quads";
  /** Output channels that an invocation keeps in registers, at most 25. */
  readonly rows: number;
  /** Columns of 4 that an invocation keeps in registers: 1 or 2. */
  readonly columns: number;
  readonly invocations: number;
}

const MAX_ROWS = 25;

/**
 * Below this a discrete GPU starves; tiles shrink until a launch has as many. An estimate (132 multiprocessors x 64 lanes
 * x 2): no hardware has been measured yet.
 */
const WANTED_INVOCATIONS = 16_384;

/**
 * The tile of a GEMM with `channels` rows and `columns` columns, `splits` of them at once.
 *
 * Software: a load costs as much as 22 multiply-adds, so the tile is as large as compile time allows: conv2 of LeNet ran
 * at 3.9 GFLOP/s with at most 20 rows, at 4.5 with 25. Rows divide the channels evenly (50 = 2 x 25, 20 = 1 x 20): a fixed
 * 16 computes 64 channels for 50 and ran at 2.9. Quads against plain, whole step of LeNet: 232 against 295 ms. Workgroups
 * of 4 (one quad) against 16: GEMM 512 in 70 against 77 ms.
 */
export function chooseTile(traits: DeviceTraits, channels: number, columns: number, splits = 1): Tile {
  if (traits.isFallback) {
    const variant = traits.hasSubgroups ? "quads" : "plain";
    const rows = evenRows(channels, MAX_ROWS);
    return { variant, rows, columns: columns >= 32 ? 2 : 1, invocations: 4 };
  }
  // On hardware a quad's equal loads are one access anyway (not measured yet), so the plain kernel runs everywhere.
  for (const [maxRows, columnsEach] of [
    [16, 2],
    [8, 2],
    [8, 1],
    [4, 1],
  ] as const) {
    const rows = evenRows(channels, maxRows);
    const invocations = Math.ceil(channels / rows) * Math.ceil(columns / (4 * columnsEach)) * splits;
    if (invocations >= WANTED_INVOCATIONS) return { variant: "plain", rows, columns: columnsEach, invocations: 64 };
  }
  return { variant: "plain", rows: evenRows(channels, 4), columns: 1, invocations: 64 };
}

/** The rows per tile that cover `channels` in the fewest tiles of at most `max` with the least left over. */
function evenRows(channels: number, max: number): number {
  return Math.ceil(channels / Math.ceil(channels / max));
}

/** Pixels that one split of a filter gradient sums, a multiple of 4, and how many splits there are. */
export interface Split {
  readonly chunk: number;
  readonly splits: number;
}

/** Invocations without a split; the pixels are split until there are enough, or each split has too little to do. */
const SHORTEST_CHUNK = 64;

/** How a filter gradient of `channels` x `depth` elements over `pixels` pixels is split over the pixels. */
export function chooseSplit(traits: DeviceTraits, channels: number, depth: number, pixels: number): Split {
  const { rows, columns, invocations } = chooseTile(traits, channels, depth);
  const workgroups = Math.ceil(channels / rows) * Math.ceil(depth / (4 * columns * invocations));
  // Software: enough workgroups to keep every core busy to the end. Hardware: enough to fill it.
  const wanted = traits.isFallback ? 32 : WANTED_INVOCATIONS / invocations;
  const most = Math.max(1, Math.floor(pixels / SHORTEST_CHUNK));
  const splits = Math.min(Math.ceil(wanted / workgroups), most, 256);
  const chunk = Math.ceil(pixels / splits / 4) * 4;
  return { chunk, splits: Math.ceil(pixels / chunk) };
}

/** Larger than this, the columns of a lowered data gradient cost more memory than they save time. */
const MOST_LOWERED_ELEMENTS = 16 * 2 ** 20;

/**
 * Whether a convolution's data gradient is lowered (GEMM into columns, then fold) rather than convolved directly. The
 * direct form multiplies with the padding too: LeNet's conv2 (12x12 from 8x8 by 5x5) does 2.25 times the work that way
 * and takes 1.7 times as long as the GEMM, 1.4 times as long as GEMM and fold (side by side, batch 64).
 */
export function isLowered({ batch, input, output, size, stride }: WindowGeometry): boolean {
  const columns = batch * output.height * output.width * size * size * input.channels;
  const directWork = input.height * input.width;
  const loweredWork = output.height * output.width;
  return (stride > 1 || directWork > 1.3 * loweredWork) && columns <= MOST_LOWERED_ELEMENTS;
}

/**
 * Whether windows tile their input exactly, so that a pool's gradient can be written window by window: 9 ms instead of
 * 36 for LeNet's pool1 at batch 64.
 */
export function isTiled({ input, output, size, stride }: WindowGeometry): boolean {
  return size === stride && input.height === output.height * size && input.width === output.width * size;
}
