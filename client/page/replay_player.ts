/** Where a replay is, and how fast it goes on: a moment of the run that moves with the page's clock while it plays. */

import type { RunReplay } from "../../shared/run_replay.ts";
import type { RunView } from "../../shared/run_view.ts";

const TICK_MS = 100;

export const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const;

export interface ReplayMoment {
  readonly view: RunView;
  /** The last event until then. */
  readonly event: number;
  readonly seconds: number;
}

export class ReplayPlayer {
  readonly replay: RunReplay;
  readonly #moved: (moment: ReplayMoment) => void;
  #seconds = 0;
  #speed = 10;
  #timer = 0;
  #lastMs = 0;

  /** `moved` is told every new moment, and when it stops playing. */
  constructor(replay: RunReplay, moved: (moment: ReplayMoment) => void) {
    this.replay = replay;
    this.#moved = moved;
  }

  get isPlaying(): boolean {
    return this.#timer !== 0;
  }

  get seconds(): number {
    return this.#seconds;
  }

  set speed(speed: number) {
    this.#speed = speed;
  }

  /** From the beginning, if it is at the end. */
  play(): void {
    if (this.isPlaying) return;
    if (this.#seconds >= this.replay.duration) this.#seconds = 0;
    this.#lastMs = performance.now();
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
    this.#show(this.replay.indexAt(this.#seconds));
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  seek(seconds: number): void {
    this.#seconds = Math.min(Math.max(0, seconds), this.replay.duration);
    this.#show(this.replay.indexAt(this.#seconds));
  }

  /** To an event, of which several may have the same time. */
  step(event: number | undefined): void {
    if (event === undefined) return;
    this.pause();
    this.#seconds = this.replay.secondsOf(event);
    this.#show(event);
  }

  #tick(): void {
    const nowMs = performance.now();
    const seconds = this.#seconds + ((nowMs - this.#lastMs) / 1000) * this.#speed;
    this.#lastMs = nowMs;
    if (seconds >= this.replay.duration) this.pause();
    this.seek(seconds);
  }

  #show(event: number): void {
    const view = this.replay.viewAfter(event);
    if (view !== undefined) this.#moved({ view: { ...view, seconds: this.#seconds }, event, seconds: this.#seconds });
  }
}
