/** The replica's own numbers for the volunteer, gathered from what happens in the training loop. */

import { StalenessHistogram } from "../../shared/staleness_histogram.ts";
import { isRefusalCode } from "../../shared/wire/codes.ts";
import type { Header } from "../../shared/wire/messages.ts";
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

  /** From now on it will be so many times as fast. */
  scale(factor: number): void {
    this.#weightMs /= factor;
  }

  /** Time until the next `add` does not count: training paused. */
  interrupt(): void {
    this.#lastMs = undefined;
  }
}

/** How much of the time since training began was spent in steps. What the device does while the loop is elsewhere is not seen. */
class BusyTime {
  #busyMs = 0;
  #allMs = 0;
  /** Up to when the time is counted; undefined while nobody trains. */
  #countedMs: number | undefined;

  worked(fromMs: number, toMs: number): void {
    this.#countedMs ??= fromMs;
    this.#busyMs += toMs - fromMs;
    this.#count(toMs);
  }

  /** Of its own will: counts neither way. */
  rested(fromMs: number, toMs: number): void {
    if (this.#countedMs === undefined) return;
    this.#count(fromMs);
    this.#countedMs = toMs;
  }

  /** Time until the next step does not count. */
  interrupt(): void {
    this.#countedMs = undefined;
  }

  shareAt(nowMs: number): number | undefined {
    if (this.#countedMs !== undefined) this.#count(nowMs);
    return this.#allMs === 0 ? undefined : this.#busyMs / this.#allMs;
  }

  #count(untilMs: number): void {
    this.#allMs += untilMs - (this.#countedMs ?? untilMs);
    this.#countedMs = untilMs;
  }
}

/** What others know. */
interface Reported extends Pick<
  ReplicaProgress,
  "replica" | "assignment" | "bytesUp" | "bytesDown" | "transport" | "bytesFetched" | "firstStep" | "periodFactor"
> {
  readonly nowMs: number;
}

export class Progress {
  readonly #speed = new Speed();
  /** Milliseconds in steps, in place of samples. */
  readonly #computing = new Speed();
  readonly #busy = new BusyTime();
  readonly #staleness = new StalenessHistogram();
  #localSteps = 0;
  #samples = 0;
  #exchanges = 0;
  /** That the pushes told of. */
  #stepsTold = 0;
  #applied = 0;
  #refused = 0;
  readonly #refusals = new Map<string, number>();
  #lastRefusal: string | undefined;
  #loss: number | undefined;
  #lastStaleness: number | undefined;

  get localSteps(): number {
    return this.#localSteps;
  }

  get samplesPerSecond(): number {
    return this.#speed.perSecond;
  }

  /** From the step's beginning until the device had room for another. */
  stepped(samples: number, beganMs: number, nowMs: number): void {
    this.#localSteps++;
    this.#samples += samples;
    this.#speed.add(samples, nowMs);
    this.#computing.add(nowMs - beganMs, nowMs);
    this.#busy.worked(beganMs, nowMs);
  }

  /** For a duty cycle. */
  rested(fromMs: number, nowMs: number): void {
    this.#busy.rested(fromMs, nowMs);
  }

  /** The duty cycle is so many times what it was. */
  accelerated(factor: number): void {
    this.#speed.scale(factor);
    this.#computing.scale(factor);
  }

  interrupted(): void {
    this.#speed.interrupt();
    this.#computing.interrupt();
    this.#busy.interrupt();
  }

  pushed({ meanLoss, steps }: Pick<Header<"push">, "meanLoss" | "steps">): void {
    this.#exchanges++;
    this.#stepsTold += steps;
    this.#loss = meanLoss;
  }

  answered(staleness: number): void {
    this.#applied++;
    this.#staleness.add(staleness);
    this.#lastStaleness = staleness;
  }

  refused({ code, sentence }: Pick<Header<"refusal">, "code" | "sentence">): void {
    this.#refused++;
    // What a coordinator may send is bounded: texts of another version count together.
    const name = isRefusalCode(code) ? code : "OTHER";
    this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
    this.#lastRefusal = sentence;
  }

  /** Training broke here, and nothing was sent. */
  diverged(sentence: string): void {
    this.#lastRefusal = sentence;
  }

  report({ nowMs, ...reported }: Reported): ReplicaProgress {
    return {
      ...reported,
      localSteps: this.#localSteps,
      samples: this.#samples,
      samplesPerSecond: this.#speed.perSecond,
      busyShare: this.#busy.shareAt(nowMs),
      computingShare: this.#computing.perSecond / 1000,
      exchanges: this.#exchanges,
      stepsPerExchange: this.#exchanges === 0 ? undefined : this.#stepsTold / this.#exchanges,
      applied: this.#applied,
      refused: this.#refused,
      lastRefusal: this.#lastRefusal,
      loss: this.#loss,
      staleness: this.#staleness.summary(),
      lastStaleness: this.#lastStaleness,
      refusals: Object.fromEntries(this.#refusals),
    };
  }
}
