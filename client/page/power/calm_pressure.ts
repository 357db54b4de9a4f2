/**
 * Compute pressure with a memory. It is believed at once when it rises. When it falls, that may be our own pause, so the page
 * goes up again one step at a time, and each only after a while of calm: otherwise it would start and pause in turns.
 */

import type { Pressure } from "./rules.ts";

const CALM_MS = 15_000;
const LEVELS: readonly Pressure[] = ["nominal", "fair", "serious", "critical"];

export class CalmPressure {
  #reported = 0;
  #held = 0;
  #calmSinceMs = 0;

  report(pressure: Pressure, nowMs: number): void {
    const level = LEVELS.indexOf(pressure);
    this.at(nowMs);
    if (level < this.#held && this.#reported >= this.#held) this.#calmSinceMs = nowMs;
    this.#reported = level;
    this.#held = Math.max(this.#held, level);
  }

  /** What to act on. */
  at(nowMs: number): Pressure {
    while (this.#held > this.#reported && nowMs - this.#calmSinceMs >= CALM_MS) {
      this.#held--;
      this.#calmSinceMs += CALM_MS;
    }
    return LEVELS[this.#held] ?? "nominal";
  }
}
