/**
 * The operator's curves: accuracy, losses and speed of the run that is shown, against time, samples or bytes, with a mark wherever a setting
 * was changed; and over them the curves of other runs that were chosen for comparison.
 */

import { changeWords } from "../../shared/run_event_words.ts";
import type { RunView } from "../../shared/run_view.ts";
import type { AxisKind } from "./chart_axis.ts";
import { CurveChart, type Curve, type Mark } from "./curve_chart.ts";
import { byId, setText } from "./dom.ts";
import { clock, counted, figure, loss, percent, percentTick, tick, whole } from "./format.ts";
import { rangeOfLoss } from "./run_charts.ts";
import { placeOf, type RunPoint } from "./run_series.ts";

const HEIGHT_PX = 250;

/** A run beside the one that is shown. */
export interface ComparedCurves {
  readonly name: string;
  /** A custom property. */
  readonly color: string;
  readonly points: readonly RunPoint[];
}

export interface ShownRun {
  readonly view: RunView;
  readonly points: readonly RunPoint[];
  /** Of a replay: the curves grow into this length. */
  readonly end?: RunPoint | undefined;
}

type Measured = "accuracy" | "testLoss" | "trainLoss" | "samplesPerSecond";

export class OperatorCharts {
  readonly #accuracy = new CurveChart(byId("accuracy-chart", HTMLElement), {
    label: "Held-out accuracy",
    height: HEIGHT_PX,
    formatY: (value) => percent(value, 2),
    tickY: percentTick,
    rangeY: rangeOfAccuracy,
  });
  readonly #loss = new CurveChart(byId("loss-chart", HTMLElement), {
    label: "Loss",
    height: HEIGHT_PX,
    formatY: loss,
    tickY: tick,
    rangeY: rangeOfLoss,
  });
  readonly #speed = new CurveChart(byId("speed-chart", HTMLElement), {
    label: "Images per second",
    height: HEIGHT_PX,
    formatY: whole,
    tickY: whole,
    rangeY: (_min, max) => [0, Math.max(1, max * 1.08)],
  });
  readonly #note = byId("marks-note", HTMLElement);
  #axis: AxisKind = "seconds";
  #shown: ShownRun | undefined;
  #compared: readonly ComparedCurves[] = [];

  constructor() {
    byId("axis-switch", HTMLFieldSetElement).addEventListener("change", (event) => {
      const { target } = event;
      if (target instanceof HTMLInputElement) this.#axis = axisNamed(target.value);
      this.#draw();
    });
  }

  show(run: ShownRun): void {
    this.#shown = run;
    this.#draw();
  }

  compare(runs: readonly ComparedCurves[]): void {
    this.#compared = runs;
    this.#draw();
  }

  #draw(): void {
    if (this.#shown === undefined) return;
    const axis = this.#axis;
    const { view, points, end } = this.#shown;
    const marks = marksOf(view, points, axis);
    const endX = end?.[axis];
    const others = (measured: Measured): Curve[] =>
      this.#compared.map(({ name, color, points: theirs }) => curveOf(name, color, theirs, axis, measured));
    const isCompared = this.#compared.length > 0;
    const own = isCompared ? view.run : undefined;
    const accuracy = [curveOf(own ?? "Accuracy", "--fir", points, axis, "accuracy", 2.5), ...others("accuracy")];
    this.#accuracy.show({ axis, marks, endX, curves: withTarget(accuracy, view.targetAccuracy, endX) });
    const heldOut = curveOf(own ?? "Held-out", isCompared ? "--fir" : "--bilberry", points, axis, "testLoss", 2.5);
    const training = curveOf("Training", "--chanterelle", points, axis, "trainLoss", 1.25);
    this.#loss.show({ axis, marks, endX, curves: isCompared ? [heldOut, ...others("testLoss")] : [training, heldOut] });
    const speed = curveOf(own ?? "All replicas", "--fir", points, axis, "samplesPerSecond", 2);
    this.#speed.show({ axis, marks, endX, curves: [speed, ...others("samplesPerSecond")] });
    const changed =
      marks.length === 0 ? "" : `${counted(marks.length, "change is", "changes are")} marked by dashed lines.`;
    setText(this.#note, isCompared ? `${changed} The losses of several runs are held-out.`.trim() : changed);
  }
}

/** As much of the upper end as the runs have reached: the last percents are the interesting ones. */
function rangeOfAccuracy(min: number, max: number): [number, number] {
  const low = Math.max(0, Math.min(min, max - 0.02));
  return [Math.max(0, low - (1 - low) * 0.06), 1];
}

function axisNamed(name: string): AxisKind {
  return name === "samples" || name === "bytes" ? name : "seconds";
}

function curveOf(
  label: string,
  color: string,
  points: readonly RunPoint[],
  axis: AxisKind,
  measured: Measured,
  width = 2,
): Curve {
  const known = points.filter((point) => point[measured] !== null).toSorted((a, b) => a[axis] - b[axis]);
  return { label, color, width, x: known.map((point) => point[axis]), y: known.map((point) => point[measured]) };
}

function withTarget(curves: readonly Curve[], target: number | null, endX = 0): readonly Curve[] {
  if (target === null) return curves;
  const last = Math.max(endX, ...curves.map(({ x }) => x.at(-1) ?? 0));
  const first = Math.min(last, ...curves.map(({ x }) => x[0] ?? last));
  const line = { label: "Target", color: "--muted", width: 1.5, dash: [5, 5], x: [first, last], y: [target, target] };
  return last > first ? [...curves, line] : curves;
}

function marksOf({ changes, autotune }: RunView, points: readonly RunPoint[], axis: AxisKind): Mark[] {
  const byAutotune = autotune.map(({ seconds, phase, learningRate, momentum, groups }) => ({
    x: placeOf(points, seconds, axis),
    text: `${clock(seconds)}: autotune (${phase}), learning rate ${figure(learningRate)}, momentum ${figure(momentum)}, ${counted(groups, "group", "groups")}`,
    color: "--bilberry",
  }));
  // What autotune chose has its reason in the decision, which is marked already.
  const isTuned = autotune.length > 0;
  const byHand = changes
    .filter(({ by }) => by === "operator" || !isTuned)
    .map((change) => ({
      x: axis === "samples" ? change.samples : placeOf(points, change.seconds, axis),
      text: `${clock(change.seconds)}: ${changeWords(change)}`,
      color: "--chanterelle",
    }));
  return [...byAutotune, ...byHand];
}
