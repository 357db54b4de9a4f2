/** Brings the contents of one staging buffer to the host, one readback at a time. */

export class Readback {
  readonly #staging: GPUBuffer;
  #busy = false;

  constructor(staging: GPUBuffer) {
    this.#staging = staging;
  }

  /** `enqueue` copies into the staging buffer's first `bytes`; `use` sees their words and must copy what it keeps. */
  async take<T>(
    enqueue: (staging: GPUBuffer) => void,
    use: (words: Float32Array<ArrayBuffer>) => T,
    bytes = this.#staging.size,
  ): Promise<T> {
    if (this.#busy) throw new Error("A readback is under way; await it before the next one.");
    this.#busy = true;
    try {
      enqueue(this.#staging);
      await this.#staging.mapAsync(GPUMapMode.READ, 0, bytes);
      const result = use(new Float32Array(this.#staging.getMappedRange(0, bytes)));
      this.#staging.unmap();
      return result;
    } finally {
      this.#busy = false;
    }
  }
}
