/** Every candidate that a product has on a device, the rule's own choice first. */

import { isDirect, MOST_FILTER_ROWS } from "../algorithms/direct.ts";
import { isDepthwise } from "../algorithms/depthwise.ts";
import { loweredElements, axesOf, loweredSizes } from "../algorithms/lowered.ts";
import { viewOf } from "../algorithms/operands.ts";
import { isAligned, isWinograd, winogradElements } from "../algorithms/winograd.ts";
import type { WindowGeometry } from "../../operation.ts";
import {
  candidateName,
  type Algorithm,
  type Candidate,
  type DeviceTraits,
  type Product,
  type Tile,
} from "./candidate.ts";
import { chooseByRule, evenRows, MOST_DIRECT_ROWS, MOST_LOWERED_ELEMENTS, wholeSplits } from "./rule.ts";
import { outputPixels } from "./shape.ts";

export function candidatesOf(traits: DeviceTraits, product: Product): readonly Candidate[] {
  const all = [
    chooseByRule(traits, product),
    ...depthwiseOf(product),
    ...directOf(traits, product),
    ...tiledOf(traits, product),
    ...implicitOf(traits, product),
    ...loweredOf(traits, product),
    ...winogradOf(traits, product),
  ];
  return [...new Map(all.map((candidate) => [candidateName(candidate), candidate])).values()];
}

/** Tiles worth trying: largest first, each covering `channels` evenly. */
function tilesOf(traits: DeviceTraits, channels: number): Tile[] {
  const variants = traits.isFallback && traits.hasSubgroups ? (["quads"] as const) : (["plain"] as const);
  const sizes = traits.isFallback ? [25, 16] : [16, 8, 4];
  const invocations = traits.isFallback ? 4 : 64;
  return variants.flatMap((variant) =>
    sizes.flatMap((most) =>
      [2, 1].map((columns) => ({ variant, rows: evenRows(channels, most), columns, invocations })),
    ),
  );
}

/** Rows of the GEMM that a pass is. */
function rowsOf({ pass, window }: Product): number {
  return (pass === "data-gradient" ? window.input.channels : window.output.channels) / window.groups;
}

function implicitOf(traits: DeviceTraits, product: Product): Candidate[] {
  const { pass, window } = product;
  const splits = splitsOf(pass === "filter-gradient" ? outputPixels(window) : 0);
  return tilesOf(traits, rowsOf(product)).flatMap((tile) =>
    splits.map((count) => whole("implicit", window, tile, count)),
  );
}

/** No GEMM: what a tile says is not used. */
function depthwiseOf(product: Product): Candidate[] {
  if (!isDepthwise(product)) return [];
  const { pass, window } = product;
  const splits = pass === "filter-gradient" ? rowSplitsOf(window.batch * window.output.height) : [1];
  const tile: Tile = { variant: "plain", rows: 4, columns: 1, invocations: 64 };
  return splits.map((count) => whole("depthwise", window, tile, count));
}

/** Barriers are for real GPUs. */
function tiledOf(traits: DeviceTraits, product: Product): Candidate[] {
  if (traits.isFallback) return [];
  const { pass, window } = product;
  const splits = pass === "filter-gradient" ? splitsOf(outputPixels(window)) : [1];
  const tiles = [8, 4].flatMap((rows) => [2, 1].map((columns) => ({ rows, columns })));
  return (traits.hasF16 ? (["f32", "f16"] as const) : (["f32"] as const)).flatMap((storage) =>
    tiles.flatMap((size) =>
      splits.map((count) => ({
        algorithm: "tiled" as const,
        tile: { variant: "plain" as const, ...size, invocations: 256 },
        images: window.batch,
        splits: count,
        storage,
      })),
    ),
  );
}

function directOf(traits: DeviceTraits, product: Product): Candidate[] {
  if (!isDirect(product)) return [];
  const variant: Tile["variant"] = traits.isFallback && traits.hasSubgroups ? "quads" : "plain";
  const { pass, window } = product;
  if (pass === "filter-gradient") return directFiltersOf(variant, window);
  const sizes = traits.isFallback ? [MOST_DIRECT_ROWS, 16] : [16, 8];
  const invocations = traits.isFallback ? 4 : 64;
  const channels = rowsOf(product);
  return sizes.map((most) =>
    whole("direct", window, { variant, rows: evenRows(channels, most), columns: 2, invocations }, 1),
  );
}

function directFiltersOf(variant: Tile["variant"], window: WindowGeometry): Candidate[] {
  const { batch, input, output, size, groups } = window;
  const most = Math.min(MOST_FILTER_ROWS[size]!, Math.ceil(input.channels / groups / 4) * 4);
  // Lanes have different output channels; a workgroup of the kernel that swaps is one quad.
  const invocations = variant === "quads" ? 4 : 16;
  const tiles = [most, Math.max(4, Math.ceil(most / 8) * 4)].flatMap((rows) =>
    [2, 1].map((columns): Tile => ({ variant, rows, columns, invocations })),
  );
  const splits = rowSplitsOf(batch * output.height);
  return tiles.flatMap((tile) => splits.map((count) => whole("direct", window, tile, count)));
}

/** A candidate that lowers nothing. */
function whole(algorithm: Algorithm, { batch }: WindowGeometry, tile: Tile, splits: number): Candidate {
  return { algorithm, tile, images: batch, splits, storage: "f32" };
}

/** Splits of the rows of all images, each of which has some. */
function rowSplitsOf(rows: number): number[] {
  const splits = [1, 4, 8, 16, 32, 64].filter((count) => count <= rows);
  return [...new Set(splits.map((count) => Math.ceil(rows / Math.ceil(rows / count))))];
}

function splitsOf(pixels: number): number[] {
  const splits = [1, 2, 4, 8, 16, 32, 64].filter((count) => count === 1 || pixels / count >= 32);
  return [...new Set(splits.map((count) => (count === 1 ? 1 : wholeSplits(pixels, count))))];
}

const LOWERINGS: readonly Algorithm[] = ["lowering-1", "lowering-2", "lowering-3"];

/** Grouped windows are lowered implicitly only, and in single pixels side by side there is nothing to lower. */
function loweredOf(traits: DeviceTraits, product: Product): Candidate[] {
  const { window } = product;
  if (window.groups > 1 || (window.size === 1 && window.stride === 1)) return [];
  return LOWERINGS.flatMap((algorithm) =>
    imagesOf(window).flatMap((images) => loweredBy(traits, product, algorithm, images)),
  );
}

function loweredBy(traits: DeviceTraits, product: Product, algorithm: Algorithm, images: number): Candidate[] {
  const isFilterGradient = product.pass === "filter-gradient";
  const view = viewOf(isFilterGradient ? { pass: "forward", window: product.window } : product);
  const axes = axesOf(algorithm);
  if (images * loweredElements(view, axes) > MOST_LOWERED_ELEMENTS) return [];
  const sizes = loweredSizes(view, axes);
  const [tile] = tilesOf(traits, sizes.units);
  const pixels = images * sizes.height * sizes.width;
  const splits = isFilterGradient ? splitsOf(pixels).slice(0, 4) : [1];
  return splits.map((count) => ({ algorithm, tile: tile!, images, splits: count, storage: "f32" }));
}

function winogradOf(traits: DeviceTraits, product: Product): Candidate[] {
  if (!isWinograd(product)) return [];
  const view = viewOf(product);
  const [tile] = tilesOf(traits, rowsOf(product));
  return imagesOf(product.window)
    .filter((images) => isAligned(view, images) && images * winogradElements(view) <= MOST_LOWERED_ELEMENTS)
    .map((images) => ({ algorithm: "winograd", tile: tile!, images, splits: 1, storage: "f32" }));
}

/** How many images may be lowered at once: parts of tensors must begin where bindings may begin, at 64 words. */
function imagesOf({ batch, input, output }: WindowGeometry): number[] {
  const step = Math.max(
    ...[input, output].map(({ height, width, channels }) => alignedImages(height * width * channels)),
  );
  const images = [batch, batch / 4, batch / 16, 1].map((count) => Math.min(batch, Math.ceil(count / step) * step));
  return [...new Set(images)];
}

/** Images whose elements together are a multiple of 64. */
function alignedImages(elements: number): number {
  let images = 1;
  while ((images * elements) % 64 > 0) images *= 2;
  return images;
}
