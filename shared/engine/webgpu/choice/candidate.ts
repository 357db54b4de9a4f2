/**
 * What can be chosen about a product (one pass of a layer with weights): the algorithm, its register tile, how much is
 * lowered at once, the split of a long sum, and how values are stored. `candidates.ts` lists the valid ones, `rule.ts`
 * takes one by rule, `cost_model.ts` orders them; a tuner measures them.
 */

import type { WindowGeometry } from "../../operation.ts";

export type Pass = "forward" | "data-gradient" | "filter-gradient";

/** One pass of a convolution, or of a dense layer seen as windows of one pixel. */
export interface Product {
  readonly pass: Pass;
  readonly window: WindowGeometry;
}

/** What the rules look at. */
export interface DeviceTraits {
  /** Runs in software: few wide threads, dear loads, very dear barriers. */
  readonly isFallback: boolean;
  /** The `subgroups` feature was enabled on the device. */
  readonly hasSubgroups: boolean;
  /** The `shader-f16` feature was enabled on the device. */
  readonly hasF16: boolean;
}

/**
 * - `implicit`: GEMM over windows that are never stored (of a filter gradient: over pixels).
 * - `tiled`: the same, with tiles in workgroup memory, for real GPUs.
 * - `direct`: strips of neighbouring pixels in registers, which all taps of a row share.
 * - `lowering-1`, `-2`, `-3`: Caffe con Troll's types for the convolution that the pass is. Type 1 stores whole windows
 *   and lifts nothing, type 2 stores their rows and sums over rows, type 3 stores nothing and sums over all taps.
 * - `winograd`: F(2x2, 3x3), 16 products for 36.
 * - `depthwise`: one channel a group, no GEMM.
 */
export type Algorithm =
  | "implicit"
  | "tiled"
  | "direct"
  | "lowering-1"
  | "lowering-2"
  | "lowering-3"
  | "winograd"
  | "depthwise";

/** A GEMM-shaped kernel's register tile and launch. */
export interface Tile {
  /** `quads` kernels share loads between four lanes; `plain` ones run on any device. */
  readonly variant: "plain" | "quads";
  /** Output channels that an invocation keeps in registers. */
  readonly rows: number;
  /** Columns of 4 that an invocation keeps in registers. */
  readonly columns: number;
  readonly invocations: number;
}

export interface Candidate {
  readonly algorithm: Algorithm;
  readonly tile: Tile;
  /** Images lowered at once; the whole batch where nothing is lowered. */
  readonly images: number;
  /** Parts into which the pixels of a filter gradient are split; 1 elsewhere. */
  readonly splits: number;
  /** How the kernel's operands are stored; sums are f32 always. */
  readonly storage: "f32" | "f16";
}

export type ChooseCandidate = (product: Product) => Candidate;

/** Equal for products that are the same work: what a tuner's winners are kept under. */
export function productKey({ pass, window }: Product): string {
  const { batch, input, output, size, stride, padding, dilation, groups } = window;
  const image = ({ height, width, channels }: typeof input): string => `${height}x${width}x${channels}`;
  return `${pass} ${batch}x${image(input)} to ${image(output)} k${size} s${stride} p${padding} d${dilation} g${groups}`;
}

/** Short and stable: `implicit quads 25x2 i4`, with images, splits and storage where they are not the usual ones. */
export function candidateName({ algorithm, tile, images, splits, storage }: Candidate): string {
  const { variant, rows, columns, invocations } = tile;
  const words = [algorithm, variant, `${rows}x${columns}`, `i${invocations}`];
  if (algorithm.startsWith("lowering") || algorithm === "winograd") words.push(`n${images}`);
  if (splits > 1) words.push(`s${splits}`);
  if (storage !== "f32") words.push(storage);
  return words.join(" ");
}
