/**
 * What a program brings to the host: words that its launches left on the device, and the losses of the steps so far, in one
 * readback. Used by `webgpu_program.ts` and `encoded_exchange.ts`.
 */

import type { TakenLoss } from "../backend.ts";
import { TOTAL_WORDS, type PlanMemory } from "./memory.ts";
import { Readback } from "./readback.ts";
import { NOTHING_COUNTED, takenOf, type RunningLoss } from "./running_loss.ts";

/** The program's own guard and queue. */
export interface TakingProgram {
  /** Throws where the device or the program is gone; steps that wait go first. */
  prepare(): void;
  /** Throws where the device or the program is gone. */
  check(): void;
  submit(encode: (encoder: GPUCommandEncoder) => void): void;
}

export class Taking {
  /** What was taken last; of the layout's elements. */
  readonly taken: Float32Array<ArrayBuffer>;
  readonly #program: TakingProgram;
  readonly #losses: RunningLoss;
  readonly #vector: Readback;
  readonly #loss: Readback;

  constructor(memory: PlanMemory, program: TakingProgram, losses: RunningLoss) {
    this.taken = new Float32Array(memory.plan.layout.elements);
    this.#program = program;
    this.#losses = losses;
    this.#vector = new Readback(memory.readback);
    this.#loss = new Readback(memory.loss);
  }

  /** `bytes` of what `encode` leaves where it says become the first of `taken`. */
  async take(bytes: number, encode: (encoder: GPUCommandEncoder) => GPUBufferBinding): Promise<TakenLoss> {
    return this.#withLoss(this.#vector, bytes, (encoder, staging) => {
      const { buffer, offset = 0 } = encode(encoder);
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
    });
  }

  /** The losses alone. */
  takeLoss(): Promise<TakenLoss> {
    return this.#withLoss(this.#loss, 0, () => undefined);
  }

  /** A whole buffer, and no losses: they stay. */
  read(buffer: GPUBuffer): Promise<Float32Array<ArrayBuffer>> {
    const bytes = this.taken.byteLength;
    return this.#back(
      this.#vector,
      bytes,
      (encoder, staging) => encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes),
      (words) => words.slice(),
    );
  }

  async #withLoss(
    readback: Readback,
    bytes: number,
    encode: (encoder: GPUCommandEncoder, staging: GPUBuffer) => void,
  ): Promise<TakenLoss> {
    let counted = NOTHING_COUNTED;
    const lossSum = await this.#back(
      readback,
      bytes + TOTAL_WORDS * 4,
      (encoder, staging) => {
        encode(encoder, staging);
        counted = this.#losses.encodeTaking(encoder, staging, bytes);
      },
      (words) => {
        this.taken.set(words.subarray(0, bytes / 4));
        return words[bytes / 4]!;
      },
    );
    return takenOf(lossSum, counted);
  }

  async #back<T>(
    readback: Readback,
    bytes: number,
    encode: (encoder: GPUCommandEncoder, staging: GPUBuffer) => void,
    use: (words: Float32Array<ArrayBuffer>) => T,
  ): Promise<T> {
    const program = this.#program;
    program.prepare();
    const result = await readback.take((staging) => program.submit((encoder) => encode(encoder, staging)), use, bytes);
    program.check();
    return result;
  }
}
