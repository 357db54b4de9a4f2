/**
 * What a run has counted: samples, refusals, bytes, staleness, losses and evaluations, over all its incarnations. Knows the
 * roster, whose replicas keep their own part, and nothing of center or connections.
 */

import type { AutotuneDecision, HistoryPoint, RunView } from "../shared/run_view.ts";
import { StalenessHistogram } from "../shared/staleness_histogram.ts";
import type { RefusalCode } from "../shared/wire/codes.ts";
import type { Header } from "../shared/wire/messages.ts";
import { Rate } from "./rate.ts";
import type { Replica, Roster } from "./roster.ts";
import { restoreRun, type RestoredRun, type RunRecord } from "./run_record.ts";

/** The evaluations kept for the charts; beyond them every second one is dropped. */
const HISTORY_POINTS = 4000;
/** Of the running training loss: the last dozen exchanges or so count, weighted by their samples. */
const LOSS_KEPT = 0.9;

export interface EvaluationRecord {
  readonly accuracy: number;
  readonly meanLoss: number;
  readonly images: number;
}

/** The part of a view that is counted. */
export type CountedView = Omit<
  RunView,
  | "run"
  | "model"
  | "data"
  | "solver"
  | "state"
  | "version"
  | "incarnation"
  | "targetAccuracy"
  | "overlappedApplies"
  | "groups"
  | "directRounds"
  | "hyperparameters"
  | "codecs"
  | "fragments"
  | "isPaused"
  | "changes"
  | "epoch"
>;

export class Tally {
  readonly #roster: Roster;
  readonly #nowMs: () => number;
  readonly #staleness = new StalenessHistogram();
  readonly #refusals = new Map<RefusalCode, number>();
  readonly #rate: Rate;
  readonly #trainLoss = { sum: 0, weight: 0 };
  readonly #decisions: AutotuneDecision[] = [];
  #history: HistoryPoint[] = [];
  #firstExchangeMs: number | undefined = undefined;
  #earlierSeconds = 0;
  #repeated = 0;
  #bytesUp = 0;
  #bytesDown = 0;

  /** `nowMs`: the run's own clock. */
  constructor(roster: Roster, nowMs: () => number, restored?: RestoredRun) {
    this.#roster = roster;
    this.#nowMs = nowMs;
    this.#rate = new Rate(nowMs());
    if (!restored) return;
    this.#earlierSeconds = restored.seconds;
    this.#history = [...restored.history];
    this.#decisions.push(...(restored.autotune ?? []));
    this.#bytesUp = restored.bytesUp;
    this.#bytesDown = restored.bytesDown;
    restoreRun(restored, roster, this.#staleness, nowMs());
  }

  /** The first exchange starts the run's clock. */
  begin(): void {
    this.#firstExchangeMs ??= this.#nowMs();
  }

  applied(replica: Replica, header: Header<"push">, staleness: number): void {
    const nowMs = this.#nowMs();
    replica.applied++;
    replica.samples += header.samples;
    replica.staleness.add(staleness);
    replica.rate.add(header.samples, nowMs);
    this.#staleness.add(staleness);
    this.#rate.add(header.samples, nowMs);
    this.#trainLoss.sum = this.#trainLoss.sum * LOSS_KEPT + header.meanLoss * header.samples;
    this.#trainLoss.weight = this.#trainLoss.weight * LOSS_KEPT + header.samples;
  }

  decided(decision: AutotuneDecision): void {
    this.#decisions.push(decision);
  }

  repeated(): void {
    this.#repeated++;
  }

  refused(code: RefusalCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  bytes(up: number, down: number, replica?: Replica): void {
    this.#bytesUp += up;
    this.#bytesDown += down;
    if (!replica) return;
    replica.bytesUp += up;
    replica.bytesDown += down;
  }

  evaluated({ accuracy, meanLoss, images }: EvaluationRecord): HistoryPoint {
    const point: HistoryPoint = {
      seconds: this.seconds,
      samples: this.samples,
      bytes: this.#bytesUp + this.#bytesDown,
      accuracy,
      testLoss: meanLoss,
      trainLoss: this.#meanTrainLoss ?? 0,
      images,
    };
    this.#history.push(point);
    if (this.#history.length > HISTORY_POINTS) this.#history = this.#history.filter((_, index) => index % 2 === 0);
    return point;
  }

  view(isTraining: boolean, groupOf: (replica: Replica) => number | null): CountedView {
    const nowMs = this.#nowMs();
    const samples = this.samples;
    const replicas = [...this.#roster].map((replica) => replica.view(samples, { nowMs, isTraining }, groupOf(replica)));
    const total = (count: (replica: (typeof replicas)[number]) => number): number =>
      replicas.reduce((sum, replica) => sum + count(replica), 0);
    const newest = this.#history.at(-1);
    const { slices, slicesLost } = this.#slices;
    return {
      seconds: this.seconds,
      accuracy: newest?.accuracy ?? null,
      testLoss: newest?.testLoss ?? null,
      trainLoss: this.#meanTrainLoss,
      samples,
      samplesPerSecond: isTraining ? this.#rate.perSecond(nowMs) : 0,
      exchanges: total((replica) => replica.exchanges),
      applied: total((replica) => replica.applied),
      refused: total((replica) => replica.refused),
      repeated: this.#repeated,
      refusals: Object.fromEntries(this.#refusals),
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      slices,
      slicesLost,
      lossRate: slices === 0 ? 0 : slicesLost / slices,
      staleness: this.#staleness.view(),
      replicas,
      history: this.#history,
      autotune: this.#decisions,
    };
  }

  /** What a checkpoint keeps beside the center; the rest is in the ledger. */
  record(): Omit<RunRecord, "changes" | "retuned" | "kicked"> {
    return {
      seconds: this.seconds,
      history: this.#history,
      autotune: this.#decisions,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      replicas: [...this.#roster].map(({ id, backend, device, name }) => ({ id, backend, device, name })),
    };
  }

  /** Of the run's own clock, over all incarnations. */
  get seconds(): number {
    const sinceFirstMs = this.#firstExchangeMs === undefined ? 0 : this.#nowMs() - this.#firstExchangeMs;
    return this.#earlierSeconds + sinceFirstMs / 1000;
  }

  get samples(): number {
    let samples = 0;
    for (const replica of this.#roster) samples += replica.samples;
    return samples;
  }

  get #slices(): { slices: number; slicesLost: number } {
    const counted = { slices: 0, slicesLost: 0 };
    for (const { slicesPushed, slicesLost } of this.#roster) {
      counted.slices += slicesPushed;
      counted.slicesLost += slicesLost;
    }
    return counted;
  }

  get #meanTrainLoss(): number | null {
    const { sum, weight } = this.#trainLoss;
    return weight === 0 ? null : sum / weight;
  }
}
