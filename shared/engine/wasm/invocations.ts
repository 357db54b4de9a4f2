/**
 * Turns an operation of the plan into kernel calls with all their numbers: addresses, shapes, strides. Done once per
 * operation when a plan is compiled; a step only repeats the calls.
 */

import type { Operation } from "../operation.ts";
import { convolve, convolveDataGradient, convolveFilterGradient } from "./convolution_invocations.ts";
import { dense, denseDataGradient, denseFilterGradient } from "./dense_invocations.ts";
import {
  activate,
  activateGradient,
  add,
  dropout,
  dropoutGradient,
  embedding,
  embeddingGradient,
  gather,
  loss,
  passGradient,
  placeChannels,
  takeChannels,
} from "./element_invocations.ts";
import type { Invocation } from "./kernels.ts";
import {
  layerNorm,
  layerNormDataGradient,
  layerNormScaleGradient,
  localResponse,
  localResponseGradient,
} from "./layer_norm_invocations.ts";
import type { MemoryView } from "./memory_view.ts";
import {
  batchNorm,
  batchNormDataGradient,
  batchNormScaleGradient,
  batchNormStatistics,
} from "./batch_norm_invocations.ts";
import {
  averagePool,
  averagePoolGradient,
  globalAveragePool,
  globalAveragePoolGradient,
  maxPool,
  maxPoolGradient,
} from "./pool_invocations.ts";

export function invocationsOf(operation: Operation, map: MemoryView): readonly Invocation[] {
  switch (operation.kind) {
    case "gather":
      return gather(operation, map);
    case "convolve":
      return convolve(operation, map);
    case "convolve-data-gradient":
      return convolveDataGradient(operation, map);
    case "convolve-filter-gradient":
      return convolveFilterGradient(operation, map);
    case "dense":
      return dense(operation, map);
    case "dense-data-gradient":
      return denseDataGradient(operation, map);
    case "dense-filter-gradient":
      return denseFilterGradient(operation, map);
    case "max-pool":
      return maxPool(operation, map);
    case "max-pool-gradient":
      return maxPoolGradient(operation, map);
    case "average-pool":
      return averagePool(operation, map);
    case "average-pool-gradient":
      return averagePoolGradient(operation, map);
    case "global-average-pool":
      return globalAveragePool(operation, map);
    case "global-average-pool-gradient":
      return globalAveragePoolGradient(operation, map);
    case "batch-norm-statistics":
      return batchNormStatistics(operation, map);
    case "batch-norm":
      return batchNorm(operation, map);
    case "batch-norm-scale-gradient":
      return batchNormScaleGradient(operation, map);
    case "batch-norm-data-gradient":
      return batchNormDataGradient(operation, map);
    case "layer-norm":
      return layerNorm(operation, map);
    case "layer-norm-scale-gradient":
      return layerNormScaleGradient(operation, map);
    case "layer-norm-data-gradient":
      return layerNormDataGradient(operation, map);
    case "local-response-norm":
      return localResponse(operation, map);
    case "local-response-norm-gradient":
      return localResponseGradient(operation, map);
    case "activate":
      return activate(operation, map);
    case "activate-gradient":
      return activateGradient(operation, map);
    case "dropout":
      return dropout(operation, map);
    case "dropout-gradient":
      return dropoutGradient(operation, map);
    case "add":
      return add(operation, map);
    case "pass-gradient":
      return passGradient(operation, map);
    case "place-channels":
      return placeChannels(operation, map);
    case "take-channels":
      return takeChannels(operation, map);
    case "embedding":
      return embedding(operation, map);
    case "embedding-gradient":
      return embeddingGradient(operation, map);
    case "softmax-cross-entropy":
    case "mean-squared-error":
      return loss(operation, map);
    default:
      return operation satisfies never;
  }
}
