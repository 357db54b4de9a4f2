/**
 * The candidate that each product takes without measuring, with the measurement beside each rule: what training starts
 * with, and what a device without a tuner keeps.
 *
 * Measured on SwiftShader (2-core Xeon 2.5 GHz, Chromium 156 and Dawn, 2026-11-21) unless said otherwise.
 */

import { isDepthwise } from "../algorithms/depthwise.ts";
import { isDirect, MOST_FILTER_ROWS } from "../algorithms/direct.ts";
import { viewOf } from "../algorithms/operands.ts";
import type { WindowGeometry } from "../../operation.ts";
import type { Candidate, ChooseCandidate, DeviceTraits, Product, Tile } from "./candidate.ts";
import { chunkOf, depthOf, flopsOf, inputPixels, outputPixels } from "./shape.ts";

export function ruleOf(traits: DeviceTraits): ChooseCandidate {
  return (product) => chooseByRule(traits, product);
}

export function chooseByRule(traits: DeviceTraits, product: Product): Candidate {
  const { pass, window } = product;
  if (isDepthwise(product)) return depthwiseOf(product);
  if (isDirectBetter(traits, product)) return directOf(product);
  if (isDirectFilterBetter(traits, product)) return directFilterOf(product);
  const channels = window.output.channels / window.groups;
  const whole = { images: window.batch, splits: 1, storage: "f32" } as const;
  switch (pass) {
    case "forward": {
      const gemm = { channels, columns: outputPixels(window), depth: depthOf(window) };
      return { algorithm: "implicit", tile: chooseTile(traits, gemm), ...whole };
    }
    case "data-gradient": {
      if (isLowered(window)) {
        const gemm = { channels: depthOf(window), columns: outputPixels(window), depth: channels };
        return { algorithm: "lowering-3", tile: chooseTile(traits, gemm), ...whole };
      }
      const depth = window.size * window.size * channels;
      const gemm = { channels: window.input.channels / window.groups, columns: inputPixels(window), depth };
      const tile = chooseTile(traits, gemm);
      return { algorithm: "implicit", tile, ...whole };
    }
    case "filter-gradient": {
      const gemm = { channels, columns: depthOf(window) + 1, depth: outputPixels(window) };
      const splits = chooseSplits(traits, gemm);
      return { algorithm: "implicit", tile: chooseTile(traits, gemm, splits), ...whole, splits };
    }
    default:
      return pass satisfies never;
  }
}

/** One image row a split at least, and enough splits to keep a few cores busy. */
function depthwiseOf({ pass, window }: Product): Candidate {
  const rows = window.batch * window.output.height;
  const splits = pass === "filter-gradient" ? Math.ceil(rows / Math.ceil(rows / Math.min(rows, 16))) : 1;
  const tile: Tile = { variant: "plain", rows: 4, columns: 1, invocations: 64 };
  return { algorithm: "depthwise", tile, images: window.batch, splits, storage: "f32" };
}

/** The most output channels that a direct kernel keeps. */
export const MOST_DIRECT_ROWS = 32;
/** 32 rows of a 5x5 filter run 8 % faster than 16 and take twice as long to compile. */
const ROWS_OF_LARGE_FILTERS = 16;

/**
 * Software with subgroups: strips of pixels that the taps of a row share save most of the loads. 3x3, 64 to 64 channels,
 * 32x32, batch 16, GFLOP/s a core, interleaved: forward 4.7 against 3.05 of the implicit GEMM, 3.7 of Winograd and 2.3 of
 * lowering type 1 (four images at once); data gradient 4.5, 2.8, 3.3 and 2.2. 5x5, 32 to 32, 16x16: 5.0 against 2.7;
 * 3x3, 64 to 64, 8x8: 5.1 against 3.0; 3x3, 16 to 16, 32x32: 3.1 against 2.5. Of 32 and 16 channels a tile the larger
 * wins by 10 to 20 %. With fewer than four input channels loads are for nothing: 3 to 32 channels, 5x5, ran at 1.3 against
 * 2.1, and a variant that shares weights by output channel, which wants no four inputs, at 1.9.
 */
function isDirectBetter(traits: DeviceTraits, product: Product): boolean {
  if (!traits.isFallback || !traits.hasSubgroups || product.pass === "filter-gradient") return false;
  if (product.pass === "data-gradient" && isLowered(product.window)) return false;
  const view = viewOf(product);
  const isWorthwhile = flopsOf(product) >= FEWEST_DIRECT_FLOPS;
  return isWorthwhile && isDirect(product) && view.output.width > 4 && view.input.channels / view.groups >= 4;
}

/** A direct kernel compiles in 0.4 to 0.9 s, an implicit one in 0.2 to 0.5: below this it runs for too short a time. */
const FEWEST_DIRECT_FLOPS = 3e7;

function directOf(product: Product): Candidate {
  const { output, groups, batch, size } = viewOf(product);
  const rows = evenRows(output.channels / groups, size > 3 ? ROWS_OF_LARGE_FILTERS : MOST_DIRECT_ROWS);
  const tile: Tile = { variant: "quads", rows, columns: 2, invocations: 4 };
  return { algorithm: "direct", tile, images: batch, splits: 1, storage: "f32" };
}

/**
 * The same for filter gradients of wide 3x3 layers: 64 to 64 channels, 32x32: 2.8 against 2.57 GFLOP/s a core, 16 to 16: 2.84
 * against 2.33; but 32 to 32, 16x16: 2.18 against 2.21, and 64 to 64, 8x8: 1.55 against 2.73.
 */
function isDirectFilterBetter(traits: DeviceTraits, product: Product): boolean {
  if (!traits.isFallback || !traits.hasSubgroups || product.pass !== "filter-gradient") return false;
  const { size, stride, input, output, groups } = product.window;
  if (flopsOf(product) < FEWEST_DIRECT_FLOPS) return false;
  return isDirect(product) && size === 3 && stride === 1 && output.width >= 32 && input.channels / groups >= 16;
}

/** Every lane of a quad has 4 or 8 output channels. */
function directFilterOf({ window }: Product): Candidate {
  const { input, output, groups, batch, size } = window;
  const rows = Math.min(MOST_FILTER_ROWS[size]!, Math.ceil(input.channels / groups / 4) * 4);
  const columns = output.channels / groups > 16 ? 2 : 1;
  const splits = Math.min(4, batch * output.height);
  const tile: Tile = { variant: "quads", rows, columns, invocations: 4 };
  return { algorithm: "direct", tile, images: batch, splits, storage: "f32" };
}

const MAX_ROWS = 25;

/**
 * Below this a discrete GPU starves; tiles shrink until a launch has as many. An estimate (132 multiprocessors x 64 lanes
 * x 2): no hardware has been measured yet.
 */
const WANTED_INVOCATIONS = 16_384;

/** A product as a matrix product: `channels` rows, `columns` columns, sums of `depth` products. */
interface Gemm {
  readonly channels: number;
  readonly columns: number;
  readonly depth: number;
}

/** Products of fewer multiplications cost less than what a larger tile takes to compile. */
const SMALL_PRODUCTS = 5e6;
const ROWS_OF_SMALL = 12;
const MEDIUM_PRODUCTS = 1.5e7;

/**
 * The tile of a GEMM, `splits` of them at once.
 *
 * Software: a load costs as much as 22 multiply-adds, so the tile is as large as compile time allows: conv2 of LeNet ran
 * at 3.9 GFLOP/s with at most 20 rows, at 4.5 with 25. Rows divide the channels evenly (50 = 2 x 25, 20 = 1 x 20): a fixed
 * 16 computes 64 channels for 50 and ran at 2.9. Quads against plain, whole step of LeNet: 232 against 295 ms (before
 * quads swapped instead of broadcasting). Workgroups
 * of 4 (one quad) against 16: GEMM 512 in 70 against 77 ms. A kernel compiles in 0.52 s with 25 x 2, 0.28 s with 25 x 1,
 * 0.18 s with 12 x 1 (Dawn in Node, one at a time).
 */
function chooseTile(traits: DeviceTraits, { channels, columns, depth }: Gemm, splits = 1): Tile {
  if (traits.isFallback) {
    const variant = traits.hasSubgroups ? "quads" : "plain";
    const products = channels * columns * depth;
    const rows = evenRows(channels, products < SMALL_PRODUCTS ? ROWS_OF_SMALL : MAX_ROWS);
    return { variant, rows, columns: columns >= 32 && products >= MEDIUM_PRODUCTS ? 2 : 1, invocations: 4 };
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
export function evenRows(channels: number, max: number): number {
  return Math.ceil(channels / Math.ceil(channels / max));
}

/** Invocations without a split; the pixels are split until there are enough, or each split has too little to do. */
const SHORTEST_CHUNK = 64;

/** Into how many parts the pixels of a filter gradient, the depth of its GEMM, are split. */
function chooseSplits(traits: DeviceTraits, gemm: Gemm): number {
  const { rows, columns, invocations } = chooseTile(traits, gemm);
  const pixels = gemm.depth;
  const workgroups = Math.ceil(gemm.channels / rows) * Math.ceil(gemm.columns / (4 * columns * invocations));
  // Software: enough workgroups to keep every core busy to the end. Hardware: enough to fill it.
  const wanted = traits.isFallback ? 32 : WANTED_INVOCATIONS / invocations;
  const most = Math.max(1, Math.floor(pixels / SHORTEST_CHUNK));
  return wholeSplits(pixels, Math.min(Math.ceil(wanted / workgroups), most, 256));
}

/** The splits that are left when each has whole groups of 4 pixels. */
export function wholeSplits(pixels: number, splits: number): number {
  return Math.ceil(pixels / chunkOf(pixels, splits));
}

/** Larger than this, what is lowered costs more memory than it saves time. */
export const MOST_LOWERED_ELEMENTS = 16 * 2 ** 20;

/**
 * Whether a convolution's data gradient is a GEMM and a fold rather than convolved directly. The direct form multiplies
 * with the padding too: LeNet's conv2 (12x12 from 8x8 by 5x5) does 2.25 times the work that way and takes 1.7 times as
 * long as the GEMM, 1.4 times as long as GEMM and lift (side by side, batch 64). The direct kernel takes 139 ms of CPU
 * time there, GEMM and lift 114.
 */
function isLowered(window: WindowGeometry): boolean {
  const { input, output, stride, groups } = window;
  if (groups > 1) return false;
  const directWork = input.height * input.width;
  const loweredWork = output.height * output.width;
  const columns = outputPixels(window) * depthOf(window);
  return (stride > 1 || directWork > 1.3 * loweredWork) && columns <= MOST_LOWERED_ELEMENTS;
}
