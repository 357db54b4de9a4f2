/**
 * A run's measurements as an event file of TensorBoard. A step is one training sample behind an applied push, so that runs with different
 * batches and numbers of replicas can be laid over each other; the time of day is that of the measurement.
 */

import type { StalenessView } from "../../shared/run_view.ts";
import { exportedFile, type ExportedFile } from "./formats.ts";
import { crowdOf, measurementsOf, type Measurement } from "./measurements.ts";
import { encoderOf } from "./proto_file.ts";
import { recordOf } from "./record_file.ts";
import type { SourceRun } from "./run_source.ts";

const FILE_VERSION = "brain.Event:2";
/** A histogram has up to 257 buckets; one every so many views, and the last, is more than a chart shows. */
const VIEWS_PER_HISTOGRAM = 10;

/** A scalar or histogram under its name. */
type SummaryValue =
  | { readonly tag: string; readonly simpleValue: number }
  | { readonly tag: string; readonly histo: Histogram };

interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  readonly bucketLimit: readonly number[];
  readonly bucket: readonly number[];
}

export async function tensorboardOf(run: SourceRun): Promise<ExportedFile> {
  const encode = await encoderOf("tensorboard.proto", "tensorboard.Event");
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const write = (event: object): void => void parts.push(recordOf(encode(event)));
  let firstSeconds: number | undefined;
  let viewsWithout = VIEWS_PER_HISTOGRAM;
  let unwritten: (Measurement & { readonly kind: "view" }) | undefined;
  const writeSummary = (measurement: Measurement, value: readonly SummaryValue[]): void =>
    write({ wallTime: wallSecondsOf(measurement), step: samplesOf(measurement), summary: { value } });
  for await (const measurement of measurementsOf(run)) {
    const wallTime = wallSecondsOf(measurement);
    if (firstSeconds === undefined) write({ wallTime, fileVersion: FILE_VERSION });
    firstSeconds ??= wallTime;
    const value = [...scalarsOf(measurement)];
    if (measurement.kind === "view") {
      const isDue = ++viewsWithout >= VIEWS_PER_HISTOGRAM && measurement.view.applied > 0;
      if (isDue) value.push(...histogramOf(measurement.view.staleness));
      unwritten = isDue ? undefined : measurement;
      if (isDue) viewsWithout = 0;
    }
    writeSummary(measurement, value);
  }
  // The last one is what the run was like on the whole.
  const rest = unwritten ? histogramOf(unwritten.view.staleness) : [];
  if (unwritten && rest.length > 0) writeSummary(unwritten, rest);
  if (firstSeconds === undefined) write({ wallTime: 0, fileVersion: FILE_VERSION });
  const name = `events.out.tfevents.${Math.floor(firstSeconds ?? 0)}.drove`;
  return exportedFile(name, "application/octet-stream", parts);
}

/** Of a run without an event log the times of day are not known: it begins in 1970. */
function wallSecondsOf(measurement: Measurement): number {
  if (measurement.at !== null) return Date.parse(measurement.at) / 1000;
  return measurement.kind === "evaluation" ? measurement.point.seconds : measurement.view.seconds;
}

function samplesOf(measurement: Measurement): number {
  return measurement.kind === "evaluation" ? measurement.point.samples : measurement.view.samples;
}

function* scalarsOf(measurement: Measurement): Generator<SummaryValue> {
  for (const [tag, simpleValue] of Object.entries(numbersOf(measurement))) {
    if (simpleValue !== null) yield { tag, simpleValue };
  }
}

function numbersOf(measurement: Measurement): Readonly<Record<string, number | null>> {
  if (measurement.kind === "evaluation") {
    const { accuracy, testLoss } = measurement.point;
    return { "accuracy/test": accuracy, "loss/test": testLoss };
  }
  const { view } = measurement;
  const { staleness, hyperparameters, epoch } = view;
  const { connected, hidden, dutyCycle } = crowdOf(view);
  return {
    "loss/train": view.trainLoss,
    "throughput/samples_per_second": view.samplesPerSecond,
    "throughput/received_megabytes": view.bytesUp / 1e6,
    "throughput/sent_megabytes": view.bytesDown / 1e6,
    "exchanges/applied": view.applied,
    "exchanges/refused": view.refused,
    "staleness/mean": staleness.mean,
    "staleness/p99": staleness.p99,
    "replicas/connected": connected,
    "replicas/hidden": hidden,
    "replicas/duty_cycle": dutyCycle,
    "epoch/number": epoch.epoch,
    "epoch/used_share": epoch.examples === 0 ? null : epoch.used / epoch.examples,
    "hyperparameters/learning_rate": hyperparameters.learningRate,
    "hyperparameters/momentum": hyperparameters.momentum,
    "hyperparameters/communication_period": hyperparameters.communicationPeriod,
    "hyperparameters/moving_rate": hyperparameters.movingRate,
    "hyperparameters/groups": hyperparameters.groups,
  };
}

/** Of all pushes so far: a bucket for each staleness, the last one for all that were staler. */
function histogramOf({ counts, mean, max }: StalenessView): SummaryValue[] {
  const num = counts.reduce((sum, count) => sum + count, 0);
  if (num === 0) return [];
  const last = counts.length - 1;
  const histo: Histogram = {
    min: counts.findIndex((count) => count > 0),
    max,
    num,
    sum: mean * num,
    sumSquares: counts.reduce((sum, count, staleness) => sum + count * staleness ** 2, 0),
    bucketLimit: counts.map((_, staleness) => (staleness === last ? Math.max(max, last) : staleness) + 0.5),
    bucket: counts,
  };
  return [{ tag: "staleness/versions", histo }];
}
