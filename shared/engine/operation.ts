/**
 * The words of a plan: every operation that a training step can consist of, with its tensors, its geometry and where its
 * parameters lie. `plan.ts` puts them in order; a backend knows how to do each.
 *
 * Operations that write an `inputGradient` may `accumulate` (add to what another reader of the same layer has written
 * before) and may `undo` the activation that is fused into the layer whose output's gradient this is: the sum is multiplied
 * by that activation's derivative. The last one to write a gradient undoes it.
 */

import type { ImageShape } from "../model/model.ts";
import type { ParameterTensor } from "../model/layout.ts";
import type { Activation, FusedActivation } from "./activation.ts";

/** Index into `Plan.tensors`. */
export type TensorId = number;

/** Sliding-window geometry, square windows. Taps outside the input count as zero, or not at all in pools. */
export interface WindowGeometry {
  readonly batch: number;
  readonly input: ImageShape;
  readonly output: ImageShape;
  /** Taps along one side. */
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
  /** Pixels from one tap to the next. */
  readonly dilation: number;
  /** Output channels of group g see input channels of group g alone. */
  readonly groups: number;
}

/** Weights and bias of one layer, as ranges of the parameter buffer; their gradients lie at the same offsets. */
export interface Weighted {
  readonly weights: ParameterTensor;
  readonly bias: ParameterTensor | undefined;
}

/** A layer's fused activation, and its output, from which the derivative follows. */
export interface Undo {
  readonly activation: FusedActivation;
  readonly output: TensorId;
}

/** What every operation that writes a gradient of activations has. */
export interface WritesInputGradient {
  readonly inputGradient: TensorId;
  /** Adds to what is there instead of overwriting it. */
  readonly accumulate: boolean;
  /** Applied to the sum. */
  readonly undo: Undo | undefined;
}

/** Scale and shift of a normalisation, as ranges of the parameter buffer, with one element per channel each. */
export interface Scaled {
  readonly scale: ParameterTensor;
  readonly shift: ParameterTensor;
}

interface Named {
  /** The layer's. */
  readonly name: string;
}

interface DenseShape {
  readonly batch: number;
  readonly inputs: number;
  readonly units: number;
}

interface Rows {
  /** Batch times pixels. */
  readonly rows: number;
  readonly channels: number;
}

/** Where a batch norm takes mean and variance from: the batch, kept by `batch-norm-statistics`, or the running ones. */
export type Statistics =
  | { readonly from: "batch"; readonly mean: TensorId; readonly inverseDeviation: TensorId }
  | {
      readonly from: "running";
      readonly mean: ParameterTensor;
      readonly variance: ParameterTensor;
      readonly epsilon: number;
    };

export interface LocalResponse {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
}

interface Loss {
  readonly batch: number;
  readonly classes: number;
  /** Logits or predictions, [batch, classes]. */
  readonly outputs: TensorId;
  readonly labels: TensorId;
  /** At the outputs, of the mean over the whole batch: `examples` images, of which `batch` are here. A step may have fewer parts. */
  readonly gradient: TensorId;
  readonly examples: number;
  /** Per image. */
  readonly losses: TensorId;
  /** 1 where the first of the largest outputs is the label's, else 0. */
  readonly correct: TensorId;
}

export type Operation =
  /**
   * output[b] = (image bytes of example b / 255 - mean) / deviation, per channel; the labels are gathered with it. With
   * `augment`, shifted and flipped as the plan's augmentation says. `tokens` are bytes as they are.
   */
  | {
      readonly kind: "gather";
      readonly output: TensorId;
      readonly labels: TensorId;
      readonly augment: boolean;
      readonly tokens: boolean;
    }
  /** output = activation(input * weights + bias). */
  | (Named &
      Weighted & {
        readonly kind: "convolve";
        readonly input: TensorId;
        readonly output: TensorId;
        readonly window: WindowGeometry;
        readonly activation: FusedActivation | undefined;
      })
  | (Named &
      Weighted &
      WritesInputGradient & {
        readonly kind: "convolve-data-gradient";
        readonly outputGradient: TensorId;
        readonly window: WindowGeometry;
      })
  /** Gradients of weights and bias, overwritten. */
  | (Named &
      Weighted & {
        readonly kind: "convolve-filter-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
        readonly window: WindowGeometry;
      })
  /** output [batch, units] = activation(input [batch, inputs] * weights [inputs, units] + bias). */
  | (Named &
      Weighted &
      DenseShape & {
        readonly kind: "dense";
        readonly input: TensorId;
        readonly output: TensorId;
        readonly activation: FusedActivation | undefined;
      })
  | (Named &
      Weighted &
      DenseShape &
      WritesInputGradient & { readonly kind: "dense-data-gradient"; readonly outputGradient: TensorId })
  | (Named &
      Weighted &
      DenseShape & {
        readonly kind: "dense-filter-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
      })
  /**
   * Taps outside the image are left out. `choice` keeps for each output which input won (index within the image, channels
   * included); the first of equals wins.
   */
  | (Named & {
      readonly kind: "max-pool";
      readonly input: TensorId;
      readonly output: TensorId;
      readonly choice: TensorId;
      readonly window: WindowGeometry;
      readonly activation: FusedActivation | undefined;
    })
  | (Named &
      WritesInputGradient & {
        readonly kind: "max-pool-gradient";
        readonly outputGradient: TensorId;
        readonly choice: TensorId;
        readonly window: WindowGeometry;
      })
  /** The mean of the taps inside the image. */
  | (Named & {
      readonly kind: "average-pool";
      readonly input: TensorId;
      readonly output: TensorId;
      readonly window: WindowGeometry;
      readonly activation: FusedActivation | undefined;
    })
  | (Named &
      WritesInputGradient & {
        readonly kind: "average-pool-gradient";
        readonly outputGradient: TensorId;
        readonly window: WindowGeometry;
      })
  /** output [batch, channels] = mean of input [batch, pixels, channels]. */
  | (Named & {
      readonly kind: "global-average-pool";
      readonly batch: number;
      readonly pixels: number;
      readonly channels: number;
      readonly input: TensorId;
      readonly output: TensorId;
    })
  | (Named &
      WritesInputGradient & {
        readonly kind: "global-average-pool-gradient";
        readonly batch: number;
        readonly pixels: number;
        readonly channels: number;
        readonly outputGradient: TensorId;
      })
  /**
   * mean and 1 / sqrt(variance + epsilon) of each channel over its rows (biased variance), and the running statistics, in
   * the parameter buffer, moved: r <- momentum * r + (1 - momentum) * batch statistic.
   */
  | (Named &
      Rows & {
        readonly kind: "batch-norm-statistics";
        readonly input: TensorId;
        /** [channels] each. */
        readonly mean: TensorId;
        readonly inverseDeviation: TensorId;
        readonly runningMean: ParameterTensor;
        readonly runningVariance: ParameterTensor;
        readonly momentum: number;
        readonly epsilon: number;
      })
  /** output = activation(scale * (input - mean) * inverseDeviation + shift + addend). */
  | (Named &
      Rows &
      Scaled & {
        readonly kind: "batch-norm";
        readonly input: TensorId;
        readonly output: TensorId;
        readonly statistics: Statistics;
        /** A residual, [rows, channels]. Its gradient is the output's. */
        readonly addend: TensorId | undefined;
        readonly activation: FusedActivation | undefined;
      })
  /** Gradients of scale (sum of dy * xhat) and shift (sum of dy), overwritten. Comes before the data gradient, which uses them. */
  | (Named &
      Rows &
      Scaled & {
        readonly kind: "batch-norm-scale-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
        readonly mean: TensorId;
        readonly inverseDeviation: TensorId;
      })
  /** dx = scale * inverseDeviation * (dy - mean of dy - xhat * mean of dy * xhat), the means from the gradients of shift and scale. */
  | (Named &
      Rows &
      Scaled &
      WritesInputGradient & {
        readonly kind: "batch-norm-data-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
        readonly mean: TensorId;
        readonly inverseDeviation: TensorId;
      })
  /** output = activation(scale * xhat + shift), xhat normalised over the channels of each row; `mean` and `inverseDeviation` are [rows]. */
  | (Named &
      Rows &
      Scaled & {
        readonly kind: "layer-norm";
        readonly input: TensorId;
        readonly output: TensorId;
        readonly mean: TensorId;
        readonly inverseDeviation: TensorId;
        readonly epsilon: number;
        readonly activation: FusedActivation | undefined;
      })
  | (Named &
      Rows &
      Scaled & {
        readonly kind: "layer-norm-scale-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
        readonly mean: TensorId;
        readonly inverseDeviation: TensorId;
      })
  | (Named &
      Rows &
      Scaled &
      WritesInputGradient & {
        readonly kind: "layer-norm-data-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
        readonly mean: TensorId;
        readonly inverseDeviation: TensorId;
      })
  /** output = input / d^beta, d = k + alpha / size * sum of input^2 over the `size` nearest channels (those that exist). */
  | (Named &
      Rows &
      LocalResponse & {
        readonly kind: "local-response-norm";
        readonly input: TensorId;
        readonly output: TensorId;
      })
  /** dx_i = dy_i * d_i^-beta - 2 * alpha * beta / size * x_i * sum over the windows j that hold i of dy_j * x_j * d_j^(-beta - 1). */
  | (Named &
      Rows &
      LocalResponse &
      WritesInputGradient & {
        readonly kind: "local-response-norm-gradient";
        readonly input: TensorId;
        readonly outputGradient: TensorId;
      })
  /** output = activation(input), where it could not be fused. */
  | (Named & {
      readonly kind: "activate";
      readonly elements: number;
      readonly activation: Activation;
      readonly input: TensorId;
      readonly output: TensorId;
    })
  /** inputGradient = outputGradient * derivative at the input. */
  | (Named &
      WritesInputGradient & {
        readonly kind: "activate-gradient";
        readonly elements: number;
        readonly activation: Activation;
        readonly input: TensorId;
        readonly outputGradient: TensorId;
      })
  /** output = input / (1 - rate) where `unitRandom(seed, draw, salt, element)` (dice.ts) is at least the rate, else 0. */
  | (Named & {
      readonly kind: "dropout";
      readonly elements: number;
      readonly rate: number;
      /** Tells layers apart. */
      readonly salt: number;
      readonly input: TensorId;
      readonly output: TensorId;
    })
  | (Named &
      WritesInputGradient & {
        readonly kind: "dropout-gradient";
        readonly elements: number;
        readonly rate: number;
        readonly salt: number;
        readonly outputGradient: TensorId;
      })
  /** output = activation(first + second). */
  | (Named & {
      readonly kind: "add";
      readonly elements: number;
      readonly first: TensorId;
      readonly second: TensorId;
      readonly output: TensorId;
      readonly activation: FusedActivation | undefined;
    })
  /** inputGradient = outputGradient: the gradient of a sum, where the tensor could not simply be handed on. */
  | (Named &
      WritesInputGradient & {
        readonly kind: "pass-gradient";
        readonly elements: number;
        readonly outputGradient: TensorId;
      })
  /** One part of a concatenation: output [rows, outputChannels] at channel `offset` = input [rows, channels]. */
  | (Named &
      Rows & {
        readonly kind: "place-channels";
        readonly input: TensorId;
        readonly output: TensorId;
        readonly outputChannels: number;
        readonly offset: number;
      })
  /** Its gradient: inputGradient [rows, channels] = outputGradient [rows, outputChannels] at channel `offset`. */
  | (Named &
      Rows &
      WritesInputGradient & {
        readonly kind: "take-channels";
        readonly outputGradient: TensorId;
        readonly outputChannels: number;
        readonly offset: number;
      })
  /** output [tokens, width] = weights [vocabulary, width] at each token; a token beyond the vocabulary reads the last. */
  | (Named & {
      readonly kind: "embedding";
      readonly tokens: number;
      readonly vocabulary: number;
      readonly width: number;
      readonly input: TensorId;
      readonly output: TensorId;
      readonly weights: ParameterTensor;
    })
  /** Gradient of the weights, overwritten: for each word the sum over its tokens. */
  | (Named & {
      readonly kind: "embedding-gradient";
      readonly tokens: number;
      readonly vocabulary: number;
      readonly width: number;
      readonly input: TensorId;
      readonly outputGradient: TensorId;
      readonly weights: ParameterTensor;
    })
  /** losses[b] = cross-entropy of row b; gradient = (p - y) / examples. */
  | (Loss & { readonly kind: "softmax-cross-entropy" })
  /** losses[b] = mean over classes of (output - y)^2, y one-hot; gradient = 2 (output - y) / (classes * examples). */
  | (Loss & { readonly kind: "mean-squared-error" });

export type OperationKind = Operation["kind"];
export type OperationOf<Kind extends OperationKind> = Extract<Operation, { readonly kind: Kind }>;
