/** An exported model in ONNX Runtime beside Drove's own evaluation, image by image; and both beside plain loops in double precision. */

import { InferenceSession, Tensor, env } from "onnxruntime-web";
import { Logits } from "../../../coordinator/evaluation/logits.ts";
import { onnxOf } from "../../../coordinator/export/onnx.ts";
import { compilePlan, type Normalisation } from "../../../shared/engine/plan.ts";
import { elementsOf, type ModelDescription } from "../../../shared/model/model.ts";
import { referenceMemory, runOperation } from "../../reference/operations.ts";

env.wasm.numThreads = 1;

export interface Exported {
  readonly model: ModelDescription;
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly normalisation: Normalisation;
}

/** [count, classes] each. */
interface Answers {
  readonly drove: Float32Array;
  readonly runtime: Float32Array;
  readonly probabilities: Float32Array;
  readonly droveMs: number;
  readonly runtimeMs: number;
}

export class OnnxComparison {
  readonly fileBytes: number;
  readonly #session: InferenceSession;
  readonly #logits: Logits;
  readonly #model: ModelDescription;

  private constructor(fileBytes: number, session: InferenceSession, logits: Logits, model: ModelDescription) {
    this.fileBytes = fileBytes;
    this.#session = session;
    this.#logits = logits;
    this.#model = model;
  }

  static async open(exported: Exported, batch: number): Promise<OnnxComparison> {
    const file = await onnxOf({ ...exported, version: 7, metadata: {}, fileStem: "model" });
    const session = await InferenceSession.create(file.parts[0]!, { executionProviders: ["wasm"] });
    const logits = await Logits.open({ ...exported, batch });
    return new OnnxComparison(file.byteLength, session, logits, exported.model);
  }

  /** Of `images`, [count, height, width, channels] as bytes, at most a batch. */
  async answers(images: Uint8Array): Promise<Answers> {
    const { height, width, channels } = this.#model.input;
    const dimensions = [images.length / elementsOf(this.#model.input), height, width, channels];
    const begunMs = performance.now();
    const drove = this.#logits.of(images);
    const betweenMs = performance.now();
    const outputs = await this.#session.run({ images: new Tensor("float32", Float32Array.from(images), dimensions) });
    return {
      drove,
      runtime: floatsOf(outputs["logits"]),
      probabilities: floatsOf(outputs["probabilities"]),
      droveMs: betweenMs - begunMs,
      runtimeMs: performance.now() - betweenMs,
    };
  }

  async close(): Promise<void> {
    this.#logits.close();
    await this.#session.release();
  }
}

function floatsOf(tensor: Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error("The runtime gave no float32 tensor of that name.");
  return tensor.data;
}

/** Logits [count, classes] in double precision, from the same parameters. */
export function referenceLogits({ model, parameters, normalisation }: Exported, images: Uint8Array): Float64Array {
  const count = images.length / elementsOf(model.input);
  const plan = compilePlan(model, { batch: count, datasetExamples: count, normalisation });
  const memory = referenceMemory(plan, images, new Uint8Array(count));
  memory.parameters.set(parameters);
  memory.examples = Uint32Array.from({ length: count }, (_, index) => index);
  for (const operation of plan.evaluation) runOperation(operation, memory);
  const loss = plan.evaluation.at(-1);
  if (!loss || !("outputs" in loss)) throw new Error("A plan ends with its loss.");
  return memory.tensors[loss.outputs]!;
}

export function largestDifference(first: ArrayLike<number>, second: ArrayLike<number>): number {
  let largest = 0;
  for (let index = 0; index < first.length; index++) {
    const difference = Math.abs(first[index]! - second[index]!);
    // A NaN is the largest of all.
    if (!(difference <= largest)) largest = difference;
  }
  return first.length === second.length ? largest : Infinity;
}

/** Of each row of [count, classes] the index of its largest; the first of equals. */
export function choices(values: ArrayLike<number>, classes: number): number[] {
  return Array.from({ length: values.length / classes }, (_, row) => {
    let best = 0;
    for (let c = 1; c < classes; c++) if (values[row * classes + c]! > values[row * classes + best]!) best = c;
    return best;
  });
}
