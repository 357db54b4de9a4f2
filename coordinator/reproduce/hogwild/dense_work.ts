/** What a thread of the dense race is told (`dense_thread.ts` does it), and what it says. */

import type { ModelDescription } from "../../../shared/model/model.ts";
import type { Normalisation } from "../../../shared/engine/plan.ts";
import type { Applier } from "../../center/applier.ts";
import type { CenterLayout } from "../../center/center_memory.ts";
import type { WasmMemory, WasmModule } from "../../center/wasm_api.ts";

export interface SharedExamples {
  /** [count, height, width, channels] */
  readonly images: Uint8Array<SharedArrayBuffer>;
  readonly labels: Uint8Array<SharedArrayBuffer>;
  readonly count: number;
  readonly normalisation: Normalisation;
}

export interface DenseInput {
  /** Of the center (center/kernels.ts). */
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly layout: CenterLayout;
  readonly applier: Applier;
  /** This thread's vector: a gradient on its way to the center, the center on its way back. Byte offset. */
  readonly area: number;
  readonly model: ModelDescription;
  readonly examples: SharedExamples;
  readonly batch: number;
  readonly learningRate: number;
  /** By this thread. */
  readonly updates: number;
  readonly seed: number;
}

export interface DenseOutput {
  /** Time in the center, waiting for the lock included. */
  readonly applySeconds: number;
  /** Sum over this thread's updates. */
  readonly staleness: number;
}

/** What a thread that only counts is told (`counting_thread.ts`). */
export type CountingInput = Pick<DenseInput, "module" | "memory" | "layout" | "applier" | "area"> & {
  /** Additions of one to every element. */
  readonly passes: number;
};
