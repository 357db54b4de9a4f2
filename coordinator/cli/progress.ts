/**
 * How a run is going, on stderr: one bar on a terminal, a plain line every few seconds elsewhere. Reads views only.
 */

import type { SingleBar } from "cli-progress";
import type { RunView } from "../../shared/run_view.ts";
import { progressBar } from "./count_progress.ts";
import { percent, thousands } from "./output.ts";

/** Between two plain lines. */
const LINE_INTERVAL_MS = 5000;

export interface Progress {
  update(view: RunView): void;
  stop(): void;
}

/** `maxSeconds` ends the run if nothing else does. */
export function startProgress(maxSeconds: number | null): Progress {
  return process.stderr.isTTY ? new BarProgress(maxSeconds) : new LineProgress(maxSeconds);
}

class BarProgress implements Progress {
  readonly #maxSeconds: number | null;
  readonly #bar: SingleBar;

  constructor(maxSeconds: number | null) {
    this.#maxSeconds = maxSeconds;
    this.#bar = progressBar();
    this.#bar.start(1000, 0, { text: "waiting for the first replica" });
  }

  update(view: RunView): void {
    this.#bar.update(Math.round(1000 * shareDone(view, this.#maxSeconds)), { text: describe(view, this.#maxSeconds) });
  }

  stop(): void {
    this.#bar.stop();
  }
}

class LineProgress implements Progress {
  readonly #maxSeconds: number | null;
  #lastMs = Number.NEGATIVE_INFINITY;
  #lastLine = "";

  constructor(maxSeconds: number | null) {
    this.#maxSeconds = maxSeconds;
  }

  update(view: RunView): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < LINE_INTERVAL_MS) return;
    this.#lastMs = nowMs;
    const line = describe(view, this.#maxSeconds);
    if (line !== this.#lastLine) process.stderr.write(`${line}\n`);
    this.#lastLine = line;
  }

  stop(): void {}
}

function shareDone(view: RunView, maxSeconds: number | null): number {
  const { accuracy, targetAccuracy, seconds } = view;
  if (targetAccuracy !== null) return Math.min(1, (accuracy ?? 0) / targetAccuracy);
  return maxSeconds === null ? 0 : Math.min(1, seconds / maxSeconds);
}

function describe(view: RunView, maxSeconds: number | null): string {
  const replicas = view.replicas.filter((replica) => replica.connected).length;
  if (view.state === "waiting") return `waiting for the first exchange | ${replicas} replicas connected`;
  const target = view.targetAccuracy === null ? "" : ` of ${percent(view.targetAccuracy)}`;
  const isProving =
    view.targetAccuracy !== null && (view.accuracy ?? 0) >= view.targetAccuracy && view.state === "training";
  const left = isProving ? null : secondsLeft(view, maxSeconds);
  return [
    `accuracy ${percent(view.accuracy)}${target}`,
    `loss ${view.trainLoss?.toFixed(4) ?? "-"}`,
    `${thousands(view.samplesPerSecond)} samples/s`,
    `${thousands(view.exchanges)} exchanges`,
    `staleness ${view.staleness.mean.toFixed(2)}`,
    `${replicas} replicas`,
    `${duration(view.seconds)}${left === null ? "" : `, about ${duration(left)} left`}`,
    ...(view.isPaused ? ["paused"] : []),
    ...(isProving ? ["asking all test images"] : []),
  ].join(" | ");
}

/**
 * The error usually falls like an exponential of time late in a run: the last evaluations' straight line through its
 * logarithm says when it meets the target's. null where it does not fall, or too little is known.
 */
export function secondsLeft(view: RunView, maxSeconds: number | null): number | null {
  const untilLimit = maxSeconds === null ? null : Math.max(0, maxSeconds - view.seconds);
  const first = view.history.at(-6) ?? view.history[0];
  const last = view.history.at(-1);
  if (view.targetAccuracy === null || !first || !last || last.seconds <= first.seconds) return untilLimit;
  const slope = (logError(last.accuracy) - logError(first.accuracy)) / (last.seconds - first.seconds);
  if (slope >= 0) return untilLimit;
  const untilTarget = Math.max(0, (logError(view.targetAccuracy) - logError(last.accuracy)) / slope);
  return untilLimit === null ? untilTarget : Math.min(untilLimit, untilTarget);
}

function logError(accuracy: number): number {
  return Math.log(Math.max(1e-4, 1 - accuracy));
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
