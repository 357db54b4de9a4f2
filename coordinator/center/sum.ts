/**
 * The weighted sum of what the members of one compute group, or of one round of a barrier, have pushed: an area of its own. All
 * its jobs go to one applier thread, so that it does not depend on luck in which order its members are added.
 */

import type { CenterMemory } from "./center_memory.ts";

export interface CenterSum {
  /** Gives the area back, when what is in flight for it has ended. */
  close(): void;
}

export class AreaSum implements CenterSum {
  readonly area: number;
  /** Index of the thread that all its jobs go to. */
  readonly thread: number;
  readonly #memory: CenterMemory;
  #inFlight = 0;
  #isClosed = false;

  /** `area`: all zeros. */
  constructor(memory: CenterMemory, area: number, thread: number) {
    this.#memory = memory;
    this.area = area;
    this.thread = thread;
  }

  /** Claims the sum for one contribution or apply; there may be several. */
  begin(): void {
    if (this.#isClosed) throw new Error("invariant violation: a closed sum was used");
    this.#inFlight++;
  }

  end(): void {
    this.#inFlight--;
    this.#returnWhenDone();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#returnWhenDone();
  }

  #returnWhenDone(): void {
    if (this.#isClosed && this.#inFlight === 0) this.#memory.returnArea(this.area);
  }
}
