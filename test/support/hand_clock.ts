/** A clock that stands still until a test moves it, and a loop that takes a breath only when the test lets it. */

import type { Clock } from "../../client/replica/clock.ts";

export class HandClock implements Clock {
  /** A browser's, where a test sets it. */
  transferMs?: number;
  #nowMs = 0;
  #sleepers: { readonly untilMs: number; readonly resolve: () => void }[] = [];
  readonly #breathing: (() => void)[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#sleepers.push({ untilMs: this.#nowMs + ms, resolve }));
  }

  breathe(): Promise<void> {
    return new Promise((resolve) => this.#breathing.push(resolve));
  }

  /** Time goes by while somebody computes: nobody wakes before the computing ends. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }

  /** Moves the time in steps, as a real clock would wake sleepers one after the other. */
  async advance(ms: number, stepMs = 100): Promise<void> {
    const untilMs = this.#nowMs + ms;
    while (this.#nowMs < untilMs) {
      this.#nowMs = Math.min(untilMs, this.#nowMs + stepMs);
      const due = this.#sleepers.filter((sleeper) => sleeper.untilMs <= this.#nowMs);
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.untilMs > this.#nowMs);
      for (const { resolve } of due) resolve();
      await settled();
    }
  }

  /** Lets the loop go on from its breath; true where it was taking one. */
  async letBreathe(): Promise<boolean> {
    const resolve = this.#breathing.shift();
    resolve?.();
    await settled();
    return resolve !== undefined;
  }
}

/** Resolves when everything that needs no clock has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
