/**
 * The engine's one narrow seam: a backend turns a plan into a program, and a program is everything that a replica, an
 * evaluator or a test may ask of a device. `webgpu/` and `wasm/` stand behind it, and `hybrid/`, which makes one of both; nobody
 * outside knows which.
 *
 * All vectors that cross it have the layout's `elements` (parameters, difference, gradient, center).
 */

import type { BackendName } from "../backends.ts";
import type { CodecName, Fragment } from "../wire/codec/codec.ts";
import type { Exercise, TakeWords } from "./exercise.ts";
import type { Misfit } from "./fit.ts";
import type { Plan } from "./plan.ts";
import type { TuningOptions, TuningResult } from "./tuning.ts";

export interface Backend<P extends Program = Program> {
  readonly name: BackendName;
  /** The device in words, for people: the adapter's description, or the kind of WASM. */
  readonly device: string;
  /** True where WebGPU runs in software. */
  readonly isFallback: boolean;
  /** Resolves with a sentence when the device is lost; never rejects. A WASM backend never loses its device. */
  readonly lost: Promise<string>;
  /** Why a plan cannot, or should not, run on this device: `fit.ts` finds one that can. Left out where everything runs. */
  misfit?(plan: Plan): Misfit | undefined;
  /** Makes every buffer, pipeline and bind group that the plan needs. Rejects with a sentence that names the operation. */
  compile(plan: Plan): Promise<P>;
  /**
   * Measures which kernels are fastest for `plan`, where a backend has several: open programs of this very plan take them
   * between two steps and keep their state, and those compiled later begin with them. Steps may go on meanwhile. Rejects
   * where the device is lost or closed, and with what `options.between` throws.
   */
  tune?(plan: Plan, options: TuningOptions): Promise<TuningResult>;
  close(): void;
}

/** What changes from step to step of the plan's optimizer (`optimizer.ts` has the equations). */
export interface StepSettings {
  readonly learningRate: number;
  /** Of the velocity; of adamw the share that the mean of gradients keeps. */
  readonly momentum: number;
  readonly weightDecay: number;
}

/** The losses of the local steps since the last readback. */
export interface TakenLoss {
  readonly steps: number;
  /** Over all examples of these steps; 0 where there were none. */
  readonly meanLoss: number;
}

/** What one readback brings: a vector of the layout's elements, and the losses. */
export interface Taken extends TakenLoss {
  /** Valid until the next `take…` of the same program. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** What is taken for the wire: x - base, or the gradient of the last step, of one fragment. */
export interface TakeRequest {
  readonly what: "difference" | "gradient";
  readonly codec: CodecName;
  readonly fragment: Fragment;
}

export interface TakenPayload extends TakenLoss {
  /** As `encodedBytes` says. Valid until the next `take…` of the same program. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** False where a value, or what stands for it, is a NaN or an infinity: nobody should be sent that. */
  readonly isFinite: boolean;
}

/** What a fragment of the base becomes: new values, or the old ones with changes added in this order. */
export type CenterNews =
  | { readonly kind: "values"; readonly fragment: Fragment; readonly values: Float32Array }
  | {
      readonly kind: "deltas";
      readonly fragment: Fragment;
      readonly codec: CodecName;
      /** Each as long as `encodedBytes` says; at any alignment. */
      readonly deltas: readonly Uint8Array[];
    };

export interface Evaluation {
  readonly correct: number;
  readonly meanLoss: number;
}

export interface Program {
  readonly plan: Plan;
  /** What the program holds at its peak, which is all the time: everything is made when it is compiled, what a codec needs when it is first used. */
  readonly memoryBytes: number;
  /**
   * Puts examples into the data set on the device, as bytes; `first` is the index of the first one. `images` holds
   * `count * height * width * channels` bytes (NHWC), `labels` `count` bytes. The set holds `plan.datasetExamples` at most.
   */
  loadExamples(first: number, images: Uint8Array, labels: Uint8Array): void;
  /** Sets parameters and base to `parameters`, and begins the optimizer anew: velocity, means and their step count are zero. */
  writeParameters(parameters: Float32Array): void;
  readParameters(): Promise<Float32Array<ArrayBuffer>>;
  /**
   * Enqueues one local step (gather, forward, loss, backward, update) on `plan.batch` examples, or on fewer: any whole number
   * of the plan's parts, `plan.microBatch` examples each. The gradient is the mean over the examples given. Returns before it
   * is done.
   */
  step(examples: Uint32Array, settings: StepSettings): void;
  /** The same without the update; the mean gradient stays for `takeGradient`. */
  gradientStep(examples: Uint32Array): void;
  /** Remembers the parameters as sent, and reads back `parameters - base`. */
  takeDifference(): Promise<Taken>;
  /** Reads back the losses alone: a few bytes. */
  takeLoss(): Promise<TakenLoss>;
  /** Reads back the gradient of the last step; in place of running statistics `base - statistics` (SPEC E9). */
  takeGradient(): Promise<Taken>;
  /** The elastic pull (SPEC X): parameters <- parameters - movingRate * (sent - center); base <- center. */
  settle(center: Float32Array, movingRate: number): void;
  /** base <- center; unless `keepParameters`, also parameters <- center, and the optimizer begins anew. */
  rebase(center: Float32Array, keepParameters: boolean): void;
  /**
   * Encodes on the device and reads back what was encoded (SPEC C). Of a difference, what counts as sent is the base and what was
   * encoded, so that the rest stays in the parameters and is part of the next difference; of a gradient the rest is kept and
   * added to the next one (error feedback, Seide et al. 2014), over every `settleOnto` and `rebaseOnto`, but not over
   * `writeParameters`, nor where it is not finite. Both are only for this fragment.
   */
  takeEncoded(request: TakeRequest): Promise<TakenPayload>;
  /** What was sent of a fragment has not come: sent <- base. */
  unsend(fragment: Fragment): void;
  /** `settle` for one fragment: base <- news, then parameters <- parameters - pull * (sent - base). */
  settleOnto(news: CenterNews, pull: number): void;
  /** `rebase` for one fragment. The optimizer begins anew where the parameters are not kept and the fragment is everything. */
  rebaseOnto(news: CenterNews, keepParameters: boolean): void;
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
