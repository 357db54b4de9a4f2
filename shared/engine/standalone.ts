/**
 * The engine used alone, without coordinator and replica: a device and a model in, a trainer out, which is fed batch by
 * batch. Behind it stand the same plan, program and kernels as a volunteer's. `client/engine_module/` hands in the kernels'
 * sources and makes one JavaScript file of it all.
 */

import { initialParameters, type ParameterLayout } from "../model/layout.ts";
import { elementsOf, type ModelDescription } from "../model/model.ts";
import type { Augmentation } from "./dice.ts";
import type { Backend, Program, StepSettings } from "./backend.ts";
import { planFor } from "./fit.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Normalisation } from "./plan.ts";
import type { TuningResult } from "./tuning.ts";

/** A `GPUDevice`, which stays the caller's, or the CPU. */
export type EngineDevice = GPUDevice | "wasm";

export interface CompileOptions {
  /** Examples of each step. */
  readonly batch: number;
  /** Of pixels scaled to 0..1, one value a channel or one for all. Mean 0 and deviation 1 where left out. */
  readonly normalisation?: Normalisation;
  /** Heavy-ball momentum where left out. */
  readonly optimizer?: Optimizer;
  /** Shift and flip images at random. Neither where left out. */
  readonly augmentation?: Augmentation;
  /** In how many parts a batch is done at least; more where it does not fit on the device. 1 where left out. */
  readonly microBatches?: number;
  /** Changed later by `trainer.settings`. 0.01, 0.9 and 0 where left out. */
  readonly settings?: Partial<StepSettings>;
  /** Where training begins, in the layout of `trainer.layout`; the model's own initialisation where left out. */
  readonly parameters?: Float32Array;
  /** Of that initialisation, of dropout and of augmentation. 1 where left out. */
  readonly seed?: number;
}

interface Batch {
  /** `batch * height * width * channels` bytes, one image after another, rows of pixels of channels (NHWC). */
  readonly images: Uint8Array;
  /** One class number for each image. */
  readonly labels: Uint8Array;
}

export interface Trainer {
  readonly backend: Backend["name"];
  /** Where each tensor lies in the parameters. */
  readonly layout: ParameterLayout;
  /** What the next step uses; may be assigned between steps. */
  settings: StepSettings;
  /** Enqueues one training step and returns; throws a sentence where the batch does not fit the model. */
  step(batch: Batch): void;
  /** The mean loss of the steps since the last call, each before its update. Waits until they are done. */
  loss(): Promise<number>;
  /**
   * Measures for `budgetMs` which kernels are fastest for this model on this device, and goes on with them; steps may be
   * taken meanwhile. Undefined where there is nothing to choose: on the CPU.
   */
  tune(budgetMs: number): Promise<TuningResult | undefined>;
  /** How many of a batch are answered rightly, and the mean loss, without training. */
  evaluate(batch: Batch): Promise<{ readonly correct: number; readonly meanLoss: number }>;
  /** A copy. */
  parameters(): Promise<Float32Array<ArrayBuffer>>;
  /** Resolves when every step is done. */
  idle(): Promise<void>;
  /** Frees the memory on the device. */
  close(): void;
}

const DEFAULT_SETTINGS: StepSettings = { learningRate: 0.01, momentum: 0.9, weightDecay: 0 };

/** `nowMs` is any clock that never goes back. Compiles `model` on `backend`; rejects with a sentence that names the layer or the kernel that does not fit. */
export async function compileTrainer(
  backend: Backend,
  model: ModelDescription,
  options: CompileOptions,
  nowMs: () => number,
): Promise<Trainer> {
  const { batch, normalisation = { mean: [0], deviation: [1] }, seed = 1, settings, parameters, ...others } = options;
  const plan = planFor(backend, model, { ...others, batch, normalisation, seed, datasetExamples: batch });
  const program = await backend.compile(plan);
  program.writeParameters(parameters ?? initialParameters(plan.layout, seed));
  return new ProgramTrainer(backend, program, nowMs, { ...DEFAULT_SETTINGS, ...settings });
}

class ProgramTrainer implements Trainer {
  readonly backend: Backend["name"];
  readonly layout: ParameterLayout;
  settings: StepSettings;
  readonly #backend: Backend;
  readonly #program: Program;
  readonly #nowMs: () => number;
  /** The data set on the device is the batch. */
  readonly #examples: Uint32Array;

  constructor(backend: Backend, program: Program, nowMs: () => number, settings: StepSettings) {
    this.backend = backend.name;
    this.#backend = backend;
    this.#nowMs = nowMs;
    this.layout = program.plan.layout;
    this.settings = settings;
    this.#program = program;
    this.#examples = Uint32Array.from({ length: program.plan.batch }, (_, example) => example);
  }

  step(batch: Batch): void {
    this.#load(batch);
    this.#program.step(this.#examples, this.settings);
  }

  async loss(): Promise<number> {
    return (await this.#program.takeLoss()).meanLoss;
  }

  async tune(budgetMs: number): Promise<TuningResult | undefined> {
    return this.#backend.tune?.(this.#program.plan, { budgetMs, nowMs: this.#nowMs });
  }

  evaluate(batch: Batch): Promise<{ correct: number; meanLoss: number }> {
    this.#load(batch);
    return this.#program.evaluate(this.#examples);
  }

  parameters(): Promise<Float32Array<ArrayBuffer>> {
    return this.#program.readParameters();
  }

  idle(): Promise<void> {
    return this.#program.idle();
  }

  close(): void {
    this.#program.close();
  }

  /** Uploads keep their order among the steps. */
  #load({ images, labels }: Batch): void {
    const { batch, model } = this.#program.plan;
    const bytes = batch * elementsOf(model.input);
    if (labels.length !== batch || images.length !== bytes) {
      throw new Error(
        `A batch has ${batch} labels and ${bytes} bytes of images; ${labels.length} and ${images.length} came.`,
      );
    }
    this.#program.loadExamples(0, images, labels);
  }
}
