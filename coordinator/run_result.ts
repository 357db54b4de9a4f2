/** What a run leaves as its result: `result.json` in its folder, and what `drove train --json` prints. */

import type {
  AutotuneDecision,
  HyperparametersView,
  ReplicaView,
  RunState,
  RunView,
  StalenessSummary,
  StalenessView,
} from "../shared/run_view.ts";

interface ReplicaResult {
  readonly id: string;
  readonly backend: string;
  /** The device in words. */
  readonly adapter: string;
  readonly samples: number;
  readonly samplesPerSecond: number;
  readonly exchanges: number;
  readonly applied: number;
  readonly refused: number;
  readonly staleness: StalenessSummary;
  /** Its compute group when the run ended, if it had one. */
  readonly group: number | null;
  /** Its last: local steps between exchanges, and samples of one step. */
  readonly communicationPeriod: number;
  readonly batchShare: number;
  /** How long its pushes waited for their answers, in all: for others, where it is much. */
  readonly heldSeconds: number;
  /** Its last: the way of its exchanges, and their codecs. */
  readonly transport: ReplicaView["transport"];
  readonly codecUp: ReplicaView["codecUp"];
  readonly codecDown: ReplicaView["codecDown"];
  /** Of the slices of its lossy pushes, 0..1. */
  readonly sliceLossRate: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface RunResult {
  readonly run: string;
  readonly state: RunState;
  /** Why it ended, in words. */
  readonly reason: string;
  readonly targetAccuracy: number | null;
  /** Of the center in `checkpoint`, on all `testImages`; null where nothing was trained. */
  readonly accuracy: number | null;
  readonly testLoss: number | null;
  readonly testImages: number;
  readonly trainImages: number;
  /** From the moment that the coordinator accepted volunteers, in this incarnation. */
  readonly seconds: number;
  /** From the first exchange, in all incarnations. */
  readonly trainingSeconds: number;
  readonly version: number;
  readonly incarnation: number;
  readonly samples: number;
  readonly exchanges: number;
  readonly applied: number;
  readonly refused: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly replicas: readonly ReplicaResult[];
  readonly staleness: StalenessSummary;
  readonly overlappedApplies: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** As the run wished; what each replica had is its own. */
  readonly codecs: RunView["codecs"];
  readonly fragments: number;
  /** Of lossy pushes, and of them those that did not come; their ratio. */
  readonly slices: number;
  readonly slicesLost: number;
  readonly lossRate: number;
  readonly groups: number | null;
  readonly hyperparameters: HyperparametersView;
  readonly autotune: readonly AutotuneDecision[];
  readonly solver: string;
  readonly model: string;
  readonly data: string;
  /** Path of the safetensors file. */
  readonly checkpoint: string;
}

export interface ResultFacts {
  readonly reason: string;
  /** Right before the end, when replicas were still connected and in their groups. */
  readonly asItWas: RunView;
  /** The last evaluation on all test images. */
  readonly evaluation: { readonly accuracy: number; readonly meanLoss: number } | undefined;
  /** Of the checkpoint. */
  readonly version: number;
  readonly testImages: number;
  readonly trainImages: number;
  readonly seconds: number;
  readonly checkpoint: string;
}

export function resultOf(view: RunView, facts: ResultFacts): RunResult {
  return {
    run: view.run,
    state: view.state,
    reason: facts.reason,
    targetAccuracy: view.targetAccuracy,
    accuracy: facts.evaluation?.accuracy ?? null,
    testLoss: facts.evaluation?.meanLoss ?? null,
    testImages: facts.testImages,
    trainImages: facts.trainImages,
    seconds: facts.seconds,
    trainingSeconds: view.seconds,
    version: facts.version,
    incarnation: view.incarnation,
    samples: view.samples,
    exchanges: view.exchanges,
    applied: view.applied,
    refused: view.refused,
    refusals: view.refusals,
    replicas: view.replicas.map((replica) => replicaResult(replica, facts.asItWas)),
    staleness: summaryOf(view.staleness),
    overlappedApplies: view.overlappedApplies,
    bytesUp: view.bytesUp,
    bytesDown: view.bytesDown,
    codecs: view.codecs,
    fragments: view.fragments,
    slices: view.slices,
    slicesLost: view.slicesLost,
    lossRate: view.lossRate,
    groups: facts.asItWas.groups,
    hyperparameters: view.hyperparameters,
    autotune: view.autotune,
    solver: view.solver,
    model: view.model,
    data: view.data,
    checkpoint: facts.checkpoint,
  };
}

function replicaResult(
  { device, staleness, connected: _connected, share: _share, ...replica }: ReplicaView,
  { replicas }: RunView,
): ReplicaResult {
  const asItWas = replicas.find(({ id }) => id === replica.id) ?? replica;
  const { group, samplesPerSecond, communicationPeriod, batchShare } = asItWas;
  return {
    ...replica,
    adapter: device,
    staleness: summaryOf(staleness),
    group,
    samplesPerSecond,
    communicationPeriod,
    batchShare,
  };
}

function summaryOf({ mean, p50, p99, max }: StalenessView): StalenessSummary {
  return { mean, p50, p99, max };
}
