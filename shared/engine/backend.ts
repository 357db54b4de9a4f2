/**
 * The engine's one narrow seam: a backend turns a plan into a program, and a program is everything that a replica, an
 * evaluator or a test may ask of a device. `webgpu/` and `wasm/` stand behind it; nobody outside knows which.
 *
 * All vectors that cross it have the layout's `elements` (parameters, difference, gradient, center).
 */

import type { Exercise, TakeWords } from "./exercise.ts";
import type { Plan } from "./plan.ts";

type BackendName = "webgpu" | "wasm";

export interface Backend {
  readonly name: BackendName;
  /** The device in words, for people: the adapter's description, or the kind of WASM. */
  readonly device: string;
  /** True where WebGPU runs in software. */
  readonly isFallback: boolean;
  /** Resolves with a sentence when the device is lost; never rejects. A WASM backend never loses its device. */
  readonly lost: Promise<string>;
  /** Makes every buffer, pipeline and bind group that the plan needs. Rejects with a sentence that names the operation. */
  compile(plan: Plan): Promise<Program>;
  close(): void;
}

export interface StepSettings {
  readonly learningRate: number;
  /** Heavy-ball momentum of the replica: v <- momentum*v - learningRate*g ; x <- x + v. */
  readonly momentum: number;
  /** g gains weightDecay * x. */
  readonly weightDecay: number;
}

/** What one readback brings: a vector of the layout's elements, and the losses of the local steps since the last one. */
export interface Taken {
  /** Valid until the next `take…` of the same program. */
  readonly values: Float32Array<ArrayBuffer>;
  readonly steps: number;
  readonly meanLoss: number;
}

export interface Evaluation {
  readonly correct: number;
  readonly meanLoss: number;
}

export interface Program {
  readonly plan: Plan;
  /**
   * Puts examples into the data set on the device, as bytes; `first` is the index of the first one. `images` holds
   * `count * height * width * channels` bytes (NHWC), `labels` `count` bytes. The set holds `plan.datasetExamples` at most.
   */
  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void;
  /** Sets parameters and base to `parameters` and the velocity to zero. */
  writeParameters(parameters: Float32Array): void;
  readParameters(): Promise<Float32Array<ArrayBuffer>>;
  /** Enqueues one local step (gather, forward, loss, backward, update) on `plan.batch` examples; returns before it is done. */
  step(examples: Uint32Array, settings: StepSettings): void;
  /** The same without the update; the batch-mean gradient stays for `takeGradient`. */
  gradientStep(examples: Uint32Array): void;
  /** Remembers the parameters as sent, and reads back `parameters - base`. */
  takeDifference(): Promise<Taken>;
  /** Reads back the gradient of the last step. */
  takeGradient(): Promise<Taken>;
  /** The elastic pull (SPEC X): parameters <- parameters - movingRate * (sent - center); base <- center. */
  settle(center: Float32Array, movingRate: number): void;
  /** base <- center; unless `keepParameters`, also parameters <- center and velocity <- 0. */
  rebase(center: Float32Array, keepParameters: boolean): void;
  /** Forward only, on `plan.batch` examples. */
  evaluate(examples: Uint32Array): Promise<Evaluation>;
  /**
   * Single operations on given tensors, with `examples` as the batch; `take` is called for each read, in order. For the entrance
   * exam (SPEC E10), before training: tensors, gradient and running statistics are others afterwards.
   */
  exercise(examples: Uint32Array, exercise: Exercise, take: TakeWords): Promise<void>;
  /** Resolves when all that was enqueued has been done. */
  idle(): Promise<void>;
  close(): void;
}

/** The sources of a backend's kernels by name, handed in by whoever can read them: text of WGSL files, bytes of WASM modules. */
export type ShaderSources = ReadonlyMap<string, string>;
