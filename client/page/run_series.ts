/**
 * The run's curves for the operator: the evaluations that the coordinator kept, and between them the training loss as
 * it was seen live while this page was open.
 */

import type { HistoryPoint, RunView } from "../../shared/run_view.ts";

const MOST_LIVE_POINTS = 2000;

interface Point {
  readonly seconds: number;
  readonly accuracy: number | null;
  readonly testLoss: number | null;
  readonly trainLoss: number | null;
}

export interface Curves {
  readonly seconds: number[];
  readonly accuracy: (number | null)[];
  readonly testLoss: (number | null)[];
  readonly trainLoss: (number | null)[];
}

/** The evaluation before the first exchange knows of no training yet. */
function pointOf({ seconds, samples, accuracy, testLoss, trainLoss }: HistoryPoint): Point {
  return { seconds, accuracy, testLoss, trainLoss: samples === 0 ? null : trainLoss };
}

export class RunSeries {
  #run = "";
  #live: Point[] = [];

  curves(view: RunView): Curves {
    this.#take(view);
    const points: Point[] = [...view.history.map(pointOf), ...this.#live].toSorted((a, b) => a.seconds - b.seconds);
    return {
      seconds: points.map((point) => point.seconds),
      accuracy: points.map((point) => point.accuracy),
      testLoss: points.map((point) => point.testLoss),
      trainLoss: points.map((point) => point.trainLoss),
    };
  }

  #take(view: RunView): void {
    const last = this.#live.at(-1);
    // Another run, or one that was set back to an older checkpoint, begins anew.
    if (this.#run !== view.run || (last !== undefined && view.seconds < last.seconds)) {
      this.#run = view.run;
      this.#live = [];
    }
    if (view.trainLoss === null || view.seconds <= (this.#live.at(-1)?.seconds ?? -1)) return;
    this.#live.push({ seconds: view.seconds, accuracy: null, testLoss: null, trainLoss: view.trainLoss });
    if (this.#live.length > MOST_LIVE_POINTS) this.#live = this.#live.filter((_point, index) => index % 2 === 0);
  }
}
