/**
 * What a center answers to single images, on the engine's WASM backend: logits, for confusion matrices, for checks of exported
 * files and for whoever wants more than a mean. In the caller's thread; `evaluator.ts` is what a run asks as it goes.
 */

import { compilePlan, type Normalisation } from "../../shared/engine/plan.ts";
import type { VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { liftVariances } from "./lift_variances.ts";
import { readWasmSources } from "./wasm_sources.ts";

export interface LogitsOptions {
  readonly model: ModelDescription;
  readonly normalisation: Normalisation;
  /** In the layout's order, gaps included. */
  readonly parameters: Float32Array;
  /** Images at a time. */
  readonly batch: number;
}

export class Logits {
  readonly #program: VirtualProgram;
  readonly #parameters: Float32Array;

  private constructor(program: VirtualProgram, parameters: Float32Array) {
    this.#program = program;
    this.#parameters = parameters;
  }

  static async open({ model, normalisation, parameters, batch }: LogitsOptions): Promise<Logits> {
    const backend = await createWasmBackend(await readWasmSources());
    const program = await backend.compile(compilePlan(model, { batch, datasetExamples: batch, normalisation }));
    const lifted = parameters.slice();
    liftVariances(lifted, program.plan.layout);
    return new Logits(program, lifted);
  }

  /** `images` are bytes, [count, height, width, channels], at most a batch of them. Returns [count, classes]. */
  of(images: Uint8Array): Float32Array<ArrayBuffer> {
    const { batch, model } = this.#program.plan;
    const imageBytes = elementsOf(model.input);
    const count = images.length / imageBytes;
    if (!Number.isInteger(count) || count < 1 || count > batch) {
      throw new Error(`invariant violation: ${images.length} bytes are not 1 to ${batch} images of ${imageBytes}`);
    }
    this.#program.loadExamples(0, images, new Uint8Array(count));
    // The rest of the batch repeats the first image; what it gives is dropped.
    const examples = Uint32Array.from({ length: batch }, (_, index) => (index < count ? index : 0));
    return this.#program.outputsAt(this.#parameters, examples).subarray(0, count * model.classes);
  }

  close(): void {
    this.#program.close();
  }
}
