/**
 * A replica's place at the center: the base of its next push. Either an area of its own, with the center that it was last
 * answered with, which is also the answer that a retry gets again; or a published version, which many hold (`versions.ts`).
 */

import type { CenterMemory } from "./center_memory.ts";

export interface CenterSlot {
  /**
   * The slot's f32 values in shared memory, valid until the next push or refresh of this slot; a published version's as long as it
   * is kept.
   */
  bytes(): Uint8Array;
  close(): void;
}

/** A slot as the center uses it for one operation. */
export interface Place {
  readonly area: number;
  /** Claims the slot; undefined where its version is kept no longer. */
  begin(): ClaimedPlace | undefined;
}

export interface ClaimedPlace {
  /** Whether answers are written here. */
  readonly isOwn: boolean;
  /** Ends what `begin` began; `answer` is the area that takes the place of one's own. */
  end(answer?: number): void;
}

export class AreaSlot implements CenterSlot, Place, ClaimedPlace {
  readonly isOwn = true;
  readonly #memory: CenterMemory;
  #area: number;
  #state: "open" | "busy" | "closing" | "closed" = "open";

  constructor(memory: CenterMemory, area: number) {
    this.#memory = memory;
    this.#area = area;
  }

  get area(): number {
    return this.#area;
  }

  bytes(): Uint8Array {
    if (this.#state === "closed") throw new Error("invariant violation: a closed slot was read");
    return this.#memory.bytes(this.#area);
  }

  begin(): this {
    if (this.#state !== "open") {
      throw new Error(
        this.#state === "busy"
          ? "invariant violation: a slot had two operations in flight"
          : "invariant violation: a closed slot was used",
      );
    }
    this.#state = "busy";
    return this;
  }

  end(answer: number = this.#area): void {
    if (answer !== this.#area) {
      this.#memory.returnArea(this.#area);
      this.#area = answer;
    }
    const leaving = this.#state === "closing";
    this.#state = "open";
    if (leaving) this.close();
  }

  /** Gives the area back; a replica that leaves in the middle of a push gives it back when the push has ended. */
  close(): void {
    if (this.#state === "busy") {
      this.#state = "closing";
    } else if (this.#state === "open") {
      this.#state = "closed";
      this.#memory.returnArea(this.#area);
    }
  }
}
