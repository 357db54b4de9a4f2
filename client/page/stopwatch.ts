/** Counts the seconds that training really went on: pauses, waiting and the time after the end are left out. */

import type { PagePhase } from "./volunteering.ts";

export class Stopwatch {
  #countedMs = 0;
  #sinceMs: number | undefined;

  phase(phase: PagePhase, nowMs: number): void {
    this.#countedMs += this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs;
    this.#sinceMs = phase === "training" ? nowMs : undefined;
  }

  seconds(nowMs: number): number {
    return (this.#countedMs + (this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs)) / 1000;
  }
}
