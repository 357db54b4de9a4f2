/**
 * Calls that are done one after another although some of them wait. A call runs at once where nothing is under way, so that
 * whoever waits for each sees no difference; a failure is thrown by every later call.
 */

export class CallChain {
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #failure: { readonly error: unknown } | undefined;

  /** Whether a call would run at once. */
  get isFree(): boolean {
    return this.#waiting === 0;
  }

  /** Throws what an earlier call threw. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Nobody waits for it. */
  do(work: () => void | Promise<void>): void {
    this.check();
    if (!this.isFree) return this.#follow(this.#tail.then(() => (this.#failure ? undefined : work())));
    const working = work();
    if (working) this.#follow(working);
  }

  /** What it rejects with is its asker's alone. */
  ask<T>(question: () => Promise<T>): Promise<T> {
    const answer = this.#answer(question);
    this.#follow(answer.then(ignore, ignore));
    return answer;
  }

  async #answer<T>(question: () => Promise<T>): Promise<T> {
    if (!this.isFree) await this.#tail;
    this.check();
    return question();
  }

  #follow(work: Promise<void>): void {
    this.#waiting++;
    this.#tail = this.#finished(work);
  }

  async #finished(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#waiting--;
    }
  }
}

function ignore(): void {}
