/**
 * One all-reduce as a member carries it out: the steps of `schedule.ts` one after the other, over whatever delivers messages in order.
 * Never waits: what comes before its step is due is kept, and at most one message of each step is. Pure; `direct_average.ts` knows
 * who the others are, and when to give up.
 */

import { lengthOf, stepsOf, type Algorithm, type Step } from "./schedule.ts";

export interface AllReduceOptions {
  readonly algorithm: Algorithm;
  readonly rank: number;
  readonly members: number;
  /** The member's own; becomes the sum of all. Nobody else changes it. */
  readonly vector: Float32Array<ArrayBuffer>;
  /** `payload` is nobody else's. */
  readonly send: (toRank: number, step: number, payload: Uint8Array<ArrayBuffer>) => void;
}

export class AllReduce {
  readonly #options: AllReduceOptions;
  readonly #steps: readonly Step[];
  /** By step; what came before it was due. */
  readonly #early = new Map<number, Uint8Array>();
  #step = 0;
  #hasBegun = false;

  /** What others send is kept until it begins. */
  constructor(options: AllReduceOptions) {
    const { algorithm, rank, members, vector } = options;
    this.#options = options;
    this.#steps = stepsOf(algorithm, rank, members, vector.length);
  }

  /** Of `factor` times the vector. */
  begin(factor: number): void {
    const { vector } = this.#options;
    for (let index = 0; index < vector.length; index++) vector[index]! *= factor;
    this.#hasBegun = true;
    this.#send();
    this.#advance();
  }

  /** The sum, once it is done. */
  get vector(): Float32Array<ArrayBuffer> {
    return this.#options.vector;
  }

  get isDone(): boolean {
    return this.#step === this.#steps.length;
  }

  /** False where nobody who keeps to the schedule would send this: from somebody else, of another length, or twice. */
  receive(fromRank: number, step: number, payload: Uint8Array): boolean {
    const due = this.#steps[step];
    if (!due || due.from !== fromRank || payload.byteLength !== 4 * lengthOf(due.receives)) return false;
    if (step < this.#step || this.#early.has(step)) return false;
    this.#early.set(step, payload);
    if (this.#hasBegun) this.#advance();
    return true;
  }

  #advance(): void {
    for (let step = this.#steps[this.#step]; step; step = this.#steps[this.#step]) {
      const payload = this.#early.get(this.#step);
      if (!payload) return;
      this.#early.delete(this.#step);
      this.#take(step, floatsOf(payload));
      this.#step++;
      this.#send();
    }
  }

  #take({ receives, adds }: Step, values: Float32Array): void {
    const { vector } = this.#options;
    if (!adds) return vector.set(values, receives.fromElement);
    const part = vector.subarray(receives.fromElement, receives.toElement);
    for (let index = 0; index < part.length; index++) part[index]! += values[index]!;
  }

  #send(): void {
    const step = this.#steps[this.#step];
    if (!step) return;
    const { fromElement, toElement } = step.sends;
    // A copy: a link may still hold it when what comes is added to the original.
    const values = this.#options.vector.slice(fromElement, toElement);
    this.#options.send(step.to, this.#step, new Uint8Array(values.buffer));
  }
}

/** In place where it is aligned. */
function floatsOf(payload: Uint8Array): Float32Array {
  const aligned = payload.byteOffset % 4 === 0 ? payload : payload.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
