/**
 * A run's curves as points: the evaluations that the coordinator kept, and between them the training loss and the speed as they were seen
 * live while this page was open.
 */

import type { HistoryPoint, RunView } from "../../shared/run_view.ts";
import type { AxisKind } from "./chart_axis.ts";

const MOST_LIVE_POINTS = 2000;
/** Between two evaluations, to make a speed of them: shorter ones say more about the clock. */
const LEAST_SECONDS = 2;

export interface RunPoint {
  readonly seconds: number;
  readonly samples: number;
  readonly bytes: number;
  readonly accuracy: number | null;
  readonly testLoss: number | null;
  readonly trainLoss: number | null;
  readonly samplesPerSecond: number | null;
}

/** The evaluations, with the mean speed since the one before, up to where it is known better. */
export function pointsOf(history: readonly HistoryPoint[], speedUntilSeconds = Infinity): RunPoint[] {
  let before = { seconds: 0, samples: 0 };
  return history.map(({ seconds, samples, bytes, accuracy, testLoss, trainLoss }) => {
    const took = seconds - before.seconds;
    const isMeasured = took >= LEAST_SECONDS && samples >= before.samples && seconds < speedUntilSeconds;
    const samplesPerSecond = isMeasured ? (samples - before.samples) / took : null;
    if (isMeasured || took < 0) before = { seconds, samples };
    // The evaluation before the first exchange knows of no training yet.
    return {
      seconds,
      samples,
      bytes,
      accuracy,
      testLoss,
      trainLoss: samples === 0 ? null : trainLoss,
      samplesPerSecond,
    };
  });
}

/** Where a moment of the run lies on another axis: between the points around it. */
export function placeOf(points: readonly RunPoint[], seconds: number, axis: AxisKind): number {
  if (axis === "seconds") return seconds;
  const next = points.findIndex((point) => point.seconds >= seconds);
  const after = points[next];
  const before = points[next - 1];
  if (after === undefined) return points.at(-1)?.[axis] ?? 0;
  if (before === undefined || after.seconds <= before.seconds) return after[axis];
  const share = (seconds - before.seconds) / (after.seconds - before.seconds);
  return before[axis] + share * (after[axis] - before[axis]);
}

/** What was seen of the current run since the page was opened. */
export class LivePoints {
  #run = "";
  #live: RunPoint[] = [];

  /** All points of the run up to this view. */
  take(view: RunView): readonly RunPoint[] {
    this.#add(view);
    const kept = pointsOf(view.history, this.#live[0]?.seconds);
    return [...kept, ...this.#live].toSorted((a, b) => a.seconds - b.seconds);
  }

  #add({ run, seconds, samples, bytesUp, bytesDown, trainLoss, samplesPerSecond, state, isPaused }: RunView): void {
    const last = this.#live.at(-1);
    // Another run, or one that was set back to an older checkpoint, begins anew.
    if (this.#run !== run || (last !== undefined && seconds < last.seconds)) {
      this.#run = run;
      this.#live = [];
    }
    if (trainLoss === null || seconds <= (this.#live.at(-1)?.seconds ?? -1)) return;
    const isStanding = isPaused || state !== "training";
    this.#live.push({
      seconds,
      samples,
      bytes: bytesUp + bytesDown,
      accuracy: null,
      testLoss: null,
      trainLoss: isStanding ? null : trainLoss,
      samplesPerSecond,
    });
    if (this.#live.length > MOST_LIVE_POINTS) this.#live = this.#live.filter((_point, index) => index % 2 === 0);
  }
}
