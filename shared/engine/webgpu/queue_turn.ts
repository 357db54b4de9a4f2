/**
 * Who may count on an empty queue. The tuner takes the turn for a piece of at most about 50 ms; meanwhile a program's `idle`
 * does not resolve, so that whoever trains queues no more steps than it had.
 */

export class QueueTurn {
  #taken: Promise<void> | undefined;

  /** Resolves when nobody has the turn. */
  async free(): Promise<void> {
    while (this.#taken) await this.#taken;
  }

  /** One after another. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    await this.free();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#taken = promise;
    try {
      return await work();
    } finally {
      this.#taken = undefined;
      resolve();
    }
  }
}
