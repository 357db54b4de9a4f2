/** What the training benchmark ends with: ratios, agreement of the losses, and a table to keep in `results/`. */

import { CONTESTANTS, type ContestantName } from "./job.ts";
import type { Measurement, Outcome } from "./measure.ts";

/** The peers' losses may differ from ours by this much. */
export const LOSS_TOLERANCE = 1e-3;

export interface WorkloadReport {
  readonly name: string;
  readonly batch: number;
  /** The faster of our backends, and both. */
  readonly drove: (Measurement & { readonly backend: string; readonly backends: Record<string, Outcome> }) | null;
  readonly peers: Readonly<Record<string, Outcome>>;
  /** The best WebGPU peer's step over our WebGPU backend's. */
  readonly ratioToBestWebGpuPeer: number | null;
  /** The same of processor time, steadier on a shared machine; in software it is the honest cost. */
  readonly processorRatioToBestWebGpuPeer: number | null;
  /** The best peer's step, whatever its backend, over our faster backend's. */
  readonly ratioToBestPeer: number | null;
  /** The best WebGPU peer's first step over our WebGPU backend's, compiling and tuning included in both. */
  readonly firstStepRatio: number | null;
  /** Between any two engines at any of the first steps; null where fewer than two were measured. */
  readonly maxLossDifference: number | null;
}

export interface TrainingReport {
  readonly bench: "training";
  readonly runtime: string;
  readonly machine: string;
  readonly date: string;
  readonly quick: boolean;
  readonly workloads: readonly WorkloadReport[];
  /** Of `ratioToBestWebGpuPeer`. */
  readonly geometricMeanRatio: number | null;
  readonly geometricMeanRatioToBestPeer: number | null;
}

function isMeasurement(outcome: Outcome): outcome is Measurement {
  return "stepMs" in outcome;
}

export function reportWorkload(name: string, batch: number, outcomes: readonly Outcome[]): WorkloadReport {
  const measured = outcomes.filter(isMeasurement);
  const ours = measured.filter(({ contestant }) => isOurs(contestant));
  const peers = measured.filter(({ contestant }) => !isOurs(contestant));
  const onWebGpu = peers.filter(({ contestant }) => CONTESTANTS[contestant].backend === "webgpu");
  const webGpu = ours.find(({ contestant }) => contestant === "drove-webgpu");
  const best = fastest(ours);
  return {
    name,
    batch,
    drove: best
      ? {
          ...best,
          backend: CONTESTANTS[best.contestant].backend,
          backends: byName(
            outcomes.filter(({ contestant }) => isOurs(contestant)),
            (contestant) => CONTESTANTS[contestant].backend,
          ),
        }
      : null,
    peers: byName(
      outcomes.filter(({ contestant }) => !isOurs(contestant)),
      (contestant) => contestant,
    ),
    ratioToBestWebGpuPeer: ratio(fastest(onWebGpu)?.stepMs, webGpu?.stepMs),
    processorRatioToBestWebGpuPeer: ratio(
      least(onWebGpu.flatMap(({ processorMs }) => processorMs ?? [])),
      webGpu?.processorMs ?? undefined,
    ),
    ratioToBestPeer: ratio(fastest(peers)?.stepMs, best?.stepMs),
    firstStepRatio: ratio(least(onWebGpu.map(({ firstStepMs }) => firstStepMs)), webGpu?.firstStepMs),
    maxLossDifference: measured.length < 2 ? null : lossDifference(measured),
  };
}

export function geometricMean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  return Math.exp(known.reduce((sum, value) => sum + Math.log(value), 0) / known.length);
}

function byName(outcomes: readonly Outcome[], nameOf: (contestant: ContestantName) => string): Record<string, Outcome> {
  return Object.fromEntries(outcomes.map((outcome) => [nameOf(outcome.contestant), outcome]));
}

function isOurs(contestant: ContestantName): boolean {
  return CONTESTANTS[contestant].engine === "drove";
}

function fastest(measured: readonly Measurement[]): Measurement | undefined {
  return measured.toSorted((one, other) => one.stepMs - other.stepMs)[0];
}

function least(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.min(...values);
}

function ratio(peer: number | undefined, own: number | undefined): number | null {
  return peer === undefined || own === undefined ? null : peer / own;
}

function lossDifference(measured: readonly Measurement[]): number {
  const steps = Math.min(...measured.map(({ losses }) => losses.length));
  const spreads = Array.from({ length: steps }, (_, step) => {
    const losses = measured.map((one) => one.losses[step]!);
    return Math.max(...losses) - Math.min(...losses);
  });
  // A loss that is not a number makes the difference one too.
  return spreads.reduce((most, spread) => (Number.isNaN(spread) || spread > most ? spread : most), 0);
}

/** Markdown, as it is kept in `results/`. */
export function tableOf(report: TrainingReport): string {
  const lines = [
    `## \`drove bench training${report.quick ? " --quick" : ""}\`, ${report.date}, ${report.machine}, ${report.runtime}`,
    "",
    "| workload (batch) | engine | step | processor time | first step | second step | rounds x steps |",
    "| --- | --- | --- | --- | --- | --- | --- |",
  ];
  for (const { name, batch, drove, peers } of report.workloads) {
    const outcomes = [...Object.values(drove?.backends ?? {}), ...Object.values(peers)];
    for (const outcome of outcomes) lines.push(rowOf(`${name} (${batch})`, outcome));
  }
  lines.push(
    "",
    "| workload | webgpu against the best WebGPU peer | the same in processor time | faster backend against the best peer | first step against the best WebGPU peer | largest difference of losses |",
    "| --- | --- | --- | --- | --- | --- |",
  );
  for (const one of report.workloads) {
    const difference = one.maxLossDifference === null ? "" : one.maxLossDifference.toExponential(1);
    lines.push(
      `| ${one.name} | ${times(one.ratioToBestWebGpuPeer)} | ${times(one.processorRatioToBestWebGpuPeer)} | ${times(one.ratioToBestPeer)} | ${times(one.firstStepRatio)} | ${difference} |`,
    );
  }
  lines.push(
    `| geometric mean | ${times(report.geometricMeanRatio)} | | ${times(report.geometricMeanRatioToBestPeer)} | | |`,
  );
  return lines.join("\n");
}

function rowOf(workload: string, outcome: Outcome): string {
  if (!isMeasurement(outcome)) return `| ${workload} | ${outcome.contestant} | ${outcome.problem} | | | | |`;
  const first =
    outcome.compileMs === null
      ? milliseconds(outcome.firstStepMs)
      : `${milliseconds(outcome.firstStepMs)}, of which compiling ${milliseconds(outcome.compileMs)}${tuned(outcome)}`;
  const processor = outcome.processorMs === null ? "" : milliseconds(outcome.processorMs);
  return `| ${workload} | ${outcome.contestant} | ${milliseconds(outcome.stepMs)} | ${processor} | ${first} | ${milliseconds(outcome.secondStepMs)} | ${outcome.rounds} x ${outcome.stepsPerRound} |`;
}

function tuned({ tuneMs, tuneSpeedup }: Measurement): string {
  if (tuneMs === null || tuneSpeedup === null) return "";
  return `; then ${milliseconds(tuneMs)} of tuning made products ${tuneSpeedup.toFixed(2)}x as fast`;
}

function milliseconds(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function times(value: number | null): string {
  return value === null ? "" : `${value.toFixed(2)}x`;
}
