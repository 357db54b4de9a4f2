/**
 * What this replica and the coordinator have agreed on so far: the base that both hold, the number of the next exchange,
 * and the one in flight with its exact bytes, so that a retry is the same push again (SPEC X1, X12, H5, H6). Sends nothing
 * itself, and trains nothing.
 */

import type { PushContent } from "../../shared/solver/replica_rule.ts";
import type { Header } from "../../shared/wire/messages.ts";

/** Local work that no settled exchange has told of yet. */
export interface Work {
  readonly steps: number;
  readonly samples: number;
  readonly lossSum: number;
}

const NO_WORK: Work = { steps: 0, samples: 0, lossSum: 0 };

function workSum(a: Work, b: Work): Work {
  return { steps: a.steps + b.steps, samples: a.samples + b.samples, lossSum: a.lossSum + b.lossSum };
}

export interface InFlight {
  readonly header: Header<"push">;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly work: Work;
}

export interface Base {
  readonly version: number;
  readonly incarnation: number;
}

export class Exchange {
  /** The highest number that was given out. */
  #last = 0;
  #base: Base | undefined;
  #inFlight: InFlight | undefined;
  /** Of exchanges that were dropped: the next push carries their work too. */
  #carried: Work = NO_WORK;
  #memory: Float32Array<ArrayBuffer>;

  constructor(elements: number) {
    this.#memory = new Float32Array(elements);
  }

  get inFlight(): InFlight | undefined {
    return this.#inFlight;
  }

  get base(): Base | undefined {
    return this.#base;
  }

  /** A welcome that did not resume (H5, H6): numbers go on where the coordinator stands, what was in flight is dropped. */
  rejoin(base: Base, lastExchange: number): void {
    this.drop();
    this.#base = base;
    this.#last = lastExchange;
  }

  /** Both sides hold another base from now on. */
  rebase(base: Base): void {
    this.#base = base;
  }

  /**
   * The next push of `scale * values`, copied into memory that nobody else changes; undefined where a value is not
   * finite, which nobody should be sent. `isBuffered` says that a link still holds the memory of the exchange before.
   */
  begin(
    content: PushContent,
    values: Float32Array,
    scale: number,
    work: Work,
    isBuffered: boolean,
  ): InFlight | undefined {
    if (this.#inFlight || !this.#base)
      throw new Error("invariant violation: an exchange began before the last one was settled");
    const told = workSum(this.#carried, work);
    if (!Number.isFinite(told.lossSum)) return undefined;
    if (isBuffered) this.#memory = new Float32Array(this.#memory.length);
    if (!copyScaled(values, scale, this.#memory)) return undefined;
    this.#last++;
    this.#carried = NO_WORK;
    const header = {
      exchange: this.#last,
      incarnation: this.#base.incarnation,
      baseVersion: this.#base.version,
      content,
      steps: told.steps,
      samples: told.samples,
      meanLoss: told.steps === 0 ? 0 : told.lossSum / told.steps,
    };
    this.#inFlight = { header, payload: new Uint8Array(this.#memory.buffer), work: told };
    return this.#inFlight;
  }

  /** The exchange in flight, if `exchange` is its number: an older answer that comes again means nothing any more. */
  settle(exchange: number): InFlight | undefined {
    const inFlight = this.#inFlight;
    if (inFlight?.header.exchange !== exchange) return undefined;
    this.#inFlight = undefined;
    return inFlight;
  }

  /** Forgets what is in flight, and has the next push tell of its work. */
  drop(): void {
    if (this.#inFlight) this.carry(this.#inFlight.work);
    this.#inFlight = undefined;
  }

  carry(work: Work): void {
    this.#carried = workSum(this.#carried, work);
  }
}

/** target = scale * values; false where a value is not finite. */
function copyScaled(values: Float32Array, scale: number, target: Float32Array): boolean {
  // x - x is 0 for every finite x and NaN for the others: one sum instead of a test per element.
  let zero = 0;
  for (let index = 0; index < values.length; index++) {
    const value = scale * values[index]!;
    target[index] = value;
    zero += value - value;
  }
  return zero === 0;
}
