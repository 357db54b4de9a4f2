/** What trying a model downloads: the newest center in a codec that is small and does not change its answers. */

import { layoutOf } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { encodedBytes } from "../../shared/wire/codec/codec.ts";

/** The worker's code and its kernels, compressed where they are text (test/null/page_weight.test.ts). */
export const ENGINE_BYTES = 75_000;

/** A block of int8 has one scale: beside a large variance, small ones of batch norms would become zero. */
export function trialCodec(model: ModelDescription): "int8" | "f16" {
  return model.layers.some(({ kind }) => kind === "batch-norm") ? "f16" : "int8";
}

export function trialBytes(model: ModelDescription): number {
  return ENGINE_BYTES + encodedBytes(trialCodec(model), layoutOf(model).elements);
}
