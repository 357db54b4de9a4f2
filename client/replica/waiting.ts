/** Where the replica's loop waits: for time or for its device, and in both cases only until something happens that it has to see to. */

import type { Clock } from "./clock.ts";

export class Waiting {
  readonly #clock: Pick<Clock, "sleep">;
  #endRest: (() => void) | undefined;
  #endWait: (() => void) | undefined;

  constructor(clock: Pick<Clock, "sleep">) {
    this.#clock = clock;
  }

  /** For `ms`, or until `wake` or `interrupt`. */
  async rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endRest = resolve;
    void this.#clock.sleep(ms).then(resolve);
    await promise;
    this.#endRest = undefined;
  }

  /** For the device, or until `interrupt`. One promise per wait: a shared one would keep them all. */
  async until(work: Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#endWait = resolve;
    work.then(resolve, reject);
    await promise;
    this.#endWait = undefined;
  }

  /** There is something to do, where the loop rests. */
  wake(): void {
    this.#endRest?.();
  }

  /** The loop has to end, or its device is gone: nothing is worth waiting for. */
  interrupt(): void {
    this.#endRest?.();
    this.#endWait?.();
  }
}
