/**
 * A simulated run that can be paused: time goes on only while it is advanced, settings may be changed between, and it can go back
 * to an earlier center. `simulator.ts` makes it and runs it to its end; the autotuner tries settings on it.
 */

import type { UpdateTiming } from "../autotune/hardware_model.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import type { Arithmetic, CenterState } from "./arithmetic.ts";
import { CenterSide } from "./center_side.ts";
import { beginChurn } from "./churn.ts";
import { ReplicaSide } from "./replica_side.ts";
import { reportOf, type SimulationReport } from "./report.ts";
import type { CompleteScenario } from "./scenario.ts";
import type { CurvePoint } from "./tally.ts";
import { World } from "./world.ts";

/** What a stretch of training showed. */
export interface SimulatedStretch {
  /** Mean training loss over its samples; NaN where no sample arrived. */
  readonly lossMean: number;
  readonly samples: number;
  readonly diverged: boolean;
  readonly isOver: boolean;
}

/** A loss so many times the first one counts as diverged. */
const DIVERGED_TIMES = 10;

export class SimulatedRun {
  readonly #world: World;
  readonly #center: CenterSide;
  readonly #replicas: ReplicaSide;
  /** Of samples: when the next evaluation is due. */
  #evaluationSamples: number;
  #firstLoss: number | undefined;

  constructor(scenario: CompleteScenario, arithmetic: Arithmetic, elements: number, batchParts: number) {
    this.#world = new World(scenario, arithmetic, elements, batchParts);
    this.#center = new CenterSide(this.#world, (replica, membership, answer) =>
      this.#replicas.answered(replica, membership, answer),
    );
    this.#replicas = new ReplicaSide(this.#world, this.#center);
    this.#evaluationSamples = scenario.evaluateEverySamples ?? Infinity;
    this.#world.applied = () => this.#applied();
    this.#evaluate();
    this.#evaluateEvery(scenario.evaluateEverySeconds);
    beginChurn(this.#world, this.#replicas);
  }

  /** That take part now. */
  get replicas(): number {
    return this.#world.present;
  }

  get nowSeconds(): number {
    return this.#world.nowSeconds;
  }

  /** Of the center. */
  get version(): number {
    return this.#world.arithmetic.version;
  }

  get samples(): number {
    return this.#world.tally.samples;
  }

  get lastPoint(): CurvePoint | undefined {
    return this.#world.tally.curve.at(-1);
  }

  /** Of the nearest of its bounds, 0 to 1. */
  get shareDone(): number {
    const { nowSeconds, scenario, tally, arithmetic } = this.#world;
    const shares = [
      nowSeconds / (scenario.virtualSeconds ?? Infinity),
      tally.localSteps / (scenario.steps ?? Infinity),
      arithmetic.version / (scenario.centerSteps ?? Infinity),
      tally.samples / (scenario.samples ?? Infinity),
    ];
    return Math.min(1, Math.max(...shares));
  }

  get isOver(): boolean {
    return this.#world.endedBy !== undefined;
  }

  get settings(): SolverSettings {
    return this.#world.settings;
  }

  /** Lets so much virtual time pass, or less where a bound of the scenario ends the run. */
  advance(virtualSeconds: number): SimulatedStretch {
    const { tally } = this.#world;
    tally.stretchLoss.take();
    this.#advanceTo(this.#world.nowSeconds + virtualSeconds, () => false);
    const { samples } = tally.stretchLoss;
    const { isOver } = this;
    return { lossMean: tally.stretchLoss.take(), samples, diverged: this.#world.endedBy === "diverged", isOver };
  }

  /** Goes on until the run is over or `isEnough` says so, which is asked before every event. */
  advanceUntil(isEnough: () => boolean): void {
    this.#advanceTo(Infinity, isEnough);
  }

  /** Of updates since the last `retune`, the latest of them. */
  timings(): readonly UpdateTiming[] {
    return this.#world.tally.timings();
  }

  snapshot(): CenterState {
    return this.#world.arithmetic.snapshot();
  }

  /** The center becomes the snapshot's, and every replica starts from it. What is under way is lost; the clock goes on. */
  restart(snapshot: CenterState): void {
    this.#world.beginEpoch();
    this.#world.arithmetic.restore(snapshot);
    this.#world.wire.restart();
    this.#center.restart();
    this.#replicas.restartAll();
    // A run that goes back has not diverged.
    if (this.#world.endedBy === "diverged") this.#world.endedBy = undefined;
  }

  /** From everybody's next assignment on. */
  retune(changed: Partial<Pick<SolverSettings, "groups" | "momentum" | "learningRate">>): void {
    this.#world.retune(changed);
    this.#center.retuned();
    this.#world.tally.forgetTimings();
  }

  /** `wallSeconds`: how long it took, which a run without a clock cannot know. */
  report(wallSeconds = 0): SimulationReport {
    return reportOf(this.#world, wallSeconds);
  }

  #advanceTo(virtualSeconds: number, isEnough: () => boolean): void {
    const { scenario } = this.#world;
    const bound = scenario.virtualSeconds ?? Infinity;
    const hasMore = this.#world.advanceTo(Math.min(bound, virtualSeconds), isEnough);
    if (this.#world.endedBy === undefined && this.#world.nowSeconds >= bound) this.#world.end("virtualSeconds");
    if (!hasMore) this.#world.end("nobody");
    if (this.#world.endedBy !== undefined && this.#world.tally.curve.at(-1)?.samples !== this.samples) this.#evaluate();
  }

  #applied(): void {
    const { tally, scenario, arithmetic } = this.#world;
    if (scenario.samples !== null && tally.samples >= scenario.samples) this.#world.end("samples");
    if (scenario.centerSteps !== null && arithmetic.version >= scenario.centerSteps) this.#world.end("centerSteps");
    if (tally.samples < this.#evaluationSamples) return;
    const every = scenario.evaluateEverySamples ?? Infinity;
    this.#evaluationSamples = every * (Math.floor(tally.samples / every) + 1);
    this.#evaluate();
  }

  #evaluateEvery(virtualSeconds: number | null): void {
    if (virtualSeconds === null) return;
    const next = (count: number): void =>
      this.#world.inAnyCaseAt(virtualSeconds * count, () => {
        this.#evaluate();
        if (!this.#world.isIdle) next(count + 1);
      });
    next(1);
  }

  #evaluate(): void {
    const { arithmetic, tally, scenario, nowSeconds } = this.#world;
    const judgement = arithmetic.judge();
    if (!judgement) return;
    const { accuracy, loss } = judgement;
    const trainLoss = tally.curveLoss.take();
    tally.curve.push({
      virtualSeconds: nowSeconds,
      samples: tally.samples,
      localSteps: tally.localSteps,
      centerSteps: arithmetic.version,
      accuracy,
      loss,
      trainLoss: Number.isNaN(trainLoss) ? null : trainLoss,
    });
    this.#firstLoss ??= loss;
    if (!Number.isFinite(loss) || loss > DIVERGED_TIMES * this.#firstLoss) this.#world.end("diverged");
    if (scenario.targetAccuracy !== null && accuracy >= scenario.targetAccuracy) this.#world.end("targetAccuracy");
  }
}
