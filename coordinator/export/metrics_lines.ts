/**
 * A run's measurements as JSON lines, for notebooks: one flat object per evaluation and per logged view (once a second). The keys are
 * explained in `docs/grafana/README.md`, where a test compares them.
 */

import { exportedFile, type ExportedFile } from "./formats.ts";
import { crowdOf, measurementsOf, type Measurement } from "./measurements.ts";
import type { SourceRun } from "./run_source.ts";

export async function metricsLinesOf(run: SourceRun, fileStem: string): Promise<ExportedFile> {
  const encoder = new TextEncoder();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const measurement of measurementsOf(run)) {
    parts.push(encoder.encode(`${JSON.stringify({ run: run.name, ...lineOf(measurement) })}\n`));
  }
  return exportedFile(`${fileStem}.metrics.jsonl`, "application/x-ndjson; charset=utf-8", parts);
}

/** A line without the run's name. */
function lineOf(measurement: Measurement): object {
  const { kind, at } = measurement;
  if (measurement.kind === "evaluation") {
    const { seconds, samples, bytes, accuracy, testLoss, trainLoss, images } = measurement.point;
    return { kind, at, seconds, samples, bytes, accuracy, testLoss, trainLoss, images };
  }
  const { view } = measurement;
  const { staleness, hyperparameters, epoch } = view;
  const { connected, hidden, dutyCycle } = crowdOf(view);
  return {
    kind,
    at,
    seconds: view.seconds,
    state: view.state,
    isPaused: view.isPaused,
    incarnation: view.incarnation,
    version: view.version,
    samples: view.samples,
    samplesPerSecond: view.samplesPerSecond,
    accuracy: view.accuracy,
    testLoss: view.testLoss,
    trainLoss: view.trainLoss,
    exchanges: view.exchanges,
    applied: view.applied,
    refused: view.refused,
    bytesUp: view.bytesUp,
    bytesDown: view.bytesDown,
    replicas: connected,
    hiddenReplicas: hidden,
    dutyCycle,
    stalenessMean: staleness.mean,
    stalenessMedian: staleness.p50,
    stalenessP99: staleness.p99,
    stalenessMax: staleness.max,
    epoch: epoch.epoch,
    epochExamples: epoch.examples,
    epochLeased: epoch.leased,
    epochUsed: epoch.used,
    groups: view.groups,
    learningRate: hyperparameters.learningRate,
    momentum: hyperparameters.momentum,
    communicationPeriod: hyperparameters.communicationPeriod,
    movingRate: hyperparameters.movingRate,
  };
}
