/** The replica's own numbers for the volunteer, gathered from what happens in the training loop. */

import { StalenessHistogram } from "../../shared/staleness_histogram.ts";
import type { ReplicaProgress } from "../messages.ts";

/** Older steps fade with this time constant. */
const MEMORY_MS = 5000;

/**
 * Samples per second as an exponential average over time. Samples and milliseconds fade alike and their quotient is
 * taken, so that it needs no correction at the start.
 */
export class Speed {
  #samples = 0;
  #weightMs = 0;
  #lastMs: number | undefined;

  get perSecond(): number {
    return this.#weightMs === 0 ? 0 : (1000 * this.#samples) / this.#weightMs;
  }

  add(samples: number, nowMs: number): void {
    if (this.#lastMs !== undefined) {
      const passedMs = nowMs - this.#lastMs;
      const kept = Math.exp(-passedMs / MEMORY_MS);
      this.#samples = this.#samples * kept + samples;
      this.#weightMs = this.#weightMs * kept + passedMs;
    }
    this.#lastMs = nowMs;
  }

  /** Time until the next `add` does not count: training paused. */
  interrupt(): void {
    this.#lastMs = undefined;
  }
}

/** What others know. */
type Reported = Pick<ReplicaProgress, "replica" | "assignment" | "bytesUp" | "bytesDown">;

export class Progress {
  readonly #speed = new Speed();
  readonly #staleness = new StalenessHistogram();
  #localSteps = 0;
  #samples = 0;
  #exchanges = 0;
  #applied = 0;
  #refused = 0;
  #lastRefusal: string | undefined;
  #loss: number | undefined;
  #lastStaleness: number | undefined;

  get localSteps(): number {
    return this.#localSteps;
  }

  get samplesPerSecond(): number {
    return this.#speed.perSecond;
  }

  stepped(samples: number, nowMs: number): void {
    this.#localSteps++;
    this.#samples += samples;
    this.#speed.add(samples, nowMs);
  }

  interrupted(): void {
    this.#speed.interrupt();
  }

  pushed(meanLoss: number): void {
    this.#exchanges++;
    this.#loss = meanLoss;
  }

  answered(staleness: number): void {
    this.#applied++;
    this.#staleness.add(staleness);
    this.#lastStaleness = staleness;
  }

  refused(sentence: string): void {
    this.#refused++;
    this.#lastRefusal = sentence;
  }

  /** Training broke here, and nothing was sent. */
  diverged(sentence: string): void {
    this.#lastRefusal = sentence;
  }

  report({ replica, assignment, bytesUp, bytesDown }: Reported): ReplicaProgress {
    return {
      replica,
      localSteps: this.#localSteps,
      samples: this.#samples,
      samplesPerSecond: this.#speed.perSecond,
      exchanges: this.#exchanges,
      applied: this.#applied,
      refused: this.#refused,
      lastRefusal: this.#lastRefusal,
      loss: this.#loss,
      assignment,
      staleness: this.#staleness.summary(),
      lastStaleness: this.#lastStaleness,
      bytesUp,
      bytesDown,
    };
  }
}
