/** From a plan's operations to kernel launches: each kind to its folder, `products.ts` for weights and `layers/` for the rest. */

import type { Operation } from "../operation.ts";
import { NO_SCRATCH, type ScratchElements } from "./algorithms/operands.ts";
import type { ChooseCandidate } from "./choice/candidate.ts";
import type { Dispatch } from "./dispatch.ts";
import { batchNorm, batchNormDataGradient, batchNormStatistics } from "./layers/batch_norm.ts";
import {
  activate,
  activateGradient,
  add,
  dropout,
  dropoutGradient,
  passGradient,
  placeChannels,
  takeChannels,
} from "./layers/elementwise.ts";
import { embedding, embeddingGradient } from "./layers/embedding.ts";
import { gather } from "./layers/gather.ts";
import { layerNorm, layerNormDataGradient } from "./layers/layer_norm.ts";
import { localResponseNorm, localResponseNormGradient, termsElements } from "./layers/local_response.ts";
import { loss } from "./layers/loss.ts";
import { globalAveragePool, globalAveragePoolGradient, pool, poolGradient } from "./layers/pooling.ts";
import { scaleGradient, sumsElements } from "./layers/row_sums.ts";
import type { Surroundings } from "./layers/surroundings.ts";
import { isWeighted, weightedDispatches, weightedScratch } from "./products.ts";

/** The scratch memory that `operation` needs. */
export function scratchOf(
  operation: Operation,
  traits: Surroundings["traits"],
  choose: ChooseCandidate,
): ScratchElements {
  if (isWeighted(operation)) return weightedScratch(operation, choose);
  const { kind } = operation;
  if (
    kind === "batch-norm-statistics" ||
    kind === "batch-norm-scale-gradient" ||
    kind === "layer-norm-scale-gradient"
  ) {
    return { ...NO_SCRATCH, lowered: sumsElements(operation, traits) };
  }
  if (kind === "local-response-norm-gradient") return { ...NO_SCRATCH, lowered: termsElements(operation) };
  return NO_SCRATCH;
}

export function dispatchesOf(operation: Operation, around: Surroundings, choose: ChooseCandidate): Dispatch[] {
  if (isWeighted(operation)) return weightedDispatches(operation, around.memory, choose);
  switch (operation.kind) {
    case "gather":
      return [gather(operation, around)];
    case "max-pool":
    case "average-pool":
      return [pool(operation, around)];
    case "max-pool-gradient":
    case "average-pool-gradient":
      return [poolGradient(operation, around)];
    case "global-average-pool":
      return [globalAveragePool(operation, around)];
    case "global-average-pool-gradient":
      return [globalAveragePoolGradient(operation, around)];
    case "batch-norm-statistics":
      return batchNormStatistics(operation, around);
    case "batch-norm":
      return [batchNorm(operation, around)];
    case "batch-norm-data-gradient":
      return [batchNormDataGradient(operation, around)];
    case "add":
      return [add(operation, around)];
    case "pass-gradient":
      return [passGradient(operation, around)];
    case "softmax-cross-entropy":
    case "mean-squared-error":
      return [loss(operation, around)];
    case "layer-norm":
      return [layerNorm(operation, around)];
    case "batch-norm-scale-gradient":
    case "layer-norm-scale-gradient":
      return scaleGradient(operation, around);
    case "layer-norm-data-gradient":
      return [layerNormDataGradient(operation, around)];
    case "local-response-norm":
      return [localResponseNorm(operation, around)];
    case "local-response-norm-gradient":
      return localResponseNormGradient(operation, around);
    case "activate":
      return [activate(operation, around)];
    case "activate-gradient":
      return [activateGradient(operation, around)];
    case "dropout":
      return [dropout(operation, around)];
    case "dropout-gradient":
      return [dropoutGradient(operation, around)];
    case "place-channels":
      return [placeChannels(operation, around)];
    case "take-channels":
      return [takeChannels(operation, around)];
    case "embedding":
      return [embedding(operation, around)];
    case "embedding-gradient":
      return [embeddingGradient(operation, around)];
    default:
      return operation satisfies never;
  }
}
