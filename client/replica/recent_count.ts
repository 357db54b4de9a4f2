/** How often something happened within the last minute: what may happen once in a while, and not again and again. */

const MINUTE_MS = 60_000;

export class RecentCount {
  #timesMs: readonly number[] = [];

  /** It happened now; returns how often it did within the last minute, now included. */
  add(nowMs: number): number {
    this.#timesMs = [...this.#timesMs.filter((timeMs) => nowMs - timeMs < MINUTE_MS), nowMs];
    return this.#timesMs.length;
  }
}
