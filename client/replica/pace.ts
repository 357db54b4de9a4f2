/**
 * What the training loop does between two steps: rests for the duty cycle, and lets messages in. Without breaths nothing would
 * ever arrive; with long ones nobody would train.
 */

import type { Clock } from "./clock.ts";
import { DutyCycle } from "./duty_cycle.ts";
import type { Progress } from "./progress.ts";
import type { Waiting } from "./waiting.ts";

/**
 * A browser moves 1.7 MB through a pipe in pieces, and each piece waits for the event loop of this thread. With 70 ms steps
 * (LeNet on WASM) and one look between two, a push and its answer took 15 to 27 steps; with 4 ms after each, 4 or 5
 * (Chromium 156, busy 2-core Xeon, 2026-11-21). So there the loop sleeps for this share of the time that steps block it, but only
 * while data is still coming, or while an exchange has not come back in half of its period: what is encoded mostly has.
 */
const TRANSFER_SHARE = 0.06;

export class Pace {
  readonly dutyCycle: DutyCycle;
  readonly #clock: Clock;
  readonly #waiting: Waiting;
  readonly #progress: Progress;
  /** To what is being transferred. */
  #owedMs = 0;

  constructor(clock: Clock, waiting: Waiting, progress: Progress, dutyCycle: number) {
    this.#clock = clock;
    this.#waiting = waiting;
    this.#progress = progress;
    this.dutyCycle = new DutyCycle(dutyCycle);
  }

  /** From now on; what is seen of its speed follows. */
  setDutyCycle(share: number): void {
    this.#progress.accelerated(share / this.dutyCycle.share);
    this.dutyCycle.set(share);
    this.#waiting.wake();
  }

  /** After a step that began then: with a duty cycle, waits until it is computed, for what waits in a queue has not been. */
  async account(beganMs: number, idle: () => Promise<void>): Promise<void> {
    if (!this.dutyCycle.isLimited) return;
    await this.#waiting.until(idle());
    this.dutyCycle.worked(this.#clock.nowMs() - beganMs);
  }

  /** A step of a slower device would not be done before; what happens meanwhile is seen to. `rest` ends early then. */
  async restOwed(rest: (ms: number) => Promise<void>): Promise<void> {
    const beganMs = this.#clock.nowMs();
    await rest(this.dutyCycle.owedMs);
    const nowMs = this.#clock.nowMs();
    this.dutyCycle.rested(nowMs - beganMs);
    this.#progress.rested(beganMs, nowMs);
  }

  /** Lets messages in after a step that kept the event loop blocked for `blockedMs`. `isAwaited`: data or an answer is on its way. */
  async breathe(blockedMs: number, isAwaited: boolean): Promise<void> {
    const beganMs = this.#clock.nowMs();
    await this.#breath(blockedMs, isAwaited);
    // On a busy machine a breath may take as long as a step, and nothing is computed meanwhile.
    if (this.dutyCycle.isLimited) this.dutyCycle.rested(this.#clock.nowMs() - beganMs);
  }

  async #breath(blockedMs: number, isAwaited: boolean): Promise<void> {
    const { transferMs = Number.POSITIVE_INFINITY } = this.#clock;
    this.#owedMs = isAwaited ? this.#owedMs + TRANSFER_SHARE * blockedMs : 0;
    if (this.#owedMs < transferMs) return this.#clock.breathe();
    this.#owedMs = 0;
    await this.#waiting.until(this.#clock.sleep(transferMs));
  }
}
