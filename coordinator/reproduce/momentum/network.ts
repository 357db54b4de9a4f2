/**
 * A model over real examples as an objective: the mean loss over the first thousands of training images, drawn from in batches
 * with replacement, through the engine's own kernels. The held-out loss comes from the first test images.
 */

import { compilePlan } from "../../../shared/engine/plan.ts";
import type { VirtualProgram } from "../../../shared/engine/wasm/replica_states.ts";
import { compileVirtual } from "../../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters } from "../../../shared/model/layout.ts";
import { elementsOf, type ModelDescription } from "../../../shared/model/model.ts";
import type { Random } from "../../../shared/random.ts";
import type { CenterShape } from "../../center/center_memory.ts";
import type { Dataset } from "../../data/dataset.ts";
import { readWasmSources } from "../../evaluation/wasm_sources.ts";
import type { Objective } from "./objective.ts";

export interface NetworkOptions {
  readonly model: ModelDescription;
  /** The function is the mean loss over so many training images. */
  readonly images: number;
  /** Images of a replica's gradient; divides the other three. */
  readonly batch: number;
  /** Images of the gradient that is observed; where it is `images`, that gradient is exact. */
  readonly observed: number;
  /** Held-out images of the loss. */
  readonly heldOut: number;
  /** Of the parameters at the start. */
  readonly seed: number;
}

export class NetworkObjective implements Objective {
  readonly shape: CenterShape;
  readonly start: Float32Array;
  readonly #options: NetworkOptions;
  readonly #program: VirtualProgram;
  readonly #training: Uint32Array;
  readonly #heldOut: Uint32Array;

  private constructor(options: NetworkOptions, program: VirtualProgram) {
    const { layout } = program.plan;
    this.#options = options;
    this.#program = program;
    this.shape = layout;
    this.start = initialParameters(layout, options.seed);
    this.#training = Uint32Array.from({ length: options.images }, (_, example) => example);
    this.#heldOut = Uint32Array.from({ length: options.heldOut }, (_, example) => options.images + example);
  }

  static async open(dataset: Dataset, options: NetworkOptions): Promise<NetworkObjective> {
    const { model, images, batch, observed, heldOut } = options;
    const parts = Math.max(batch, observed, heldOut) / batch;
    const plan = compilePlan(model, {
      batch: parts * batch,
      microBatches: parts,
      datasetExamples: images + heldOut,
      normalisation: dataset.normalisation,
    });
    const program = await compileVirtual(await readWasmSources(), plan);
    const bytes = elementsOf(model.input);
    const { train, test } = dataset;
    program.loadExamples(0, train.images.subarray(0, images * bytes), train.labels.subarray(0, images));
    program.loadExamples(images, test.images.subarray(0, heldOut * bytes), test.labels.subarray(0, heldOut));
    return new NetworkObjective(options, program);
  }

  draw(parameters: Float32Array, random: Random): Float32Array {
    return this.#program.gradientAt(parameters, this.#drawn(this.#options.batch, random)).gradient;
  }

  observe(parameters: Float32Array, random: Random): Float32Array {
    const { images, observed } = this.#options;
    const examples = observed === images ? this.#training : this.#drawn(observed, random);
    return this.#program.gradientAt(parameters, examples).gradient;
  }

  heldOutLoss(parameters: Float32Array): number {
    return this.#program.evaluateAt(parameters, this.#heldOut).meanLoss;
  }

  close(): void {
    this.#program.close();
  }

  #drawn(count: number, random: Random): Uint32Array {
    return Uint32Array.from({ length: count }, () => random.below(this.#options.images));
  }
}
