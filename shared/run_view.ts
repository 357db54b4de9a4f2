/**
 * A run as people see it. Operators get a `RunView` (`GET /api/operator/view`, server-sent events on `/api/operator/events`, both behind
 * the run's token), everybody a `PublicView` (`/api/view`, `/api/events`), which names no replica but one's own. Types only; a newer
 * view replaces an older one whole.
 */

import type { ReportedBackend } from "./backends.ts";
import type { SolverName } from "./solver/catalogue.ts";
import type { CodecName } from "./wire/codec/codec.ts";
import type { StalenessPolicy } from "./solver/staleness.ts";
import type { ChangedSetting } from "./operator.ts";
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
  /** That its volunteer offered for the leaderboard. */
  readonly name: string | null;
  /** Its tab is in the background. */
  readonly isHidden: boolean;
  /** The share of the time in which its volunteer lets it compute. */
  readonly dutyCycle: number;
  /** It was asked to complete its exchange and leave. */
  readonly isDraining: boolean;
}

/** What the run's solver works with now: an operator or the autotuner may have changed it. */
export interface HyperparametersView {
  /** Before schedule and warm-up. */
  readonly learningRate: number;
  readonly momentum: number;
  readonly communicationPeriod: number;
  readonly groups: number | null;
  /** alpha; null: elasticRate / replicas. */
  readonly movingRate: number | null;
  readonly elasticRate: number;
  readonly staleness: StalenessPolicy;
}

/** One setting that was changed while the run went on. */
export interface RunChange {
  /** Of the run. */
  readonly seconds: number;
  readonly samples: number;
  readonly setting: ChangedSetting | "groups";
  /** As people read them. */
  readonly from: string;
  readonly to: string;
  readonly by: "operator" | "autotune";
}

/** How far the training set was gone through (SPEC K). */
export interface EpochView {
  /** The oldest that is not complete, from 1. */
  readonly epoch: number;
  readonly examples: number;
  /** Of that epoch: given to replicas now, and used by an exchange that is in the ledger. */
  readonly leased: number;
  readonly used: number;
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
  /** That had travelled until then, both ways. */
  readonly bytes: number;
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
  /** The operator has everybody wait. */
  readonly isPaused: boolean;
  /** In order of time. */
  readonly changes: readonly RunChange[];
  readonly epoch: EpochView;
}

/** One volunteer who offered a name; all replicas of that name count together. */
export interface LeaderboardRow {
  readonly name: string;
  readonly samples: number;
  /** Of all samples, 0..1. */
  readonly share: number;
  readonly connected: boolean;
}

/** What everybody may see. */
export interface PublicView extends Omit<RunView, "replicas" | "changes" | "autotune" | "refusals"> {
  readonly connected: number;
  /** Replicas that were here and left. */
  readonly left: number;
  /** By samples, the most first; at most 20. */
  readonly leaderboard: readonly LeaderboardRow[];
  /** The replica that the question named (`?replica=`), if it is one of this run. */
  readonly own: ReplicaView | null;
}
