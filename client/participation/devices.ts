/**
 * The device that trains: measures the backends, keeps the fastest that passes the entrance exam, and builds another one when it is lost. Owns every
 * backend that it opened; only the program of the chosen one keeps its memory.
 */

import type { BackendName, BackendWish } from "../../shared/backends.ts";
import type { Backend, Program } from "../../shared/engine/backend.ts";
import { planFor } from "../../shared/engine/fit.ts";
import type { Speeds } from "../../shared/engine/hybrid/balance.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { flopsPerSample } from "../../shared/engine/work.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { BackendChoice, BackendMeasurement, FailureKind, Tuning } from "../messages.ts";
import type { Clock } from "../replica/clock.ts";
import type { Device } from "../replica/local_training.ts";
import { RecentCount } from "../replica/recent_count.ts";
import { chooseBackend, titleOf } from "./choice.ts";
import { ExamError, type Exam } from "./exam.ts";
import { Failure } from "./failure.ts";
import type { Examples, Shard } from "./examples.ts";
import { speedsOf, whyAlone } from "./hybrid.ts";
import { measure, within, type Measured, type MeasurementBounds } from "./measurement.ts";
import { paced } from "./paced.ts";
import type { Advice, OpenedBackend, Surroundings } from "./surroundings.ts";
import { recallWinners, tuneBackend, type TunerOptions } from "./tuning.ts";

export interface DevicesOptions {
  readonly settings: RunSettings;
  readonly plan: Plan;
  readonly asked: BackendWish;
  readonly examples: Examples;
  readonly clock: Clock;
  readonly openBackend: Surroundings["openBackend"];
  readonly advice: Advice;
  readonly exam: Exam;
  readonly between: () => Promise<void>;
  /** The share of the time in which the volunteer lets the device compute, now; all of it where left out. */
  readonly dutyCycle?: () => number;
  readonly onChoice: (choice: BackendChoice) => void;
  readonly winners?: Surroundings["winners"];
  readonly onTuning?: (tuning: Tuning) => void;
  /** What nobody waits for. */
  readonly warn?: Surroundings["warn"];
}

interface Candidate extends Measured {
  readonly backend: Backend | undefined;
}

/** What may train. */
interface Admitted {
  readonly program: Program;
  /** That the exam is passed, where there is one. */
  readonly exam: string | undefined;
}

const BOUNDS: MeasurementBounds = { compileMs: 8000, stepsMs: 3000 };
/** Whoever asks for a backend waits for it. */
const ASKED_BOUNDS: MeasurementBounds = { compileMs: 60_000, stepsMs: 60_000 };
/** Within a minute: a GPU that is lost more often is not worth another wait. */
const WEBGPU_LOSSES = 3;
/** Between two looks at the queue: long against a look, short against a person who presses Stop. */
const LOOK_MS = 30;
const MOST_STEPS_PER_LOOK = 32;
const LONG_STEP_MS = 50;

export class Devices {
  readonly #options: DevicesOptions;
  #measured: readonly BackendMeasurement[] = [];
  #backends: Backend[] = [];
  #program: Program | undefined;
  readonly #losses = new RecentCount();
  #measuringMs = 0;
  #wordsOfReplacement: string | undefined;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  /** That measuring took, the compiling of what was measured included. */
  get measuringMs(): number {
    return this.#measuringMs;
  }

  /** What came of the last `replace`, as a sentence. */
  get wordsOfReplacement(): string | undefined {
    return this.#wordsOfReplacement;
  }

  /** Rejects with a sentence where nothing can train. */
  async choose(): Promise<Device> {
    const { asked, examples, onChoice, advice } = this.#options;
    const shard = await examples.first();
    const candidates: Candidate[] = [];
    // One after the other: a GPU in software is the same processor.
    const alone = asked === "auto" || asked === "hybrid" ? (["wasm", "webgpu"] as const) : [asked];
    for (const name of alone) candidates.push(await this.#try(name, shard));
    if (alone.length > 1) candidates.push(...(await this.#tryBoth(shard, candidates)));
    for (;;) {
      this.#measured = candidates.map(({ measurement }) => measurement);
      const choice = chooseBackend(this.#measured, asked, advice.noBackend);
      if ("problem" in choice) throw new Failure(whyNone(this.#measured), choice.problem);
      const at = candidates.findIndex(({ measurement }) => measurement.backend === choice.backend);
      const chosen = candidates[at];
      if (!chosen?.backend || !chosen.program)
        throw new Error("invariant violation: a backend without a program was chosen");
      // Its random numbers have moved on while it was measured; those of an exam begin at the beginning.
      chosen.program.close();
      const admitted = await this.#admit(chosen.backend);
      if ("failure" in admitted) {
        const measurement = { ...chosen.measurement, exam: admitted.failure };
        candidates[at] = { measurement, program: undefined, backend: undefined };
        continue;
      }
      const { program, exam } = admitted;
      onChoice({ ...choice, ...this.#facts(choice.backend, program.plan, exam) });
      for (const candidate of candidates) if (candidate !== chosen) this.#discard(candidate);
      return this.#deviceOf(chosen.backend, program, shard);
    }
  }

  /** Another device in place of a lost one: the GPU once more, else WASM. `whatHappened` is a sentence. */
  async replace(whatHappened: string): Promise<Device> {
    this.close();
    const losses = this.#losses.add(this.#options.clock.nowMs());
    const shard = await this.#options.examples.first();
    const names: readonly BackendName[] = losses <= WEBGPU_LOSSES ? ["webgpu", "wasm"] : ["wasm"];
    let lastNote = "";
    for (const name of names) {
      const backend = await this.#open(name);
      if ("note" in backend) {
        lastNote = backend.note;
        continue;
      }
      const admitted = await this.#admit(backend);
      if ("failure" in admitted) {
        lastNote = admitted.failure;
        continue;
      }
      this.#sayReplaced(backend, whatHappened, admitted);
      return this.#deviceOf(backend, admitted.program, shard);
    }
    throw new Failure(
      "device-lost",
      `${whatHappened} No other device can train: ${lastNote} ${this.#options.advice.noDevice}`,
    );
  }

  /** Frees the memory; steps that are still queued on a GPU end with it. */
  close(): void {
    this.#program?.close();
    this.#program = undefined;
    for (const backend of this.#backends) backend.close();
    this.#backends = [];
  }

  /** Compiles, and lets in what passes the entrance exam; closes the backend of what does not. */
  async #admit(backend: Backend): Promise<Admitted | { readonly failure: string }> {
    const { clock, exam, between } = this.#options;
    let program: Program | undefined;
    try {
      const plan = this.#planFor(backend);
      program = await within(ASKED_BOUNDS.compileMs, clock, "Compiling", backend.compile(plan));
      const verdict = await exam.take(program);
      await between();
      if (!verdict || verdict.isPassed) return { program, exam: verdict?.sentence };
      this.#discard({ backend, program });
      return { failure: verdict.sentence };
    } catch (error) {
      this.#discard({ backend, program });
      await between();
      // Another device would have no answers either.
      if (error instanceof ExamError) throw error;
      return {
        failure: `It broke off before it could train: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  }

  /** Both devices together, where they may be worth it; nothing where one of them cannot train. */
  async #tryBoth(shard: Shard, alone: readonly Candidate[]): Promise<readonly Candidate[]> {
    const { plan, asked } = this.#options;
    const speeds = speedsOf(alone.map(({ measurement }) => measurement));
    const gpu = alone.find(({ backend }) => backend?.name === "webgpu")?.backend;
    if (asked !== "hybrid") {
      if (!speeds || !gpu) return [];
      const reason = whyAlone(plan, gpu, speeds);
      if (reason !== undefined) return [unmeasured("hybrid", reason)];
    }
    return [await this.#try("hybrid", shard, speeds)];
  }

  async #try(name: BackendName, shard: Shard, speeds?: Speeds): Promise<Candidate> {
    const { settings, asked, clock, between } = this.#options;
    await between();
    const backend = await this.#open(name, speeds);
    if ("note" in backend) return unmeasured(name, backend.note);
    const bounds = asked === "auto" ? BOUNDS : ASKED_BOUNDS;
    const plan = this.#planFor(backend);
    const beganMs = clock.nowMs();
    const measured = await measure(backend, { plan, seed: settings.seed, shard, clock, between, bounds });
    this.#measuringMs += clock.nowMs() - beganMs;
    return { ...measured, backend };
  }

  async #open(name: BackendName, speeds?: Speeds): Promise<OpenedBackend> {
    const backend = await this.#options.openBackend(name, speeds);
    if ("note" in backend) return backend;
    this.#backends.push(backend);
    // Whoever stopped meanwhile has closed what was open then.
    await this.#options.between();
    await recallWinners(backend, this.#tunerOptions(this.#planFor(backend)));
    return backend;
  }

  /** The run's plan, in parts where its batch is too much for the device at once. */
  #planFor(backend: Backend): Plan {
    const { plan } = this.#options;
    try {
      return planFor(backend, plan.model, plan);
    } catch {
      // Compiling will say why not even parts fit.
      return plan;
    }
  }

  #discard({ backend, program }: Pick<Candidate, "backend" | "program">): void {
    program?.close();
    backend?.close();
    this.#backends = this.#backends.filter((one) => one !== backend);
  }

  #deviceOf(backend: Backend, program: Program, shard: Shard): Device {
    this.#program = program;
    const { loaded, load } = this.#options.examples.into(program, shard, () => this.#program === program);
    const samplesPerSecond = this.#speedOf(backend.name);
    // Its very plan: tuning changes the kernels of programs that were compiled from it.
    void this.#tune(backend, program.plan);
    return {
      backend: backend.name,
      description: backend.device,
      samplesPerSecond,
      program,
      lost: backend.lost,
      stepsPerLook: stepsPerLook(backend, samplesPerSecond, this.#options.plan.batch),
      loaded,
      load,
    };
  }

  /** Training begins with the kernels that are guessed or remembered. */
  async #tune(backend: Backend, plan: Plan): Promise<void> {
    try {
      await tuneBackend(backend, this.#tunerOptions(plan));
    } catch (error) {
      // A device that is lost or closed is heard of elsewhere.
      await Promise.race([backend.lost, this.#options.clock.breathe()]);
      if (this.#backends.includes(backend)) this.#options.warn?.(error);
    }
  }

  #tunerOptions(plan: Plan): TunerOptions {
    const { clock, winners, between, dutyCycle = () => 1, onTuning = () => {} } = this.#options;
    return { plan, clock, winners, between: paced(between, clock, dutyCycle), onTuning };
  }

  #speedOf(name: BackendName): number {
    return this.#measured.find(({ backend }) => backend === name)?.samplesPerSecond ?? 0;
  }

  #sayReplaced(backend: Backend, whatHappened: string, { exam, program: { plan } }: Admitted): void {
    const where = backend.name === "webgpu" ? `WebGPU on ${backend.device}` : backend.device;
    const reason = `${whatHappened} Training goes on with ${where}, from the last center.`;
    this.#wordsOfReplacement = reason;
    this.#options.onChoice({
      backend: backend.name,
      device: backend.device,
      reason,
      measured: this.#measured,
      ...this.#facts(backend.name, plan, exam),
    });
  }

  #facts(name: BackendName, plan: Plan, exam: string | undefined): Pick<BackendChoice, "exam" | "gflops"> {
    const gflops = (flopsPerSample(plan) * this.#speedOf(name)) / 1e9;
    return { ...(exam === undefined ? {} : { exam }), ...(gflops === 0 ? {} : { gflops }) };
  }
}

/** What is wrong where nothing can train. */
function whyNone(measured: readonly BackendMeasurement[]): FailureKind {
  return measured.some(({ exam }) => exam !== undefined) ? "exam-failed" : "other";
}

function unmeasured(name: BackendName, note: string): Candidate {
  const measurement = { backend: name, device: titleOf(name), samplesPerSecond: undefined, note };
  return { measurement, program: undefined, backend: undefined };
}

/**
 * At most twice as many steps wait on the device; with 0 only one does. A WASM step never waits. Where a step takes long the next one
 * is not begun before: the host's few milliseconds between two are nothing then, and what is queued runs on after Stop (LeNet with a
 * batch of 64 on SwiftShader: 0.22 s of processor time for each step).
 */
function stepsPerLook(backend: Backend, samplesPerSecond: number, batch: number): number {
  if (backend.name === "wasm") return 1;
  if (backend.isFallback || samplesPerSecond < (1000 * batch) / LONG_STEP_MS) return 0;
  const steps = Math.round((samplesPerSecond / batch) * (LOOK_MS / 1000));
  return Math.min(MOST_STEPS_PER_LOOK, Math.max(1, steps));
}
