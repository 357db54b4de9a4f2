/** Sizes that follow from a window: what the choice of a kernel and its launch both ask for. */

import type { WindowGeometry } from "../../operation.ts";
import type { Product } from "./candidate.ts";

export function outputPixels({ batch, output }: WindowGeometry): number {
  return batch * output.height * output.width;
}

export function inputPixels({ batch, input }: WindowGeometry): number {
  return batch * input.height * input.width;
}

/** Products that an output sums: k of the GEMM. */
export function depthOf({ size, input, groups }: WindowGeometry): number {
  return size * size * (input.channels / groups);
}

/** Multiplications and additions of the pass, the padding's included. */
export function flopsOf({ window }: Product): number {
  return 2 * outputPixels(window) * depthOf(window) * window.output.channels;
}

/** Pixels that one split of a filter gradient sums, a multiple of 4. */
export function chunkOf(pixels: number, splits: number): number {
  return Math.ceil(pixels / splits / 4) * 4;
}

/** The same window over some of the batch's images. */
export function withBatch(window: WindowGeometry, batch: number): WindowGeometry {
  return { ...window, batch };
}
