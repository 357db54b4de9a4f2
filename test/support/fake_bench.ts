/** A device for the tuner whose kernels take what a test says, on a clock that only they move. */

import {
  candidateName,
  productKey,
  type Candidate,
  type Product,
} from "../../shared/engine/webgpu/choice/candidate.ts";
import type { Bench, LoadedCandidate, ProductBench } from "../../shared/engine/webgpu/tuner/bench.ts";

export interface FakeKernel {
  readonly ms: number;
  readonly compileMs?: number;
  /** What it writes; 1, 2, 3 where left out. */
  readonly output?: Float32Array;
  /** Rejects with this instead of being compiled. */
  readonly compileError?: string;
}

export interface Measurement {
  readonly product: string;
  readonly images: number;
  readonly candidate: string;
}

export class FakeBench implements Bench {
  spentMs = 0;
  /** In their order, each once for each time it was taken. */
  readonly measured: Measurement[] = [];
  lost: string | undefined;
  stands = 0;
  readonly #kernelOf: (product: Product, candidate: Candidate) => FakeKernel;

  constructor(kernelOf: (product: Product, candidate: Candidate) => FakeKernel) {
    this.#kernelOf = kernelOf;
  }

  check(): void {
    if (this.lost !== undefined) throw new Error(this.lost);
  }

  open(product: Product): Promise<ProductBench> {
    this.stands++;
    return Promise.resolve({
      load: (candidate) => this.#load(product, candidate),
      close: () => {
        this.stands--;
      },
    });
  }

  async #load(product: Product, candidate: Candidate): Promise<LoadedCandidate> {
    const { ms, compileMs = 0, output = Float32Array.of(1, 2, 3), compileError } = this.#kernelOf(product, candidate);
    this.spentMs += compileMs;
    if (compileError !== undefined) throw new Error(compileError);
    return {
      measure: () => {
        this.check();
        this.spentMs += ms;
        const { batch } = product.window;
        this.measured.push({ product: productKey(product), images: batch, candidate: candidateName(candidate) });
        return Promise.resolve(ms);
      },
      output: () => Promise.resolve(output),
    };
  }
}
