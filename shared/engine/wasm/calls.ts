/** The small words that every operation's kernel calls are made of. */

import type { Operation, TensorId, Weighted } from "../operation.ts";
import type { Invocation, KernelName } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";

const WORD_BYTES = 4;

export type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { readonly kind: Kind }>;

export function call(kernel: KernelName, ...numbers: number[]): Invocation {
  return { kernel, numbers };
}

/** Addresses of a layer's weights and bias in the vector of parameters, or of gradients, at `vector`. */
export function addressesOf({ weights, bias }: Weighted, vector: number): { weights: number; bias: number } {
  return { weights: vector + weights.offset * WORD_BYTES, bias: vector + bias.offset * WORD_BYTES };
}

/** Undoes a relu fused into the layer that made `reluOutput`. */
export function mask(
  gradient: number,
  reluOutput: TensorId | undefined,
  elements: number,
  map: MemoryMap,
): Invocation[] {
  return reluOutput === undefined ? [] : [call("maskByRelu", gradient, map.tensor(reluOutput), elements)];
}
