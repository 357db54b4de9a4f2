/**
 * The only words that the page and its Web Worker share. The page shows and asks; the worker computes. Nothing computes
 * before `start` (SPEC E4).
 */

import type { BackendName, BackendWish } from "../shared/backends.ts";
import type { RunSettings } from "../shared/run_settings.ts";
import type { StalenessSummary } from "../shared/run_view.ts";
import type { Assignment } from "../shared/solver/assignment.ts";
import type { Transport } from "../shared/wire/messages.ts";
import type { FromPeerOwner, ToPeerOwner } from "../shared/wire/remote_peers.ts";

/** What the page asks of the worker. */
export type ToWorker =
  | {
      readonly kind: "start";
      readonly settings: RunSettings;
      /** ws: or wss: address of the coordinator. */
      readonly socketUrl: string;
      /** Base of the shard addresses. */
      readonly dataUrl: string;
      /** What the volunteer's link or a command asks for; `auto` measures. */
      readonly backend: BackendWish;
      /** Of WASM; where left out, half of the processors. */
      readonly threads: number | undefined;
      /** The share of the time in which it computes, above 0 and up to 1; undefined: all of it. */
      readonly dutyCycle: number | undefined;
      /** The volunteer allows direct connections to other volunteers. */
      readonly allowsPeers: boolean;
      /** That the volunteer offers for the leaderboard and the model card; undefined: none. */
      readonly name?: string | undefined;
      /** From an earlier visit: it goes on as that replica. */
      readonly identity?: ReplicaIdentity | undefined;
    }
  /** Of the peer connections that the page owns for the worker. */
  | { readonly kind: "peer"; readonly report: FromPeerOwner }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  /** Completes the exchange that is begun, and ends. */
  | { readonly kind: "finish" }
  /** Ends at once. */
  | { readonly kind: "stop" }
  /** From now on: the share of the time in which it computes, above 0 and up to 1. */
  | { readonly kind: "power"; readonly dutyCycle: number }
  /** Whether the tab is in the background: its period is longer there. */
  | { readonly kind: "visibility"; readonly isHidden: boolean }
  | { readonly kind: "name"; readonly name: string | undefined };

/** Who a replica is to its coordinator, and what proves it. */
export interface ReplicaIdentity {
  readonly replica: string;
  readonly token: string;
}

export type Phase =
  | "idle"
  /** Fetching the first shard of the data. */
  | "loading-data"
  /** Compiling and measuring the backends. */
  | "measuring"
  | "connecting"
  | "training"
  | "paused"
  /** The run's operator has everybody wait. */
  | "held"
  /** Completes its last exchange. */
  | "finishing"
  /** The coordinator is out of reach; retrying. */
  | "reconnecting"
  | "stopped"
  | "finished"
  | "failed";

export interface BackendMeasurement {
  readonly backend: BackendName;
  readonly device: string;
  /** Undefined where it could not be measured; `note` then says why. */
  readonly samplesPerSecond: number | undefined;
  readonly note: string | undefined;
  /** Where it failed the entrance exam: how, as a sentence. */
  readonly exam?: string;
}

export interface BackendChoice {
  readonly backend: BackendName;
  readonly device: string;
  /** One sentence for the volunteer: what was measured, and why this one. */
  readonly reason: string;
  readonly measured: readonly BackendMeasurement[];
  /** Where the run holds an entrance exam: that it is passed, as a sentence. */
  readonly exam?: string;
  /** Of training this model here: multiplications and additions of forward and backward, per second; undefined where speed is not known. */
  readonly gflops?: number;
}

/** How far the backend is with measuring which of its kernels are fastest here; it trains meanwhile. */
export interface Tuning {
  readonly settled: number;
  readonly kernels: number;
  /** What came of it, as a sentence, once it is over. */
  readonly outcome: string | undefined;
}

/** The replica's own numbers, at most four times a second and always at the end. */
export interface ReplicaProgress {
  readonly replica: string | undefined;
  readonly localSteps: number;
  readonly samples: number;
  readonly samplesPerSecond: number;
  /** Of the time since training began, the rest of a duty cycle and pauses left out: the share that was spent in steps. */
  readonly busyShare: number | undefined;
  /** Of the last seconds, the rest of a duty cycle included and pauses not: the share that was spent in steps; what `power` sets. */
  readonly computingShare: number;
  readonly exchanges: number;
  /** Local steps, on average; more than the communication period where an exchange takes longer than that. */
  readonly stepsPerExchange: number | undefined;
  readonly applied: number;
  readonly refused: number;
  /** The newest refusal's sentence, if any. */
  readonly lastRefusal: string | undefined;
  /** Mean loss of the local steps of the last exchange. */
  readonly loss: number | undefined;
  /** What the coordinator asked for last; undefined before the welcome. */
  readonly assignment: Assignment | undefined;
  readonly staleness: StalenessSummary;
  readonly lastStaleness: number | undefined;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** How its exchanges travel now. */
  readonly transport: Transport;
  /** Data, center and exam, by HTTP; `bytesDown` leaves them out. */
  readonly bytesFetched: number;
  /** By code. */
  readonly refusals: Readonly<Record<string, number>>;
  /** By which the period is longer than assigned, because the tab is hidden; 1 otherwise. */
  readonly periodFactor: number;
  /** Undefined before it. */
  readonly firstStep: FirstStep | undefined;
}

/** How long a volunteer waited for the first local step, from `start` on. */
export interface FirstStep {
  readonly afterMs: number;
  /** Of that, measuring the backends and compiling what was measured. */
  readonly measuringMs: number;
}

/** Why training ended by itself where it should not have. */
export type FailureKind =
  /** The operator removed this replica. */
  | "kicked"
  /** The page is older than its coordinator: reloading helps. */
  | "old-client"
  | "exam-failed"
  /** The GPU was lost, and nothing else could take its place. */
  | "device-lost"
  /** The data or the run did not come. */
  | "out-of-reach"
  | "run-full"
  | "other";

/** What the worker tells the page. */
export type FromWorker =
  | { readonly kind: "phase"; readonly phase: Phase; readonly detail?: string }
  | { readonly kind: "loading"; readonly loadedExamples: number; readonly examples: number }
  | { readonly kind: "backend"; readonly choice: BackendChoice }
  | { readonly kind: "tuning"; readonly tuning: Tuning }
  | { readonly kind: "progress"; readonly progress: ReplicaProgress }
  | { readonly kind: "peer"; readonly request: ToPeerOwner }
  /** At every welcome. */
  | { readonly kind: "identity"; readonly identity: ReplicaIdentity }
  /** A sentence with the fix. The worker has stopped. */
  | { readonly kind: "failed"; readonly failure: FailureKind; readonly sentence: string };
