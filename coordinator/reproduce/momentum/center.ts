/**
 * The center of one descent at a time, moved by the product's own rule: the move is the solver's (`centerMoveOf`), carried out
 * by the appliers' core over the center's own memory and kernels, in the calling thread. Begins anew as often as is wanted.
 */

import { centerMoveOf } from "../../../shared/solver/center_rule.ts";
import type { SolverSettings } from "../../../shared/solver/settings.ts";
import { ApplierCore } from "../../center/applier.ts";
import { CenterMemory, type CenterShape } from "../../center/center_memory.ts";
import { Control } from "../../center/control.ts";
import { compileKernels, instantiateKernels } from "../../center/kernels.ts";

/** Of the center's steps. */
export interface Rates {
  readonly learningRate: number;
  /** Explicit momentum: of the center, shared by all replicas. May be negative. */
  readonly momentum: number;
}

export class ReusableCenter {
  readonly #control: Control;
  readonly #core: ApplierCore;
  readonly #area: number;
  /** Of the center and of what is pushed, over the center's memory, which no longer grows. */
  readonly #values: Float32Array;
  readonly #pushed: Float32Array;
  readonly #velocity: Float32Array;
  #applied = 0;

  private constructor(memory: CenterMemory, control: Control, core: ApplierCore) {
    this.#control = control;
    this.#core = core;
    this.#area = memory.takeArea();
    this.#values = memory.values(memory.layout.center);
    this.#pushed = memory.values(this.#area);
    this.#velocity = memory.values(memory.layout.velocity);
  }

  static async create(shape: CenterShape): Promise<ReusableCenter> {
    const memory = new CenterMemory(shape);
    const control = new Control(memory.memory.buffer);
    const core = new ApplierCore(instantiateKernels(await compileKernels(), memory.memory), control, {
      layout: memory.layout,
      applier: "lock-free",
      maxMagnitude: Infinity,
      index: 0,
      threads: 1,
    });
    return new ReusableCenter(memory, control, core);
  }

  /** The center as it is: valid until the next push. */
  get values(): Float32Array {
    return this.#values;
  }

  get version(): number {
    return this.#applied;
  }

  begin(parameters: Float32Array): void {
    this.#values.set(parameters);
    this.#velocity.fill(0);
    this.#applied = 0;
    this.#control.startAt(0);
  }

  /** Applies a gradient that was taken at the center of `baseVersion`, and answers its staleness. */
  push(gradient: Float32Array, baseVersion: number, rates: Rates): number {
    this.#pushed.set(gradient);
    const move = centerMoveOf(settingsOf(rates), { version: this.#applied, replicas: 1 }, false);
    const result = this.#core.applyTo(this.#area, { move, baseVersion, policy: { kind: "none" } });
    if (result.verdict !== "applied")
      throw new Error(`invariant violation: a push without a bound was ${result.verdict}`);
    this.#applied = result.version;
    return result.staleness;
  }
}

/** SC17's asynchronous SGD with the momentum at the center: the gradient rule of the theorems. */
function settingsOf(rates: Rates): SolverSettings {
  return {
    ...rates,
    solver: "async-msgd",
    exchange: "one-round-trip",
    batch: 1,
    communicationPeriod: 1,
    weightDecay: 0,
    optimizer: "momentum",
    schedule: { kind: "constant" },
    warmUp: 0,
    elasticRate: 0,
    movingRate: null,
    staleness: { kind: "none" },
    delayCompensation: 0,
    outerLearningRate: 1,
    outerMomentum: 0,
    nesterovDelay: null,
    groups: null,
    shares: "equal",
    periods: "equal",
  };
}
