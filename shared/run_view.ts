/**
 * A run as people see it: what the coordinator publishes to both pages (`GET /api/view`, server-sent events on
 * `/api/events`), to `drove status` and to the progress bar. Types only; a newer view replaces an older one whole.
 */

import type { ReportedBackend } from "./backends.ts";
import type { SolverName } from "./solver/catalogue.ts";
import type { CodecName } from "./wire/codec/codec.ts";
import type { Transport } from "./wire/messages.ts";
import type { Codecs } from "./wire/vectors.ts";

export interface StalenessSummary {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface StalenessView extends StalenessSummary {
  /** counts[s] pushes had staleness s; the last entry holds all that were staler. */
  readonly counts: readonly number[];
}

export interface ReplicaView {
  readonly id: string;
  readonly backend: ReportedBackend;
  readonly device: string;
  /** False once it left; its contribution stays. */
  readonly connected: boolean;
  readonly samples: number;
  readonly samplesPerSecond: number;
  readonly exchanges: number;
  readonly applied: number;
  readonly refused: number;
  readonly staleness: StalenessView;
  /** Share of all samples, 0..1. */
  readonly share: number;
  /** Its compute group, from 0; null where the run has none, or it is not connected. */
  readonly group: number | null;
  /** Its last exchange was in a mean that its group made over direct connections (SPEC G8). */
  readonly averagesDirectly: boolean;
  /** What it was last asked to do: local steps between exchanges, and samples of one step. */
  readonly communicationPeriod: number;
  readonly batchShare: number;
  /** Total time that its pushes waited at the coordinator for their answers: who waited for whom. */
  readonly heldSeconds: number;
  /** By which its exchanges travel. */
  readonly transport: Transport;
  /** Of its pushes, those whose vector came over a data channel. */
  readonly channelPushes: number;
  readonly codecUp: CodecName;
  readonly codecDown: CodecName;
  /** Of the slices of its lossy pushes, 0..1. */
  readonly sliceLossRate: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** What the run's solver works with now: an operator or the autotuner may have changed it. */
export interface HyperparametersView {
  /** Before schedule and warm-up. */
  readonly learningRate: number;
  readonly momentum: number;
  readonly communicationPeriod: number;
  readonly groups: number | null;
}

/** What the autotuner chose, and why. */
export interface AutotuneDecision {
  /** Of the run. */
  readonly seconds: number;
  readonly phase: string;
  readonly groups: number;
  readonly momentum: number;
  readonly learningRate: number;
  /** In words. */
  readonly reason: string;
}

export interface HistoryPoint {
  readonly seconds: number;
  readonly samples: number;
  /** Held-out, on the images of that evaluation. */
  readonly accuracy: number;
  readonly testLoss: number;
  readonly trainLoss: number;
  readonly images: number;
}

export type RunState = "waiting" | "training" | "reached" | "stopped";

export interface RunView {
  readonly run: string;
  readonly model: string;
  readonly data: string;
  readonly solver: SolverName;
  readonly state: RunState;
  /** Since the first replica's first exchange. */
  readonly seconds: number;
  readonly version: number;
  readonly incarnation: number;
  /** The newest held-out evaluation; null before the first. */
  readonly accuracy: number | null;
  readonly testLoss: number | null;
  /** Mean loss of recent local steps; null before the first exchange. */
  readonly trainLoss: number | null;
  readonly targetAccuracy: number | null;
  readonly samples: number;
  readonly samplesPerSecond: number;
  readonly exchanges: number;
  readonly applied: number;
  readonly refused: number;
  /** Retries that got their last answer again. */
  readonly repeated: number;
  /** Refusals by code, of pushes and of everything else. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly overlappedApplies: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** As the run wishes; each replica's are its own. */
  readonly codecs: Codecs;
  readonly fragments: number;
  /** Slices of lossy pushes, and of them those that did not come; their ratio, 0 where there were none. */
  readonly slices: number;
  readonly slicesLost: number;
  readonly lossRate: number;
  readonly staleness: StalenessView;
  readonly replicas: readonly ReplicaView[];
  readonly history: readonly HistoryPoint[];
  /** Compute groups that have members now; null where the run has none. */
  readonly groups: number | null;
  /** Rounds that groups averaged over direct connections, and those that were to be but went through the coordinator; null where the run allows none. */
  readonly directRounds: { readonly averaged: number; readonly fallen: number } | null;
  readonly hyperparameters: HyperparametersView;
  /** In order of time; empty without the autotuner. */
  readonly autotune: readonly AutotuneDecision[];
}
