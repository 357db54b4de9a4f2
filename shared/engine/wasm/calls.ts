/** The small words that every operation's kernel calls are made of. */

import { activationCode, type Activation } from "../activation.ts";
import type { ParameterTensor } from "../../model/layout.ts";
import type { Undo, Weighted } from "../operation.ts";
import type { Invocation, KernelName } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";

export const WORD_BYTES = 4;
/** What a chunk of a tensor may hold if a second pass over it is to find it in the cache. */
const CHUNK_BYTES = 128 * 1024;
/** As in `assembly/row_tiles.ts`: instead of a bias, what is there is added to. */
export const ADD = 0;

export function call(kernel: KernelName, ...numbers: number[]): Invocation {
  return { kernel, numbers };
}

/** Address of a tensor in the vector at `vector`. */
export function within({ offset }: ParameterTensor, vector: number): number {
  return vector + offset * WORD_BYTES;
}

/** Addresses of a layer's weights and bias (0: none) in the vector of parameters, or of gradients, at `vector`. */
export function addressesOf({ weights, bias }: Weighted, vector: number): { weights: number; bias: number } {
  return { weights: within(weights, vector), bias: bias ? within(bias, vector) : 0 };
}

/** Products and normalisations apply a relu themselves. */
export function fusedRelu(activation: Activation | undefined): number {
  return Number(activation?.kind === "relu");
}

/** Applies an activation that `fusedRelu` leaves to a pass of its own, in place. */
export function activated(output: number, elements: number, activation: Activation | undefined): Invocation[] {
  if (!activation || activation.kind === "relu") return [];
  return [call("activate", output, output, elements, activationCode(activation), activation.slope)];
}

/** Undoes the activation of the layer whose gradient this is, for `elements` elements from the `first` one on. */
export function undone(
  gradient: number,
  undo: Undo | undefined,
  elements: number,
  map: MemoryView,
  first = 0,
): Invocation[] {
  if (!undo) return [];
  const { activation, output } = undo;
  const at = first * WORD_BYTES;
  return [
    call(
      "undoActivation",
      gradient + at,
      map.tensor(output) + at,
      elements,
      activationCode(activation),
      activation.slope,
    ),
  ];
}

export interface Chunk {
  readonly first: number;
  readonly count: number;
}

/** Divides `count` things of `bytes` each into chunks that stay in the cache; one chunk where nothing passes them twice. */
export function chunksOf(count: number, bytes: number, passesTwice = true): readonly Chunk[] {
  const most = passesTwice ? Math.max(1, Math.floor(CHUNK_BYTES / bytes)) : count;
  return Array.from({ length: Math.ceil(count / most) }, (_, index) => ({
    first: index * most,
    count: Math.min(most, count - index * most),
  }));
}
