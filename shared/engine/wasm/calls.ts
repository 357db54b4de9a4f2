/** The small words that every operation's kernel calls are made of. */

import type { Undo, Weighted } from "../operation.ts";
import type { Invocation, KernelName } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";

const WORD_BYTES = 4;

export function call(kernel: KernelName, ...numbers: number[]): Invocation {
  return { kernel, numbers };
}

/** Addresses of a layer's weights and bias (0: none) in the vector of parameters, or of gradients, at `vector`. */
export function addressesOf({ weights, bias }: Weighted, vector: number): { weights: number; bias: number } {
  return { weights: vector + weights.offset * WORD_BYTES, bias: bias ? vector + bias.offset * WORD_BYTES : 0 };
}

/** Undoes the activation fused into the layer whose gradient this is. */
export function mask(gradient: number, undo: Undo | undefined, elements: number, map: MemoryMap): Invocation[] {
  if (undo === undefined) return [];
  if (undo.activation.kind !== "relu") throw new Error(`No WASM kernel undoes ${undo.activation.kind}.`);
  return [call("maskByRelu", gradient, map.tensor(undo.output), elements)];
}
