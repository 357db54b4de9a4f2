/** Settings and results of several runs as a table's rows, with those marked in which the runs differ. */

import type { LoggedSettings } from "../../shared/run_log_reader.ts";
import type { RunView } from "../../shared/run_view.ts";
import { bytes, decimal, duration, figure, loss, percent, short, whole } from "./format.ts";
import { STATES } from "./run_states.ts";
import { policyWords } from "./setting_fields.ts";

export interface ComparedRun {
  readonly name: string;
  readonly view: RunView;
  /** As it last began; undefined where only the view is known. */
  readonly settings: LoggedSettings | undefined;
}

export interface ComparisonRow {
  readonly title: string;
  readonly kind: "setting" | "result";
  /** One for each run. */
  readonly values: readonly string[];
  /** The runs do not all say the same. */
  readonly isDifferent: boolean;
}

type Told = (run: ComparedRun) => string;

const unknown = "–";
const setting =
  (tell: (settings: LoggedSettings) => string): Told =>
  ({ settings }) =>
    settings === undefined ? unknown : tell(settings);

const SETTINGS: readonly (readonly [string, Told])[] = [
  ["Model", ({ view }) => view.model],
  ["Data", ({ view }) => view.data],
  ["Solver", ({ view }) => view.solver],
  ["Exchange", setting(({ exchange }) => exchange.replaceAll("-", " "))],
  ["Batch", setting(({ batch }) => whole(batch))],
  ["Period τ", ({ view }) => whole(view.hyperparameters.communicationPeriod)],
  ["Learning rate", ({ view }) => figure(view.hyperparameters.learningRate)],
  ["Momentum", ({ view }) => figure(view.hyperparameters.momentum)],
  [
    "Moving rate α",
    ({ view: { hyperparameters } }) =>
      hyperparameters.movingRate === null ? "β / replicas" : figure(hyperparameters.movingRate),
  ],
  ["Elastic rate β", ({ view }) => figure(view.hyperparameters.elasticRate)],
  ["Staleness policy", ({ view }) => policyWords(view.hyperparameters.staleness)],
  [
    "Compute groups",
    ({ view: { hyperparameters } }) => (hyperparameters.groups === null ? "none" : whole(hyperparameters.groups)),
  ],
  ["Weight decay", setting(({ weightDecay }) => figure(weightDecay))],
  ["Optimizer", setting(({ optimizer }) => optimizer.kind)],
  ["Codecs, up and down", ({ view: { codecs } }) => `${codecs.up}, ${codecs.down}`],
  ["Fragments", ({ view }) => whole(view.fragments)],
  ["Transport", setting(({ transport }) => transport)],
  ["Seed", setting(({ seed }) => String(seed))],
  ["Target", ({ view }) => percent(view.targetAccuracy)],
  ["Changes on the way", ({ view }) => whole(view.changes.length)],
];

/** `common`: the accuracy that all of them reached. */
function resultsOf(common: number | undefined): readonly (readonly [string, Told])[] {
  return [
    ["State", ({ view }) => STATES[view.state]],
    ["Accuracy", ({ view }) => percent(view.accuracy, 2)],
    ["Best accuracy", ({ view }) => percent(bestOf(view), 2)],
    ...(common === undefined
      ? []
      : ([
          [`Time to ${percent(common)}`, ({ view }) => reachedBy(view, common, ({ seconds }) => duration(seconds))],
          [`Images to ${percent(common)}`, ({ view }) => reachedBy(view, common, ({ samples }) => short(samples))],
        ] satisfies (readonly [string, Told])[])),
    ["Held-out loss", ({ view }) => loss(view.testLoss)],
    ["Time", ({ view }) => duration(view.seconds)],
    ["Images", ({ view }) => short(view.samples)],
    ["Images per second, on average", ({ view }) => (view.seconds > 0 ? whole(view.samples / view.seconds) : unknown)],
    ["Replicas in all", ({ view }) => whole(view.replicas.length)],
    ["Exchanges", ({ view }) => short(view.exchanges)],
    ["Refused", ({ view }) => whole(view.refused)],
    ["Mean staleness", ({ view }) => decimal(view.staleness.mean, 2)],
    ["Bytes, both ways", ({ view }) => bytes(view.bytesUp + view.bytesDown)],
  ];
}

export function comparisonOf(runs: readonly ComparedRun[]): readonly ComparisonRow[] {
  const rowOf =
    (kind: ComparisonRow["kind"]) =>
    ([title, tell]: readonly [string, Told]): ComparisonRow => {
      const values = runs.map(tell);
      return { title, kind, values, isDifferent: new Set(values).size > 1 };
    };
  return [...SETTINGS.map(rowOf("setting")), ...resultsOf(commonAccuracy(runs)).map(rowOf("result"))];
}

function bestOf({ history, accuracy }: RunView): number | null {
  return history.length === 0 ? accuracy : Math.max(...history.map((point) => point.accuracy));
}

/** Rounded down to half a percent, so that it is a number to speak of. */
function commonAccuracy(runs: readonly ComparedRun[]): number | undefined {
  const best = runs.map(({ view }) => bestOf(view) ?? 0);
  const common = Math.floor(Math.min(...best) * 200) / 200;
  return runs.length > 1 && common > 0 ? common : undefined;
}

function reachedBy(
  { history }: RunView,
  accuracy: number,
  tell: (point: RunView["history"][number]) => string,
): string {
  const point = history.find((evaluated) => evaluated.accuracy >= accuracy);
  return point === undefined ? unknown : tell(point);
}
