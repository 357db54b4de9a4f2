/**
 * An exercise: single operations of a program on tensors that are given, and what they made of them, as data. The entrance
 * exam (`exam/`) sets it, each backend does it (SPEC E10).
 */

import type { TensorId } from "./operation.ts";

/** Consecutive elements. */
export interface Run {
  readonly first: number;
  readonly count: number;
}

export type ReadSource =
  | { readonly kind: "tensor"; readonly tensor: TensorId }
  /** The whole parameter-sized vectors. */
  | { readonly kind: "gradient" }
  | { readonly kind: "parameters" };

export type Move =
  /** The tensor becomes the pattern, again and again, from the pattern's element `offset` on. */
  | { readonly kind: "fill"; readonly tensor: TensorId; readonly offset: number }
  /** One operation of the plan. */
  | { readonly kind: "operate"; readonly part: "forward" | "backward"; readonly at: number }
  /** The words of the runs, one after the other, are handed out. */
  | { readonly kind: "read"; readonly source: ReadSource; readonly runs: readonly Run[] };

export interface Exercise {
  readonly pattern: Float32Array<ArrayBuffer>;
  readonly moves: readonly Move[];
}

/** What a move reads, as words whose meaning (f32 or u32) the reader knows; valid during the call. */
export type TakeWords = (words: Uint32Array<ArrayBuffer>) => void;

export function wordsIn(runs: readonly Run[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0);
}

/** The pieces of the pattern that fill `elements`, in order. */
export function* patternPieces(
  pattern: Float32Array<ArrayBuffer>,
  offset: number,
  elements: number,
): Generator<{ readonly at: number; readonly piece: Float32Array<ArrayBuffer> }> {
  let begin = offset % pattern.length;
  for (let at = 0; at < elements;) {
    const piece = pattern.subarray(begin, Math.min(pattern.length, begin + elements - at));
    yield { at, piece };
    at += piece.length;
    begin = 0;
  }
}
