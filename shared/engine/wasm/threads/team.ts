/**
 * The threads of one WASM program: the one that calls it and its helpers. A turn runs one list of kernel calls, a part for
 * each thread, and ends when every part has been done.
 */

import { invoke, type Instance, type Invocation } from "../kernels.ts";
import { Control } from "./control.ts";
import type { WasmModule } from "../webassembly.ts";
import type { HelperSetup } from "./helper.ts";

/** A helper that was started. */
export interface HelperThread {
  /** Rejects with a sentence where the thread could not start. */
  readonly ready: Promise<void>;
  /** At once, whatever it does. */
  terminate(): void;
}

/** Starts a thread that runs `help` (`helper.ts`) with this setup. */
export type StartHelper = (setup: HelperSetup) => HelperThread;

/** For each list, for each thread its calls; thread 0 is the program's own. */
type Lists = readonly (readonly (readonly Invocation[])[])[];

export class Team {
  readonly #control: Control;
  readonly #helpers: readonly HelperThread[];
  readonly #instance: Instance;
  readonly #own: readonly (readonly Invocation[])[];

  private constructor(control: Control, helpers: readonly HelperThread[], instance: Instance, lists: Lists) {
    this.#control = control;
    this.#helpers = helpers;
    this.#instance = instance;
    this.#own = lists.map((parts) => parts[0] ?? []);
  }

  /** `instance` is the program's own, over shared memory; every list has `threads` parts. */
  static async start(
    module: WasmModule,
    instance: Instance,
    lists: Lists,
    threads: number,
    startHelper: StartHelper,
  ): Promise<Team> {
    const control = new Control();
    const helpers = Array.from({ length: threads - 1 }, (_, index) =>
      startHelper({
        module,
        memory: instance.wasmMemory,
        control: control.buffer,
        lists: lists.map((parts) => parts[index + 1] ?? []),
      }),
    );
    try {
      await Promise.all(helpers.map(({ ready }) => ready));
    } catch (error) {
      for (const helper of helpers) helper.terminate();
      throw error;
    }
    return new Team(control, helpers, instance, lists);
  }

  /** Runs all parts of a list; returns when they are done. */
  run(list: number): void {
    this.#control.begin(list);
    invoke(this.#instance, this.#own[list]!);
    this.#control.finish(this.#helpers.length);
  }

  close(): void {
    this.#control.end();
    for (const helper of this.#helpers) helper.terminate();
  }
}
