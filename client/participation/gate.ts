/** Where work besides training waits while somebody has the replica wait. */

export class Gate {
  #opening: PromiseWithResolvers<void> | undefined;

  get isOpen(): boolean {
    return this.#opening === undefined;
  }

  close(): void {
    this.#opening ??= Promise.withResolvers();
  }

  open(): void {
    this.#opening?.resolve();
    this.#opening = undefined;
  }

  /** Resolves when it is open. */
  async passed(): Promise<void> {
    while (this.#opening) await this.#opening.promise;
  }
}
