/**
 * How fast a backend trains this model: compiles the plan and takes a few steps at the real batch, within hard bounds of
 * time. The program that it leaves is ready to train.
 */

import type { Backend, Program } from "../../shared/engine/backend.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { BackendMeasurement } from "../messages.ts";
import type { Clock } from "../replica/clock.ts";
import type { Shard } from "./examples.ts";

export interface MeasurementBounds {
  readonly compileMs: number;
  /** Of all steps together, warm-up included. */
  readonly stepsMs: number;
}

export interface MeasurementOptions {
  readonly plan: Plan;
  /** Seeds the parameters; they are replaced by the center's before training. */
  readonly seed: number;
  readonly shard: Shard;
  readonly clock: Clock;
  /** Called between steps and not counted: lets messages in, waits while paused, throws where all is to stop. */
  readonly between: () => Promise<void>;
  readonly bounds: MeasurementBounds;
}

export interface Measured {
  readonly measurement: BackendMeasurement;
  /** Undefined where it could not be measured; the backend is closed then. */
  readonly program: Program | undefined;
}

/** Small steps: what is timed does not depend on them, and parameters stay finite. */
const STEP_SETTINGS = { learningRate: 1e-4, momentum: 0, weightDecay: 0 };
/** Enough steps that the clock's and the event loop's grain disappear. */
const ENOUGH_MS = 700;
const MOST_STEPS_AT_ONCE = 64;
/** Of steps that are queued together: what is queued runs on after Stop. */
const QUEUED_MS = 100;

/** Rejects only with what `between` throws. */
export async function measure(backend: Backend, options: MeasurementOptions): Promise<Measured> {
  const { clock, bounds, plan } = options;
  let program: Program | undefined;
  try {
    program = await within(bounds.compileMs, clock, "Compiling", backend.compile(plan));
    const samplesPerSecond = await new Stopwatch(backend, program, options).samplesPerSecond();
    return { measurement: { ...named(backend), samplesPerSecond, note: undefined }, program };
  } catch (error) {
    program?.close();
    backend.close();
    // What was asked to stop between two steps is not the backend's failure.
    await options.between();
    const note = error instanceof Error ? error.message : String(error);
    return { measurement: { ...named(backend), samplesPerSecond: undefined, note }, program: undefined };
  }
}

function named({ name, device }: Backend): Pick<BackendMeasurement, "backend" | "device"> {
  return { backend: name, device };
}

class Stopwatch {
  readonly #backend: Backend;
  readonly #program: Program;
  readonly #options: MeasurementOptions;
  /** Of the bound on all steps. */
  #leftMs: number;
  #steps = 0;

  constructor(backend: Backend, program: Program, options: MeasurementOptions) {
    this.#backend = backend;
    this.#program = program;
    this.#options = options;
    this.#leftMs = options.bounds.stepsMs;
  }

  async samplesPerSecond(): Promise<number> {
    const { plan, seed, shard } = this.#options;
    const program = this.#program;
    program.loadExamples(shard.first, shard.images, shard.labels);
    program.writeParameters(initialParameters(plan.layout, seed));
    const warmUpMs = await this.#millisecondsOf(1);
    // Where even one more step would be too long, the first one has to do.
    const msPerStep = this.#leftMs < warmUpMs ? warmUpMs : await this.#steadyMsPerStep();
    // The losses of these steps are no part of training.
    await program.takeDifference();
    return (1000 * plan.batch) / Math.max(msPerStep, 0.001);
  }

  /** More steps each time, until they are worth a look. */
  async #steadyMsPerStep(): Promise<number> {
    // In software a step takes long and always as long: one says it all.
    const enoughMs = this.#backend.isFallback ? 0 : ENOUGH_MS;
    let steps = 0;
    let passedMs = 0;
    let atOnce = 1;
    do {
      passedMs += await this.#millisecondsOf(atOnce);
      steps += atOnce;
      // A GPU is fast when its queue is full; a WASM step ends before it returns, and messages must get in between.
      if (this.#backend.name === "webgpu") atOnce = Math.min(2 * atOnce, MOST_STEPS_AT_ONCE, stepsIn(passedMs / steps));
    } while (passedMs < enoughMs && this.#leftMs > 0);
    return passedMs / steps;
  }

  async #millisecondsOf(steps: number): Promise<number> {
    const { clock, between, bounds } = this.#options;
    await between();
    const beganMs = clock.nowMs();
    for (let step = 0; step < steps; step++) this.#program.step(this.#batch(), STEP_SETTINGS);
    await within(bounds.stepsMs, clock, steps === 1 ? "One step" : `${steps} steps`, this.#program.idle());
    const passedMs = clock.nowMs() - beganMs;
    this.#leftMs -= passedMs;
    return passedMs;
  }

  #batch(): Uint32Array {
    const { plan, shard } = this.#options;
    const begin = this.#steps++ * plan.batch;
    return Uint32Array.from({ length: plan.batch }, (_, index) => shard.first + ((begin + index) % shard.count));
  }
}

function stepsIn(msPerStep: number): number {
  return Math.max(1, Math.floor(QUEUED_MS / Math.max(msPerStep, 0.001)));
}

/** `work`, or a rejection where it takes longer than `boundMs`. */
export async function within<T>(boundMs: number, clock: Clock, what: string, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  void clock.sleep(boundMs).then(() => reject(new Error(`${what} took longer than ${boundMs / 1000} s.`)));
  // Too late to matter to anybody.
  promise.catch(() => {});
  return Promise.race([work, promise]);
}
