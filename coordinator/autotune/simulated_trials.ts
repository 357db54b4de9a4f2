/** The optimizer's view of a simulated run (`coordinator/simulate/`): virtual time, real gradients. */

import type { CenterState } from "../simulate/arithmetic.ts";
import type { Judge } from "../simulate/judge.ts";
import type { SimulatedRun } from "../simulate/simulated_run.ts";
import { meanOf } from "./mean.ts";
import type { UpdateTiming } from "./hardware_model.ts";
import type { Stretch, Trials, Tuning } from "./trials.ts";

export class SimulatedTrials implements Trials<CenterState> {
  readonly #run: SimulatedRun;
  readonly #judge: Judge;

  constructor(run: SimulatedRun, judge: Judge) {
    this.#run = run;
    this.#judge = judge;
  }

  replicas(): number {
    return this.#run.replicas;
  }

  now(): number {
    return this.#run.nowSeconds;
  }

  timings(): readonly UpdateTiming[] {
    return this.#run.timings();
  }

  snapshot(): Promise<CenterState> {
    return Promise.resolve(this.#run.snapshot());
  }

  restart(snapshot: CenterState): Promise<void> {
    this.#run.restart(snapshot);
    return Promise.resolve();
  }

  retune({ groups, momentum, learningRate }: Tuning): Promise<void> {
    this.#run.retune({ groups, momentum, learningRate });
    return Promise.resolve();
  }

  loss(centers: readonly CenterState[]): Promise<number> {
    const { loss } = this.#judge.judge(meanOf(centers.map(({ parameters }) => parameters)));
    return Promise.resolve(Number.isFinite(loss) ? loss : Infinity);
  }

  advance(seconds: number): Promise<Stretch> {
    const { samples, diverged, isOver } = this.#run.advance(seconds);
    // A simulation ends where it diverges; the optimizer goes back from there.
    return Promise.resolve({ samples, diverged, isOver: isOver && !diverged });
  }
}
