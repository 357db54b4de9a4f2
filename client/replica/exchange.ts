/**
 * What this replica and the coordinator have agreed on so far: the base that both hold of every fragment, the number of the
 * next exchange and what it carries, and the one in flight with its exact bytes, so that a retry is the same push again
 * (SPEC X1, X12, X17, H5, H6). Sends nothing itself, and trains nothing.
 */

import type { LeaseClaim } from "../../shared/lease.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import { fragmentOf, type CodecName, type Fragment } from "../../shared/wire/codec/codec.ts";
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

/** What is to be pushed. */
export interface Cargo {
  readonly content: PushContent;
  readonly codec: CodecName;
  /** Encoded, of the fragment whose turn it is. Copied. */
  readonly payload: Uint8Array;
  /** That the payload, f32 then, is multiplied by; 1 where left out. */
  readonly scale?: number | undefined;
  readonly work: Work;
  /** How far leases were used since the last settled exchange (SPEC K4). */
  readonly leased?: readonly LeaseClaim[];
}

export interface InFlight {
  readonly header: Header<"push">;
  readonly codec: CodecName;
  /** As it was encoded: a retry is these bytes, because what was encoded counts as sent (SPEC C3). */
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly fragment: Fragment;
  readonly work: Work;
}

export interface Base {
  readonly version: number;
  readonly incarnation: number;
}

export class Exchange {
  readonly #fragments: readonly Fragment[];
  /** Of those that hold anything: more fragments than blocks leave some empty. */
  readonly #turns: readonly number[];
  /** Of each fragment's base; undefined before the first welcome. */
  #versions: number[] | undefined;
  #incarnation = 0;
  /** The highest number that was given out. */
  #last = 0;
  /** Which of the turns is next. */
  #next = 0;
  #inFlight: InFlight | undefined;
  /** Of exchanges that were dropped: the next push carries their work too. */
  #carried: Work = NO_WORK;
  #memory = new Uint8Array(0);

  /** Of a layout of so many elements, in so many fragments. */
  constructor(elements: number, fragments: number) {
    this.#fragments = Array.from({ length: fragments }, (_, index) => fragmentOf(elements, fragments, index));
    this.#turns = [...this.#fragments.keys()].filter((index) => lengthOf(this.#fragments[index]) > 0);
  }

  get inFlight(): InFlight | undefined {
    return this.#inFlight;
  }

  /** What the next exchange carries (SPEC X17). */
  get fragment(): Fragment {
    const fragment = this.#fragments[this.#turn];
    if (!fragment) throw new Error("invariant violation: no fragment's turn");
    return fragment;
  }

  /** A welcome that did not resume (H5, H6): numbers go on where the coordinator stands, what was in flight is dropped. */
  rejoin(base: Base, lastExchange: number): void {
    this.drop();
    this.rebase(base);
    this.#last = lastExchange;
  }

  /** Both sides hold another base from now on, of everything. */
  rebase({ version, incarnation }: Base): void {
    this.#versions = this.#fragments.map(() => version);
    this.#incarnation = incarnation;
  }

  /** The next push, in memory that nobody else changes. `isBuffered`: a link still holds the memory of the one before. */
  begin({ content, codec, payload, scale = 1, work, leased = [] }: Cargo, isBuffered: boolean): InFlight {
    const index = this.#turn;
    const baseVersion = this.#versions?.[index];
    if (this.#inFlight || baseVersion === undefined)
      throw new Error("invariant violation: an exchange began before the last one was settled");
    const told = workSum(this.#carried, work);
    const header = {
      exchange: ++this.#last,
      incarnation: this.#incarnation,
      baseVersion,
      content,
      steps: told.steps,
      samples: told.samples,
      meanLoss: told.steps === 0 ? 0 : told.lossSum / told.steps,
      ...(this.#fragments.length === 1 ? {} : { fragment: index }),
      ...(leased.length === 0 ? {} : { leased }),
    };
    const { fragment } = this;
    this.#carried = NO_WORK;
    this.#next = (this.#next + 1) % this.#turns.length;
    this.#inFlight = { header, codec, payload: this.#copy(payload, scale, isBuffered), fragment, work: told };
    return this.#inFlight;
  }

  /** The exchange in flight, if `exchange` is its number: an older answer that comes again means nothing any more. */
  settle(exchange: number): InFlight | undefined {
    const inFlight = this.#inFlight;
    if (inFlight?.header.exchange !== exchange) return undefined;
    this.#inFlight = undefined;
    return inFlight;
  }

  /** Of the fragment that a settled exchange carried, both sides hold another base from now on. */
  rebaseFragment({ header }: InFlight, version: number): void {
    if (this.#versions) this.#versions[header.fragment ?? 0] = version;
  }

  /** Forgets what is in flight, and has the next push tell of its work. */
  drop(): void {
    if (this.#inFlight) this.carry(this.#inFlight.work);
    this.#inFlight = undefined;
  }

  /** Forgets what is in flight and all work: it is the coordinator's or nobody's. */
  forget(): void {
    this.#inFlight = undefined;
    this.#carried = NO_WORK;
  }

  /** Whether work of dropped exchanges waits for the next push. */
  get carriesWork(): boolean {
    return this.#carried.steps > 0;
  }

  carry(work: Work): void {
    this.#carried = workSum(this.#carried, work);
  }

  get #turn(): number {
    return this.#turns[this.#next] ?? 0;
  }

  #copy(payload: Uint8Array, scale: number, isBuffered: boolean): Uint8Array<ArrayBuffer> {
    if (isBuffered || this.#memory.byteLength !== payload.byteLength) this.#memory = new Uint8Array(payload.byteLength);
    this.#memory.set(payload);
    if (scale !== 1) {
      const values = new Float32Array(this.#memory.buffer);
      for (let index = 0; index < values.length; index++) values[index]! *= scale;
    }
    return this.#memory;
  }
}

function lengthOf(fragment: Fragment | undefined): number {
  return fragment ? fragment.toElement - fragment.fromElement : 0;
}
