/**
 * What the two threads of the center benchmark and its main program agree on: the words through which the threads start
 * together, the variants of a round in order, and the messages.
 */

import type { CenterLayout } from "../../../coordinator/center/center_memory.ts";
import type { WasmMemory, WasmModule } from "../../../coordinator/center/wasm_api.ts";
import { CODEC_NAMES, type CodecName } from "../../../shared/wire/codec/codec.ts";

/** One round measures each of these, each moving two vectors' worth of elements. */
export const VARIANTS = [
  "copyOne",
  "swapOne",
  "leanOne",
  "swapLocked",
  "swapLockFree",
  "swapCas",
  "swapHalves",
  "descendOne",
  "momentumOne",
  "descendLocked",
  "descendLockFree",
  "descendCas",
] as const;
export type Variant = (typeof VARIANTS)[number];

/**
 * Of the rounds of codecs, on the first thread alone: a push (decode, check, elastic apply), the same without the apply, and a publication's
 * encoding. f32 is not encoded.
 */
export type CodecVariant = "copyOne" | `${"push" | "decode" | "encode"} ${CodecName}`;
export const CODEC_VARIANTS: readonly CodecVariant[] = [
  "copyOne",
  ...CODEC_NAMES.flatMap((codec) => [`push ${codec}` as const, `decode ${codec}` as const]),
  ...CODEC_NAMES.filter((codec) => codec !== "f32").map((codec) => `encode ${codec}` as const),
];

/** Byte offsets: a vector that pushes start from, room for words, and by codec the words of a push. */
export interface CodecVectors {
  readonly base: number;
  readonly room: number;
  readonly words: Readonly<Record<CodecName, number>>;
}

export interface RigData {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly layout: CenterLayout;
  /** Barrier words (4 Int32) and then start and end of both threads (4 Float64, milliseconds). */
  readonly rendezvous: SharedArrayBuffer;
  readonly index: 0 | 1;
  /** Byte offsets of this thread's own vectors: a pass takes the next, so that caches are not flattered. */
  readonly areas: readonly number[];
  /** Where rounds of codecs are to be run. */
  readonly codecs?: CodecVectors;
}

export type ToRig =
  | { readonly kind: "rounds"; readonly rounds: number; readonly of: "moves" | "codecs" }
  /** Adds a vector of ones `passes` times with the lock-free or the compare-and-swap kernel, from the staggered or from the same start. */
  | {
      readonly kind: "add-ones";
      readonly passes: number;
      readonly staggered: boolean;
      readonly isAtomic: boolean;
      readonly ones: number;
    };

/** From the first thread only: milliseconds by round and variant; empty after `add-ones`. */
export type FromRig = readonly (readonly number[])[];

/** Two threads meet, asleep until both are there, and then leave within a few nanoseconds of each other. */
export class Rendezvous {
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  #meetings = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, 4);
    this.#times = new Float64Array(buffer, 64, 4);
  }

  static buffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(128);
  }

  meet(): void {
    const both = ++this.#meetings * 2;
    if (Atomics.add(this.#words, 0, 1) + 1 === both) {
      Atomics.store(this.#words, 1, this.#meetings);
      Atomics.notify(this.#words, 1);
    } else {
      Atomics.wait(this.#words, 1, this.#meetings - 1);
    }
    Atomics.add(this.#words, 2, 1);
    while (Atomics.load(this.#words, 2) < both);
  }

  record(index: number, startMs: number, endMs: number): void {
    this.#times[index * 2] = startMs;
    this.#times[index * 2 + 1] = endMs;
  }

  /** From the first start to the last end, of the first thread alone or of both. */
  elapsedMs(threads: 1 | 2): number {
    const [start0, end0, start1, end1] = this.#times as unknown as [number, number, number, number];
    return threads === 1 ? end0 - start0 : Math.max(end0, end1) - Math.min(start0, start1);
  }
}
