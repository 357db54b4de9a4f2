/**
 * What a center answers to single images, on the engine's WASM backend: logits, for confusion matrices, for checks of exported
 * files and for whoever wants more than a mean. In the caller's thread; `evaluator.ts` is what a run asks as it goes.
 */

import type { Program } from "../../shared/engine/backend.ts";
import { compilePlan, type Normalisation, type Plan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { liftVariances } from "./lift_variances.ts";
import { readWasmSources } from "./wasm_sources.ts";

export interface LogitsOptions {
  readonly model: ModelDescription;
  readonly normalisation: Normalisation;
  /** Changed where a variance is below zero. */
  readonly parameters: Float32Array<ArrayBuffer>;
  /** Images at a time. */
  readonly batch: number;
}

/** The evaluation in the place of the forward pass, so that its operations can be run one by one, and nothing to go back. */
function inferencePlan({ model, normalisation, batch }: LogitsOptions): Plan {
  const plan = compilePlan(model, { batch, datasetExamples: batch, normalisation });
  return { ...plan, forward: plan.evaluation, backward: [] };
}

export class Logits {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async open(options: LogitsOptions): Promise<Logits> {
    const backend = await createWasmBackend(await readWasmSources());
    const program = await backend.compile(inferencePlan(options));
    liftVariances(options.parameters, program.plan.layout);
    program.writeParameters(options.parameters);
    return new Logits(program);
  }

  /** `images` are bytes, [count, height, width, channels], at most a batch of them. Returns [count, classes]. */
  async of(images: Uint8Array): Promise<Float32Array<ArrayBuffer>> {
    const { plan } = this.#program;
    const imageBytes = elementsOf(plan.model.input);
    const count = images.length / imageBytes;
    if (!Number.isInteger(count) || count < 1 || count > plan.batch) {
      throw new Error(`invariant violation: ${images.length} bytes are not 1 to ${plan.batch} images of ${imageBytes}`);
    }
    this.#program.loadExamples(0, images, new Uint8Array(count));
    // The rest of the batch repeats the first image; what it gives is dropped.
    const examples = Uint32Array.from({ length: plan.batch }, (_, index) => (index < count ? index : 0));
    const loss = plan.forward.at(-1);
    if (!loss || !("outputs" in loss)) throw new Error("invariant violation: a plan that does not end with its loss");
    const runs = [{ first: 0, count: count * plan.model.classes }];
    const moves = [
      ...plan.forward.slice(0, -1).map((_, at) => ({ kind: "operate", part: "forward", at }) as const),
      { kind: "read", source: { kind: "tensor", tensor: loss.outputs }, runs } as const,
    ];
    let logits = new Float32Array(0);
    await this.#program.exercise(examples, { pattern: Float32Array.of(0), moves }, (words) => {
      // The words are valid during the call alone.
      logits = new Float32Array(words.slice().buffer);
    });
    return logits;
  }

  close(): void {
    this.#program.close();
  }
}
