/**
 * The layers that a model may consist of, as data: what a user writes in a model file, and what travels to volunteers as
 * JSON (`schema.ts` checks it). Shapes follow in `shapes.ts`, parameters in `layout.ts`, kernels in the engine.
 *
 * Activations are NHWC, filters HWIO (`[kernel, kernel, inChannels / groups, outChannels]`), dense weights `[inputs, units]`.
 */

interface Named {
  readonly name: string;
  /** The layers that it reads, by name; "input" is the model's input. Left out: the layer before it. */
  readonly from?: string | readonly string[];
}

/** A square window that slides over the image. */
interface Windowed {
  /** In pixels. */
  readonly size: number;
  readonly stride: number;
  readonly padding?: number;
  /** Lets a last window begin inside the image and hang over its edge, as Caffe's pools do. */
  readonly ceil?: boolean;
}

export type Layer = Named &
  (
    | {
        readonly kind: "conv2d";
        /** Square kernel, in pixels. */
        readonly kernel: number;
        readonly channels: number;
        readonly stride?: number;
        readonly padding?: number;
        /** Pixels from one tap of the kernel to the next. */
        readonly dilation?: number;
        /** Each group of output channels sees its group of input channels only; as many groups as channels is depthwise. */
        readonly groups?: number;
        readonly bias?: boolean;
      }
    | ({ readonly kind: "max-pool" } & Windowed)
    /** The mean of what lies inside the image. */
    | ({ readonly kind: "average-pool" } & Windowed)
    | { readonly kind: "global-average-pool" }
    /**
     * Normalises each channel over batch and pixels (Ioffe and Szegedy 2015). `momentum` is the share of the old value that
     * a running statistic keeps at each step.
     */
    | { readonly kind: "batch-norm"; readonly epsilon?: number; readonly momentum?: number }
    /** Normalises each pixel over its channels (Ba et al. 2016). */
    | { readonly kind: "layer-norm"; readonly epsilon?: number }
    /** y = x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta, as Caffe and AlexNet have it. */
    | {
        readonly kind: "local-response-norm";
        /** Odd. */
        readonly size?: number;
        readonly alpha?: number;
        readonly beta?: number;
        readonly k?: number;
      }
    | { readonly kind: "dense"; readonly units: number; readonly bias?: boolean }
    | { readonly kind: "relu" }
    | { readonly kind: "leaky-relu"; readonly slope?: number }
    /** x * Phi(x), in the form with tanh (Hendrycks and Gimpel 2016). */
    | { readonly kind: "gelu" }
    /** x * sigmoid(x). */
    | { readonly kind: "silu" }
    | { readonly kind: "tanh" }
    | { readonly kind: "sigmoid" }
    /** Zeroes with probability `rate` and scales the rest by 1 / (1 - rate); nothing in evaluation. */
    | { readonly kind: "dropout"; readonly rate: number }
    /** The sum of two layers of one shape. */
    | { readonly kind: "add" }
    /** Channels of two or more layers with the same height and width, one after another. */
    | { readonly kind: "concat" }
    | { readonly kind: "flatten" }
    /** A vector of `width` elements for each token; reads the input, whose bytes are the tokens. */
    | { readonly kind: "embedding"; readonly vocabulary: number; readonly width: number }
  );

type LayerKind = Layer["kind"];
export type LayerOf<Kind extends LayerKind> = Extract<Layer, { readonly kind: Kind }>;

/** What is taken where a layer leaves it out. */
export const LAYER_DEFAULTS = {
  batchNorm: { epsilon: 1e-5, momentum: 0.9 },
  layerNorm: { epsilon: 1e-5 },
  localResponseNorm: { size: 5, alpha: 1e-4, beta: 0.75, k: 1 },
  leakyRelu: { slope: 0.01 },
} as const;
