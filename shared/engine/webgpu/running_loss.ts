/** The losses of the steps since the last readback: their sum is on the device, what it is the sum of is counted here. */

import type { TakenLoss } from "../backend.ts";
import { TOTAL_WORDS, type PlanMemory } from "./memory.ts";

/** What a sum of losses is of. */
interface Counted {
  readonly steps: number;
  readonly examples: number;
}

export class RunningLoss {
  readonly #memory: PlanMemory;
  #steps = 0;
  #examples = 0;

  constructor(memory: PlanMemory) {
    this.#memory = memory;
  }

  /** Examples whose losses are in the sum from now on. */
  countExamples(examples: number): void {
    this.#examples += examples;
  }

  countStep(): void {
    this.#steps += 1;
  }

  /** The sum to the staging buffer, and begun anew; returns what it is of. */
  encodeTaking(encoder: GPUCommandEncoder, staging: GPUBuffer, offset: number): Counted {
    const { total } = this.#memory;
    const counted = { steps: this.#steps, examples: this.#examples };
    this.#steps = 0;
    this.#examples = 0;
    encoder.copyBufferToBuffer(total, 0, staging, offset, TOTAL_WORDS * 4);
    encoder.clearBuffer(total);
    return counted;
  }
}

export const NOTHING_COUNTED: Counted = { steps: 0, examples: 0 };

export function takenOf(lossSum: number, { steps, examples }: Counted): TakenLoss {
  return { steps, meanLoss: examples === 0 ? 0 : lossSum / examples };
}
