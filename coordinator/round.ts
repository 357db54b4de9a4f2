/**
 * One synchronous round after another (SPEC X15): who is waited for, who has pushed, and when the center may take its
 * step. Pure bookkeeping; `run.ts` moves the center.
 */

export class Round {
  #members = new Set<string>();
  readonly #pushed = new Set<string>();
  #settle: (result: Promise<unknown>) => void = () => {};
  #done: Promise<unknown> = Promise.resolve();

  constructor(members: Iterable<string>) {
    this.#begin(members);
  }

  get pushed(): number {
    return this.#pushed.size;
  }

  /** A gradient of `replica` was accumulated; resolves when the round's step has been taken. */
  push(replica: string): Promise<unknown> {
    this.#pushed.add(replica);
    return this.#done;
  }

  /** `replica` left: it is waited for no longer. What it already pushed counts. */
  leave(replica: string): void {
    this.#members.delete(replica);
  }

  /** A replica that joins is waited for at once while nobody has pushed yet, else from the next round on. */
  join(replica: string): void {
    if (this.#pushed.size === 0) this.#members.add(replica);
  }

  /** True when somebody pushed and nobody is waited for. */
  get isComplete(): boolean {
    return this.#pushed.size > 0 && [...this.#members].every((member) => this.#pushed.has(member));
  }

  /** Ends the round with `step`, on which its pushers wait, and begins the next with `members`. */
  finish(step: Promise<unknown>, members: Iterable<string>): void {
    this.#settle(step);
    this.#begin(members);
  }

  #begin(members: Iterable<string>): void {
    this.#members = new Set(members);
    this.#pushed.clear();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#done = promise;
    this.#settle = resolve;
  }
}
