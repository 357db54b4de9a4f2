/**
 * A run for the optimizer's tests: compute groups in virtual time on a quadratic with noisy gradients, heavy ball at the center.
 * Everything that the optimizer must cope with is real here: stale reads, queueing at the coordinator, divergence, churn.
 */

import type { UpdateTiming } from "../../coordinator/autotune/hardware_model.ts";
import type { Stretch, Trials, Tuning } from "../../coordinator/autotune/trials.ts";
import { Random } from "../../shared/random.ts";

export interface QuadraticRun {
  readonly replicas: number;
  /** Of one replica for a whole batch. */
  readonly computeSeconds: number;
  /** Of each step, whatever the group size. */
  readonly exchangeSeconds: number;
  readonly applySeconds: number;
  /** Whether compute times are exponential; else they are fixed. */
  readonly isRandom: boolean;
  readonly seed: number;
  /** The run is over when the loss, smoothed over ten updates, is this low. */
  readonly targetLoss?: number;
  /** Or then. */
  readonly endSeconds?: number;
  /** Curvatures; the largest bounds the learning rate. */
  readonly curvatures: readonly number[];
  /** Standard deviation, as a share of the gradient: a model that can fit all examples has noise that ends with the loss. */
  readonly gradientNoise: number;
  /** When and to how many the replicas change. */
  readonly churn?: readonly { readonly seconds: number; readonly replicas: number }[];
}

interface Center {
  readonly parameters: Float64Array;
  readonly velocity: Float64Array;
}

interface Working {
  readonly read: Float64Array;
  readonly startedSeconds: number;
  readonly arrivesSeconds: number;
}

/** Beyond it a run has diverged. */
const MOST_LOSS = 1e12;

export class QuadraticTrials implements Trials<Center> {
  readonly tried: Tuning[] = [];
  updates = 0;
  readonly #run: QuadraticRun;
  readonly #random: Random;
  #center: Center;
  #tuning: Tuning = { groups: 1, momentum: 0, learningRate: 0.01 };
  #working: Working[] = [];
  #serverFreeSeconds = 0;
  #seconds = 0;
  #smoothLoss = 10;
  #timings: UpdateTiming[] = [];

  constructor(run: QuadraticRun) {
    this.#run = run;
    this.#random = new Random(run.seed);
    this.#center = {
      parameters: new Float64Array(run.curvatures.length).fill(1),
      velocity: new Float64Array(run.curvatures.length),
    };
  }

  replicas(): number {
    return (this.#run.churn ?? []).findLast(({ seconds }) => seconds <= this.#seconds)?.replicas ?? this.#run.replicas;
  }

  now(): number {
    return this.#seconds;
  }

  timings(): readonly UpdateTiming[] {
    return this.#timings;
  }

  snapshot(): Promise<Center> {
    return Promise.resolve(structuredClone(this.#center));
  }

  restart(snapshot: Center): Promise<void> {
    this.#center = structuredClone(snapshot);
    this.#working = [];
    this.#smoothLoss = 10;
    return Promise.resolve();
  }

  retune(tuning: Tuning): Promise<void> {
    if (tuning.groups !== this.#tuning.groups) this.#working = [];
    this.#tuning = tuning;
    this.tried.push(tuning);
    this.#timings = [];
    return Promise.resolve();
  }

  loss(centers: readonly Center[]): Promise<number> {
    const { curvatures } = this.#run;
    const mean = curvatures.map((_, index) => {
      const values = centers.map(({ parameters }) => parameters[index] ?? 0);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    });
    return Promise.resolve(lossOf(curvatures, mean));
  }

  get lossNow(): number {
    return lossOf(this.#run.curvatures, this.#center.parameters);
  }

  advance(seconds: number): Promise<Stretch> {
    const { endSeconds = Infinity } = this.#run;
    const end = Math.min(this.#seconds + seconds, endSeconds);
    let samples = 0;
    const isOver = (): boolean => this.#smoothLoss <= (this.#run.targetLoss ?? 0) || this.#seconds >= endSeconds;
    while (!isOver()) {
      while (this.#working.length < Math.min(this.#tuning.groups, this.replicas())) this.#begin(this.#seconds);
      this.#working.sort((a, b) => a.arrivesSeconds - b.arrivesSeconds);
      const next = this.#working[0];
      if (!next) break;
      const applied = Math.max(next.arrivesSeconds, this.#serverFreeSeconds) + this.#run.applySeconds;
      if (applied > end) break;
      this.#working.shift();
      samples++;
      this.#smoothLoss = Math.min(10, this.#smoothLoss * 0.9 + this.lossNow * 0.1);
      this.#apply(next, applied);
      if (!(this.lossNow < MOST_LOSS)) break;
    }
    const diverged = !(this.lossNow < MOST_LOSS);
    if (!isOver()) this.#seconds = end;
    return Promise.resolve({ samples, diverged, isOver: isOver() });
  }

  #begin(seconds: number): void {
    const { computeSeconds, exchangeSeconds, isRandom } = this.#run;
    const factor = isRandom ? -Math.log(1 - this.#random.uniform()) : 1;
    const work = (computeSeconds * factor * this.#tuning.groups) / this.replicas() + exchangeSeconds;
    this.#working.push({
      read: this.#center.parameters.slice(),
      startedSeconds: seconds,
      arrivesSeconds: seconds + work,
    });
  }

  #apply({ read, startedSeconds, arrivesSeconds }: Working, applied: number): void {
    const { curvatures, gradientNoise, applySeconds } = this.#run;
    const { parameters, velocity } = this.#center;
    const { momentum, learningRate, groups } = this.#tuning;
    for (const [index, h] of curvatures.entries()) {
      const gradient = h * (read[index] ?? 0) * (1 + gradientNoise * this.#random.normal());
      velocity[index] = momentum * (velocity[index] ?? 0) - learningRate * gradient;
      parameters[index] = (parameters[index] ?? 0) + (velocity[index] ?? 0);
    }
    this.updates++;
    this.#seconds = applied;
    this.#serverFreeSeconds = applied;
    this.#timings.push({
      groupSize: this.replicas() / groups,
      workSeconds: arrivesSeconds - startedSeconds,
      applySeconds,
    });
    this.#begin(applied);
  }
}

function lossOf(curvatures: readonly number[], parameters: ArrayLike<number>): number {
  return curvatures.reduce((sum, h, index) => sum + 0.5 * h * (parameters[index] ?? 0) ** 2, 0);
}
