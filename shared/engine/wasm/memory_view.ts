/**
 * What kernel calls are made from: the addresses of one program, as one thread sees them. The whole program's own
 * (`memory_map.ts`) covers every image; a thread's (`threads/thread_view.ts`) its own images.
 */

import type { TensorId } from "../operation.ts";
import type { Plan } from "../plan.ts";
import type { Scratch } from "./scratch.ts";

/** Images that calls are for. */
export interface Part {
  readonly first: number;
  readonly count: number;
}

export interface MemoryView {
  readonly plan: Plan;
  readonly part: Part;
  readonly parameters: number;
  /** Gradients of weights, of the part's images. */
  readonly gradient: number;
  /** Gradients that were summed over the whole batch already: those of a batch norm's scale and shift. */
  readonly batchGradient: number;
  /** Bytes, NHWC. */
  readonly images: number;
  /** One byte per example. */
  readonly labels: number;
  /** Example numbers of the part's images, u32. */
  readonly examples: number;
  /** Which gathering this is (dice.ts), u32. */
  readonly draw: number;
  /** How many examples the step has, in all its parts, u32: the gradient is their mean. */
  readonly stepExamples: number;
  /** By name of the need; shared by all operations of a thread. */
  readonly scratch: Readonly<Record<Exclude<keyof Scratch, "zeroBytes">, number>>;
  /** Stand in for a bias that is not there. */
  readonly zeros: number;
  /** Where the part's images of a tensor begin. */
  tensor(id: TensorId): number;
  /** Reserves room for `words` and returns their address. */
  addTable(words: Uint32Array): number;
}
