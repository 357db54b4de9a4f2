/**
 * A throughput that forgets: events per second as an exponential moving average over time, corrected for its empty
 * beginning, so that the first seconds are not reported as slow. The time is handed in.
 */

export class Rate {
  readonly #halfLifeMs: number;
  #weightedAmount = 0;
  #weightedMs = 0;
  #lastMs: number;

  constructor(nowMs: number, halfLifeMs = 10_000) {
    this.#lastMs = nowMs;
    this.#halfLifeMs = halfLifeMs;
  }

  /** `amount` events happened since the last call. */
  add(amount: number, nowMs: number): void {
    this.#decayTo(nowMs);
    this.#weightedAmount += amount;
  }

  perSecond(nowMs: number): number {
    this.#decayTo(nowMs);
    return this.#weightedMs < 1 ? 0 : (1000 * this.#weightedAmount) / this.#weightedMs;
  }

  #decayTo(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#lastMs);
    const kept = 2 ** (-elapsedMs / this.#halfLifeMs);
    this.#weightedAmount *= kept;
    this.#weightedMs = this.#weightedMs * kept + elapsedMs;
    this.#lastMs = nowMs;
  }
}
