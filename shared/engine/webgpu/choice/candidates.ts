/** Every candidate that a product has on a device, the rule's own choice first. */

import {
  candidateName,
  type Algorithm,
  type Candidate,
  type DeviceTraits,
  type Product,
  type Tile,
} from "./candidate.ts";
import { chooseByRule, evenRows, MOST_LOWERED_ELEMENTS, wholeSplits } from "./rule.ts";
import { depthOf, inputPixels, outputPixels } from "./shape.ts";

export function candidatesOf(traits: DeviceTraits, product: Product): readonly Candidate[] {
  const all = [chooseByRule(traits, product), ...implicitOf(traits, product), ...loweredOf(traits, product)];
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
  return pass === "data-gradient" ? window.input.channels : window.output.channels;
}

function implicitOf(traits: DeviceTraits, product: Product): Candidate[] {
  const tiles = tilesOf(traits, rowsOf(product));
  return tiles.flatMap((tile) =>
    splitsOf(product).map((splits) => ({
      algorithm: "implicit" as const,
      tile,
      images: product.window.batch,
      splits,
      storage: "f32" as const,
    })),
  );
}

function splitsOf({ pass, window }: Product): number[] {
  if (pass !== "filter-gradient") return [1];
  const pixels = outputPixels(window);
  const splits = [1, 2, 4, 8, 16, 32, 64].filter((count) => count === 1 || pixels / count >= 32);
  return [...new Set(splits.map((count) => wholeSplits(pixels, count)))];
}

/** Nothing is to be lowered in a window of one pixel. */
function loweredOf(traits: DeviceTraits, product: Product): Candidate[] {
  const { pass, window } = product;
  if (window.size === 1 || pass !== "data-gradient") return [];
  const algorithm: Algorithm = "lowering-3";
  const rows = depthOf(window);
  return imagesOf(window.batch)
    .filter((images) => (outputPixels(window) / window.batch) * images * rows <= MOST_LOWERED_ELEMENTS)
    .flatMap((images) =>
      tilesOf(traits, rows).map((tile) => ({ algorithm, tile, images, splits: 1, storage: "f32" as const })),
    );
}

/** The whole batch, and parts of it down to one image. */
function imagesOf(batch: number): number[] {
  const images = [batch, Math.ceil(batch / 4), Math.ceil(batch / 16), 1];
  return [...new Set(images)];
}

/** Columns of the GEMM that a pass is. */
export function columnsOf({ pass, window }: Product): number {
  if (pass === "filter-gradient") return depthOf(window) + 1;
  return pass === "forward" ? outputPixels(window) : inputPixels(window);
}
