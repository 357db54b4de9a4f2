/**
 * The device that trains: measures the backends and keeps the faster, and builds another one when it is lost. Owns every
 * backend that it opened; only the program of the chosen one keeps its memory.
 */

import type { Backend, Program } from "../../shared/engine/backend.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { BackendChoice, BackendMeasurement } from "../messages.ts";
import type { Clock } from "../replica/clock.ts";
import type { Device } from "../replica/local_training.ts";
import type { ExampleRange } from "../replica/sampler.ts";
import { chooseBackend, titleOf, type AskedBackend } from "./choice.ts";
import type { Examples, Shard } from "./examples.ts";
import { measure, within, type Measured, type MeasurementBounds } from "./measurement.ts";
import type { Advice, OpenedBackend, Surroundings } from "./surroundings.ts";

export interface DevicesOptions {
  readonly settings: RunSettings;
  readonly plan: Plan;
  readonly asked: AskedBackend;
  readonly examples: Examples;
  readonly clock: Clock;
  readonly openBackend: Surroundings["openBackend"];
  readonly advice: Advice;
  readonly between: () => Promise<void>;
  readonly onChoice: (choice: BackendChoice) => void;
}

type BackendName = Backend["name"];

interface Candidate extends Measured {
  readonly backend: Backend | undefined;
}

const BOUNDS: MeasurementBounds = { compileMs: 8000, stepsMs: 3000 };
/** Whoever asks for a backend waits for it. */
const ASKED_BOUNDS: MeasurementBounds = { compileMs: 60_000, stepsMs: 60_000 };
/** A GPU that is lost this often is not worth another wait. */
const WEBGPU_LOSSES = 3;
/** Between two looks at the queue: long against a look, short against a person who presses Stop. */
const LOOK_MS = 30;
const MOST_STEPS_PER_LOOK = 32;

export class Devices {
  readonly #options: DevicesOptions;
  #measured: readonly BackendMeasurement[] = [];
  #backends: Backend[] = [];
  #program: Program | undefined;
  #losses = 0;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  /** Rejects with a sentence where nothing can train. */
  async choose(): Promise<Device> {
    const { asked, examples, onChoice, advice } = this.#options;
    const shard = await examples.first();
    const candidates: Candidate[] = [];
    // One after the other: a GPU in software is the same processor.
    for (const name of asked === "auto" ? (["wasm", "webgpu"] as const) : [asked])
      candidates.push(await this.#try(name, shard));
    this.#measured = candidates.map(({ measurement }) => measurement);
    const choice = chooseBackend(this.#measured, asked, advice.noBackend);
    if ("problem" in choice) throw new Error(choice.problem);
    onChoice(choice);
    const chosen = candidates.find(({ measurement }) => measurement.backend === choice.backend);
    for (const candidate of candidates) if (candidate !== chosen) this.#discard(candidate);
    if (!chosen?.backend || !chosen.program)
      throw new Error("invariant violation: a backend without a program was chosen");
    return this.#deviceOf(chosen.backend, chosen.program, shard);
  }

  /** Another device in place of a lost one: the GPU once more, else WASM. `whatHappened` is a sentence. */
  async replace(whatHappened: string): Promise<Device> {
    this.close();
    this.#losses++;
    const shard = await this.#options.examples.first();
    const names: readonly BackendName[] = this.#losses < WEBGPU_LOSSES ? ["webgpu", "wasm"] : ["wasm"];
    let lastNote = "";
    for (const name of names) {
      const backend = await this.#open(name);
      if ("note" in backend) {
        lastNote = backend.note;
        continue;
      }
      try {
        const { plan, clock } = this.#options;
        const program = await within(ASKED_BOUNDS.compileMs, clock, "Compiling", backend.compile(plan));
        this.#sayReplaced(backend, whatHappened);
        return this.#deviceOf(backend, program, shard);
      } catch (error) {
        await this.#options.between();
        lastNote = String(error);
        backend.close();
      }
    }
    throw new Error(`${whatHappened} No other device can train: ${lastNote} ${this.#options.advice.noDevice}`);
  }

  /** Frees the memory; steps that are still queued on a GPU end with it. */
  close(): void {
    this.#program?.close();
    this.#program = undefined;
    for (const backend of this.#backends) backend.close();
    this.#backends = [];
  }

  async #try(name: BackendName, shard: Shard): Promise<Candidate> {
    const { plan, settings, asked, clock, between } = this.#options;
    await between();
    const backend = await this.#open(name);
    if ("note" in backend) {
      const measurement = { backend: name, device: titleOf(name), samplesPerSecond: undefined, note: backend.note };
      return { measurement, program: undefined, backend: undefined };
    }
    const bounds = asked === "auto" ? BOUNDS : ASKED_BOUNDS;
    const measured = await measure(backend, { plan, seed: settings.seed, shard, clock, between, bounds });
    return { ...measured, backend };
  }

  async #open(name: BackendName): Promise<OpenedBackend> {
    const backend = await this.#options.openBackend(name);
    if ("note" in backend) return backend;
    this.#backends.push(backend);
    // Whoever stopped meanwhile has closed what was open then.
    await this.#options.between();
    return backend;
  }

  #discard({ backend, program }: Candidate): void {
    program?.close();
    backend?.close();
    this.#backends = this.#backends.filter((one) => one !== backend);
  }

  #deviceOf(backend: Backend, program: Program, shard: Shard): Device {
    const loaded: ExampleRange[] = [];
    this.#program = program;
    this.#options.examples.loadInto(program, shard, loaded, () => this.#program === program);
    const samplesPerSecond = this.#speedOf(backend.name);
    return {
      backend: backend.name,
      description: backend.device,
      samplesPerSecond,
      program,
      lost: backend.lost,
      stepsPerLook: stepsPerLook(backend, samplesPerSecond, this.#options.plan.batch),
      loaded,
    };
  }

  #speedOf(name: BackendName): number {
    return this.#measured.find(({ backend }) => backend === name)?.samplesPerSecond ?? 0;
  }

  #sayReplaced(backend: Backend, whatHappened: string): void {
    const where = backend.name === "webgpu" ? `WebGPU on ${backend.device}` : backend.device;
    this.#options.onChoice({
      backend: backend.name,
      device: backend.device,
      reason: `${whatHappened} Training goes on with ${where}, from the last center.`,
      measured: this.#measured,
    });
  }
}

/** At most twice as many steps wait on the device. A WASM step never waits; in software two are plenty. */
function stepsPerLook(backend: Backend, samplesPerSecond: number, batch: number): number {
  if (backend.name === "wasm" || backend.isFallback) return 1;
  const steps = Math.round((samplesPerSecond / batch) * (LOOK_MS / 1000));
  return Math.min(MOST_STEPS_PER_LOOK, Math.max(1, steps));
}
