/**
 * The words of a plan: every operation that a training step can consist of, with its tensors, its geometry and where its
 * parameters lie. `plan.ts` puts them in order; a backend knows how to do each.
 */

import type { ImageShape } from "../model/model.ts";
import type { ParameterTensor } from "../model/layout.ts";

/** Index into `Plan.tensors`. */
export type TensorId = number;

/** Sliding-window geometry, square windows. */
export interface WindowGeometry {
  readonly batch: number;
  readonly input: ImageShape;
  readonly output: ImageShape;
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
}

/** Weights and bias of one layer, as ranges of the parameter buffer; their gradients lie at the same offsets. */
export interface Weighted {
  readonly weights: ParameterTensor;
  readonly bias: ParameterTensor;
}

export type Operation =
  /** output[b] = (image bytes of example b / 255 - mean) / deviation; the labels are gathered with it. */
  | { readonly kind: "gather"; readonly output: TensorId; readonly labels: TensorId }
  /** output = input * weights + bias, then relu if asked. */
  | ({
      readonly kind: "convolve";
      readonly name: string;
      readonly input: TensorId;
      readonly output: TensorId;
      readonly window: WindowGeometry;
      readonly relu: boolean;
    } & Weighted)
  /** Gradient at the input; elements where `reluOutput` is 0 become 0. */
  | ({
      readonly kind: "convolve-data-gradient";
      readonly name: string;
      readonly outputGradient: TensorId;
      readonly inputGradient: TensorId;
      readonly window: WindowGeometry;
      readonly reluOutput: TensorId | undefined;
    } & Weighted)
  /** Gradients of weights and bias, overwritten. */
  | ({
      readonly kind: "convolve-filter-gradient";
      readonly name: string;
      readonly input: TensorId;
      readonly outputGradient: TensorId;
      readonly window: WindowGeometry;
    } & Weighted)
  /** `choice` keeps for each output which input won (index within the image, channels included). The first of equals wins. */
  | {
      readonly kind: "max-pool";
      readonly name: string;
      readonly input: TensorId;
      readonly output: TensorId;
      readonly choice: TensorId;
      readonly window: WindowGeometry;
      readonly relu: boolean;
    }
  | {
      readonly kind: "max-pool-gradient";
      readonly name: string;
      readonly outputGradient: TensorId;
      readonly choice: TensorId;
      readonly inputGradient: TensorId;
      readonly window: WindowGeometry;
      readonly reluOutput: TensorId | undefined;
    }
  /** output [batch, units] = input [batch, inputs] * weights [inputs, units] + bias, then relu if asked. */
  | ({
      readonly kind: "dense";
      readonly name: string;
      readonly batch: number;
      readonly inputs: number;
      readonly units: number;
      readonly input: TensorId;
      readonly output: TensorId;
      readonly relu: boolean;
    } & Weighted)
  | ({
      readonly kind: "dense-data-gradient";
      readonly name: string;
      readonly batch: number;
      readonly inputs: number;
      readonly units: number;
      readonly outputGradient: TensorId;
      readonly inputGradient: TensorId;
      readonly reluOutput: TensorId | undefined;
    } & Weighted)
  | ({
      readonly kind: "dense-filter-gradient";
      readonly name: string;
      readonly batch: number;
      readonly inputs: number;
      readonly units: number;
      readonly input: TensorId;
      readonly outputGradient: TensorId;
    } & Weighted)
  /** losses[b] = cross-entropy of row b, correct[b] = 1 where the largest logit is the label's, gradient = (p - y) / batch. */
  | {
      readonly kind: "softmax-cross-entropy";
      readonly batch: number;
      readonly classes: number;
      readonly logits: TensorId;
      readonly labels: TensorId;
      readonly gradient: TensorId;
      readonly losses: TensorId;
      readonly correct: TensorId;
    };

/** Every tensor that an operation reads or writes. */
export function tensorsOf(operation: Operation): readonly TensorId[] {
  switch (operation.kind) {
    case "gather":
      return [operation.output, operation.labels];
    case "convolve":
    case "dense":
      return [operation.input, operation.output];
    case "max-pool":
      return [operation.input, operation.output, operation.choice];
    case "convolve-filter-gradient":
    case "dense-filter-gradient":
      return [operation.input, operation.outputGradient];
    case "convolve-data-gradient":
    case "dense-data-gradient":
      return withRelu([operation.outputGradient, operation.inputGradient], operation.reluOutput);
    case "max-pool-gradient":
      return withRelu([operation.outputGradient, operation.choice, operation.inputGradient], operation.reluOutput);
    case "softmax-cross-entropy":
      return [operation.logits, operation.labels, operation.gradient, operation.losses, operation.correct];
    default:
      return operation satisfies never;
  }
}

function withRelu(tensors: TensorId[], reluOutput: TensorId | undefined): TensorId[] {
  return reluOutput === undefined ? tensors : [...tensors, reluOutput];
}
