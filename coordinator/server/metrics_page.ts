/**
 * `/metrics` in Prometheus' text format: every metric of `shared/metrics.ts`, filled from the run's view when asked. The
 * run counts once; nothing is counted a second time here.
 */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { METRICS } from "../../shared/metrics.ts";
import type { RunView, StalenessView } from "../../shared/run_view.ts";

type MetricKey = keyof typeof METRICS;
type StalenessKey = "staleness";
/** Metrics that have labels. */
type LabelledKey = "refusals" | "backends" | "changes" | "info";

/** Every metric that is one number. A missing one (no evaluation yet) is not shown. */
const NUMBERS: Record<Exclude<MetricKey, StalenessKey | LabelledKey>, (from: Source) => number | null> = {
  centerVersion: ({ view }) => view.version,
  incarnation: ({ view }) => view.incarnation,
  replicas: ({ view }) => connected(view).length,
  exchanges: ({ view }) => view.exchanges,
  applied: ({ view }) => view.applied,
  repeated: ({ view }) => view.repeated,
  overlapped: ({ view }) => view.overlappedApplies,
  heldSeconds: ({ view }) => view.replicas.reduce((sum, replica) => sum + replica.heldSeconds, 0),
  groups: ({ view }) => view.groups ?? 0,
  averagedRounds: ({ view }) => view.directRounds?.averaged ?? 0,
  fallenRounds: ({ view }) => view.directRounds?.fallen ?? 0,
  samples: ({ view }) => view.samples,
  bytesUp: ({ view }) => view.bytesUp,
  bytesDown: ({ view }) => view.bytesDown,
  slices: ({ view }) => view.slices,
  slicesLost: ({ view }) => view.slicesLost,
  accuracy: ({ view }) => view.accuracy,
  targetAccuracy: ({ view }) => view.targetAccuracy,
  testLoss: ({ view }) => view.testLoss,
  trainLoss: ({ view }) => view.trainLoss,
  trainingSeconds: ({ view }) => view.seconds,
  paused: ({ view }) => (view.isPaused ? 1 : 0),
  hidden: ({ view }) => connected(view).filter(({ isHidden }) => isHidden).length,
  draining: ({ view }) => connected(view).filter(({ isDraining }) => isDraining).length,
  dutyCycle: ({ view }) => meanOf(connected(view).map(({ dutyCycle }) => dutyCycle)),
  epoch: ({ view }) => view.epoch.epoch,
  epochExamples: ({ view }) => view.epoch.examples,
  epochLeased: ({ view }) => view.epoch.leased,
  epochUsed: ({ view }) => view.epoch.used,
  learningRate: ({ view }) => view.hyperparameters.learningRate,
  momentum: ({ view }) => view.hyperparameters.momentum,
  communicationPeriod: ({ view }) => view.hyperparameters.communicationPeriod,
  checkpointSeconds: ({ checkpointAgeSeconds }) => checkpointAgeSeconds,
};

type Labelled = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

const LABELLED: Record<LabelledKey, (from: Source) => Labelled> = {
  refusals: ({ view }) => Object.entries(view.refusals).map(([code, count]) => [{ code }, count]),
  backends: ({ view }) =>
    Object.entries(Object.groupBy(connected(view), ({ backend }) => backend)).map(([backend, replicas]) => [
      { backend },
      replicas.length,
    ]),
  changes: ({ view }) =>
    (["operator", "autotune"] as const).map((by) => [{ by }, view.changes.filter((change) => change.by === by).length]),
  info: ({ view: { run, model, data, solver } }) => [[{ run, model, data, solver }, 1]],
};

function connected({ replicas }: RunView): RunView["replicas"] {
  return replicas.filter((replica) => replica.connected);
}

/** null where there is nothing to take it of. */
function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Upper bounds of the buckets, in versions; the run counts exactly up to 255. */
const STALENESS_BUCKETS = [0, 1, 2, 4, 8, 16, 32, 64, 128];

export interface Source {
  readonly view: RunView;
  /** Since the newest durable checkpoint; null before the first. */
  readonly checkpointAgeSeconds: number | null;
}

export async function metricsText(source: Source): Promise<{ readonly contentType: string; readonly text: string }> {
  const registry = new Registry();
  const registers = [registry];
  for (const [key, read] of Object.entries(NUMBERS)) {
    const { name, help, kind } = METRICS[key as keyof typeof NUMBERS];
    const value = read(source);
    if (value === null) continue;
    if (kind === "gauge") new Gauge({ name, help, registers }).set(value);
    else new Counter({ name, help, registers }).inc(value);
  }
  for (const [key, read] of Object.entries(LABELLED)) {
    const { name, help, kind, labels } = METRICS[key as LabelledKey];
    const settings = { name, help, labelNames: [...labels], registers };
    const metric = kind === "gauge" ? new Gauge(settings) : new Counter(settings);
    for (const [label, value] of read(source)) metric.inc(label, value);
  }
  registry.registerMetric(new StalenessMetric(source.view.staleness));
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** prom-client's histogram counts one observation at a time; the run has counted already. */
class StalenessMetric extends Histogram {
  readonly #staleness: StalenessView;

  constructor(staleness: StalenessView) {
    const { name, help } = METRICS.staleness;
    super({ name, help, buckets: STALENESS_BUCKETS, registers: [] });
    this.#staleness = staleness;
  }

  /** What the registry asks for when it writes its text (prom-client's types leave it out). */
  getForPromString(): object {
    const { counts, mean } = this.#staleness;
    const { name, help, kind } = METRICS.staleness;
    const upTo = (bound: number): number => counts.slice(0, bound + 1).reduce((sum, count) => sum + count, 0);
    const total = upTo(counts.length);
    const bucket = (le: number | "+Inf", value: number): object => ({
      metricName: `${name}_bucket`,
      labels: { le },
      value,
    });
    return {
      name,
      help,
      type: kind,
      values: [
        ...STALENESS_BUCKETS.map((bound) => bucket(bound, upTo(bound))),
        bucket("+Inf", total),
        { metricName: `${name}_sum`, labels: {}, value: mean * total },
        { metricName: `${name}_count`, labels: {}, value: total },
      ],
    };
  }
}
