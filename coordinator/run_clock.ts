/**
 * A run's two clocks: the machine's, and the run's own, which stands still while the operator has everybody wait. Whatever measures
 * training goes by the run's own (its seconds, its limit in minutes, throughput, speeds and the deadlines of groups, the
 * autotuner's trials), whatever measures connections by the machine's (leases, hello timeouts, slices that are on their way).
 */

export class RunClock {
  readonly nowMs: () => number;
  #pausedMs = 0;
  #pausedSinceMs: number | undefined = undefined;

  /** `nowMs`: the machine's, never going back. */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  readonly runMs = (): number => {
    const atMs = this.#pausedSinceMs ?? this.nowMs();
    return atMs - this.#pausedMs;
  };

  get isPaused(): boolean {
    return this.#pausedSinceMs !== undefined;
  }

  pause(): void {
    this.#pausedSinceMs ??= this.nowMs();
  }

  resume(): void {
    if (this.#pausedSinceMs === undefined) return;
    this.#pausedMs += this.nowMs() - this.#pausedSinceMs;
    this.#pausedSinceMs = undefined;
  }
}
