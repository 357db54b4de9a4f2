/** Staleness counted exactly up to a cap, for one replica or a whole run (SPEC S5). */

import type { StalenessSummary, StalenessView } from "./run_view.ts";

/** Stalenesses from here on share the last count; 1,000 replicas at equal speed would see about 1,000 only briefly. */
const CAP = 256;

export class StalenessHistogram {
  readonly #counts: number[] = [];
  #total = 0;
  #sum = 0;
  #max = 0;

  add(staleness: number): void {
    const bin = Math.min(staleness, CAP);
    while (this.#counts.length <= bin) this.#counts.push(0);
    this.#counts[bin]!++;
    this.#total++;
    this.#sum += staleness;
    this.#max = Math.max(this.#max, staleness);
  }

  summary(): StalenessSummary {
    return {
      mean: this.#total === 0 ? 0 : this.#sum / this.#total,
      p50: this.#quantile(0.5),
      p99: this.#quantile(0.99),
      max: this.#max,
    };
  }

  view(): StalenessView {
    return { ...this.summary(), counts: [...this.#counts] };
  }

  /** The least staleness that at least this fraction of pushes did not exceed. */
  #quantile(fraction: number): number {
    const wanted = fraction * this.#total;
    let seen = 0;
    for (const [staleness, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= wanted) return staleness === CAP ? this.#max : staleness;
    }
    return 0;
  }
}
