/** What the tuner asks of a device: `workbench.ts` has a real one, tests have one with a clock of their own. */

import type { FusedActivation } from "../../activation.ts";
import type { Candidate, Product } from "../choice/candidate.ts";

export interface Bench {
  /** Milliseconds spent so far on preparing, compiling and measuring; waits for other work on the device are not in it. */
  readonly spentMs: number;
  /** Operands for one product. Rejects with a sentence where they do not fit on the device. */
  open(product: Product, around: ProductEdges): Promise<ProductBench>;
  /** Throws where the device is lost or closed. */
  check(): void;
}

/** What a layer does with a product besides: it is compiled into the kernel. */
export interface ProductEdges {
  /** Forward: added. Filter gradient: its gradient is summed too. */
  readonly hasBias: boolean;
  /** Forward: applied. Data gradient: undone. */
  readonly activation: FusedActivation | undefined;
  /** Data gradient: adds to its target. */
  readonly accumulate: boolean;
  /** Filter gradient: where weights and bias begin in the vector of gradients, in elements. */
  readonly offsets: { readonly weights: number; readonly bias: number | undefined };
}

export interface ProductBench {
  /** Compiles; rejects with a sentence where the candidate does not compile or fit. */
  load(candidate: Candidate): Promise<LoadedCandidate>;
  close(): void;
}

export interface LoadedCandidate {
  /**
   * Milliseconds of one execution, the least of what fits into `pieceMs` of an otherwise idle queue. One execution is all
   * that is measured where it takes longer than `losingMs`.
   */
  measure(pieceMs: number, losingMs: number): Promise<number>;
  /** What one execution writes into a target of zeros: all of it, or always the same sample of it. */
  output(): Promise<Float32Array>;
}

/** Fewer executions say too little about a device whose clock changes; more say nothing new. */
const MOST_ROUNDS = 5;
const MOST_EXECUTIONS = 256;
/** Of a submit: long against what the submit itself costs. */
const ROUND_MS = 6;

/**
 * The least milliseconds of one execution. `run` does some executions in one submit and says how long they took; about
 * `pieceMs` are spent in all, or a single execution where that one takes longer than `losingMs`.
 */
export async function leastMs(
  run: (executions: number) => Promise<number>,
  pieceMs: number,
  losingMs: number,
): Promise<number> {
  // What is allocated and compiled at the first launch of all is not to be seen.
  const firstMs = await run(1);
  let least = firstMs;
  let leftMs = pieceMs - firstMs;
  for (let round = 0; round < MOST_ROUNDS && least <= losingMs; round++) {
    const executions = Math.min(MOST_EXECUTIONS, Math.max(1, Math.round(ROUND_MS / Math.max(least, 1e-3))));
    // At least one more than the first.
    if (round > 0 && executions * least > leftMs) break;
    const tookMs = await run(executions);
    leftMs -= tookMs;
    least = Math.min(least, tookMs / executions);
  }
  return least;
}
