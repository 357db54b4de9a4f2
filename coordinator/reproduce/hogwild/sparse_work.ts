/** What a thread of the sparse race is told (`sparse_thread.ts` does it). */

import type { SparseExamples } from "./sparse_examples.ts";

/**
 * - lock-free: plain additions, of which two may collide.
 * - compare-and-swap: additions that are repeated until none is lost, as Hogwild! assumes.
 * - locked: one update at a time, in whatever order threads come.
 * - round-robin: one update at a time, thread after thread.
 */
export type Meeting = "lock-free" | "compare-and-swap" | "locked" | "round-robin";

export interface SparseInput {
  readonly examples: SparseExamples;
  readonly weights: Float32Array<SharedArrayBuffer>;
  /** The mutex's words (center/control.ts), and after them whose turn it is. */
  readonly words: SharedArrayBuffer;
  readonly meeting: Meeting;
  readonly learningRate: number;
  /** By this thread. */
  readonly updates: number;
  readonly seed: number;
}

export const TURN_BYTE = 4096;
