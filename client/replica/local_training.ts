/**
 * The replica's own training on its device: which examples, which step settings, how many steps may be queued, and what
 * was done since the last exchange. Survives the device: `useDevice` puts a new one in the place of a lost one.
 */

import type { Program, StepSettings, Taken } from "../../shared/engine/backend.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { randomFor, Sampler, type ExampleRange } from "../../shared/sampler.ts";
import { SOLVERS } from "../../shared/solver/catalogue.ts";
import { learningRateAt, runSteps } from "../../shared/solver/schedule.ts";
import type { Work } from "./exchange.ts";

/** A compiled program on a device, with its examples. */
export interface Device {
  readonly backend: "webgpu" | "wasm";
  /** In words. */
  readonly description: string;
  /** Measured before joining. */
  readonly samplesPerSecond: number;
  readonly program: Program;
  /** Resolves with a sentence when the device is lost. */
  readonly lost: Promise<string>;
  /** At most twice as many steps are queued on the device: few where a step is slow, so that Stop is prompt. */
  readonly stepsPerLook: number;
  /** The examples in the program; grows while shards arrive, and holds at least one range. */
  readonly loaded: readonly ExampleRange[];
}

export class LocalTraining {
  readonly #settings: RunSettings;
  #stepSettings: StepSettings;
  #device: Device;
  #sampler: Sampler;
  #replicaId = "";
  #rangesSeen = 0;
  #stepsSinceLook = 0;
  /** When the device will have done the steps before the last look. */
  #look: Promise<void> = Promise.resolve();
  #room: Promise<void> | undefined;
  #steps = 0;

  constructor(settings: RunSettings, device: Device) {
    this.#settings = settings;
    this.#stepSettings = stepSettingsOf(settings, 0);
    this.#device = device;
    this.#sampler = this.#newSampler();
  }

  get device(): Device {
    return this.#device;
  }

  get #program(): Program {
    return this.#device.program;
  }

  /** Steps since the last `take…`. */
  get steps(): number {
    return this.#steps;
  }

  /** Whether shards are still to come. */
  get isLoading(): boolean {
    return this.#sampler.examples < this.#program.plan.datasetExamples;
  }

  /** A new replica with the center as its parameters. */
  begin(replicaId: string, center: Float32Array): void {
    this.#replicaId = replicaId;
    this.#sampler = this.#newSampler();
    this.#program.writeParameters(center);
    this.#steps = 0;
  }

  /** The run has come to this version of the center: the clock of the learning rate (SPEC S6). */
  reached(version: number): void {
    this.#stepSettings = stepSettingsOf(this.#settings, version);
  }

  /** A new device in place of a lost one. What was trained since `center`, the base, is gone with the old one. */
  useDevice(device: Device, center: Float32Array | undefined): void {
    this.#device = device;
    this.#sampler = this.#newSampler();
    this.#stepsSinceLook = 0;
    this.#look = Promise.resolve();
    this.#room = undefined;
    this.#steps = 0;
    if (center) this.#program.writeParameters(center);
  }

  step(): void {
    this.#program.step(this.#draw(), this.#stepSettings);
    this.#stepped();
  }

  gradientStep(): void {
    this.#program.gradientStep(this.#draw());
    this.#stepped();
  }

  /** When the next step may be queued; undefined: now. */
  get room(): Promise<void> | undefined {
    const room = this.#room;
    this.#room = undefined;
    return room;
  }

  /** The vector to be pushed, and the work behind it. */
  async take(
    what: "difference" | "gradient",
  ): Promise<{ readonly values: Float32Array<ArrayBuffer>; readonly work: Work }> {
    const steps = this.#steps;
    this.#steps = 0;
    const taken: Taken = await (what === "difference" ? this.#program.takeDifference() : this.#program.takeGradient());
    const work = { steps, samples: steps * this.#settings.batch, lossSum: taken.meanLoss * steps };
    return { values: taken.values, work };
  }

  /** SPEC X4. */
  settle(center: Float32Array, movingRate: number): void {
    this.#program.settle(center, movingRate);
  }

  /** SPEC X11: a new base, and the parameters kept. */
  rebase(center: Float32Array): void {
    this.#program.rebase(center, true);
  }

  /** SPEC X11: the center as base and parameters. */
  restart(center: Float32Array): void {
    this.#program.rebase(center, false);
    this.#steps = 0;
  }

  #draw(): Uint32Array {
    const { loaded } = this.#device;
    for (; this.#rangesSeen < loaded.length; this.#rangesSeen++) this.#sampler.add(loaded[this.#rangesSeen]!);
    return this.#sampler.draw(this.#settings.batch);
  }

  #stepped(): void {
    this.#steps++;
    this.#stepsSinceLook++;
    if (this.#stepsSinceLook < this.#device.stepsPerLook) return;
    this.#stepsSinceLook = 0;
    // The look before this one: while it is waited for, the device has the newer steps to do.
    this.#room = this.#look;
    this.#look = this.#program.idle();
    // Whoever waits for it sees the failure; nobody may be waiting.
    this.#look.catch(() => {});
  }

  #newSampler(): Sampler {
    this.#rangesSeen = 0;
    return new Sampler(randomFor(this.#settings.seed, this.#replicaId));
  }
}

function stepSettingsOf(settings: RunSettings, version: number): StepSettings {
  const place = SOLVERS[settings.solver].momentum;
  const hasMomentum = place === "replica" || place === "optional-replica";
  const { schedule, learningRate, communicationPeriod } = settings;
  return {
    learningRate: learningRateAt(schedule, learningRate, runSteps(version, communicationPeriod)),
    momentum: hasMomentum ? settings.momentum : 0,
    weightDecay: settings.weightDecay,
  };
}
