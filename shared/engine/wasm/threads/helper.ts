/**
 * What a helper thread of a WASM program does: its part of every turn, with an instance of its own over the program's shared
 * memory. A Web Worker or a worker thread runs it; it blocks there and answers no messages.
 */

import { invoke, kernelsOver, type Invocation } from "../kernels.ts";
import type { WasmMemory, WasmModule } from "../webassembly.ts";
import { Control } from "./control.ts";

/** Travels to the helper by structured clone; nothing in it is copied but the calls. */
export interface HelperSetup {
  readonly module: WasmModule;
  /** Shared. */
  readonly memory: WasmMemory;
  readonly control: SharedArrayBuffer;
  /** For each turn's list what this helper calls. */
  readonly lists: readonly (readonly Invocation[])[];
}

/** Returns when the program has ended. `onReady` is called once, before the first turn is awaited. */
export async function help(setup: HelperSetup, onReady: () => void): Promise<void> {
  const { module, memory, control: shared, lists } = setup;
  const kernels = await kernelsOver(module, memory);
  const control = new Control(shared);
  onReady();
  for (let next = control.next(0); next; next = control.next(next.turn)) {
    const calls = lists[next.list];
    try {
      if (!calls) throw new Error(`invariant violation: there is no list ${next.list}`);
      invoke({ kernels }, calls);
    } catch (error) {
      control.fail();
      throw error;
    }
    control.done();
  }
}
