/** The kinds of layers in words: a sentence for each, and the fields that it takes, for help, schemas and refusals. */

import type { Layer } from "./layer.ts";
import { layerSchema } from "./schema.ts";

export type LayerKind = Layer["kind"];

/** Follows "a layer that …"; fields left out have the defaults named here. */
export const LAYER_HELP: Readonly<Record<LayerKind, string>> = {
  conv2d: "Square kernels over the image; stride 1, padding 0, dilation 1, groups 1 and a bias where left out.",
  "max-pool": "The largest value of each square window, channel by channel.",
  "average-pool": "The mean of what of each square window lies inside the image, channel by channel.",
  "global-average-pool": "The mean of each channel over the whole image.",
  "batch-norm": "Each channel normalised over batch and pixels; epsilon 1e-5, momentum 0.9 of the running statistics.",
  "layer-norm": "Each pixel normalised over its channels; epsilon 1e-5.",
  "local-response-norm":
    "Each value divided by what its neighbouring channels hold; size 5 (odd), alpha 1e-4, beta 0.75, k 1.",
  dense: "Every output from every input, with a bias where left out; flattens what it reads.",
  relu: "What is above 0; 0 below.",
  "leaky-relu": "What is above 0; below 0 times slope, 0.01.",
  gelu: "x times the normal distribution's share below x.",
  silu: "x times sigmoid(x).",
  tanh: "The hyperbolic tangent.",
  sigmoid: "1 / (1 + exp(-x)).",
  dropout: "Zeroes each value with the probability `rate` in training; nothing in evaluation.",
  add: 'The sum of the two layers of one shape that "from" names.',
  concat: 'The channels of the layers that "from" names, one after another.',
  flatten: "The image as one row of values.",
  embedding: 'A vector of `width` values for each of `vocabulary` tokens; reads "input", whose bytes are tokens.',
};

// The record has every kind and no other.
export const LAYER_KINDS = Object.keys(LAYER_HELP) as readonly LayerKind[];

export interface LayerField {
  readonly name: string;
  readonly isOptional: boolean;
}

/** Of one kind, without "kind", "name" and "from", which all have. */
export function fieldsOfKind(kind: LayerKind): readonly LayerField[] {
  const option = layerSchema.options.find(({ entries }) => entries.kind.literal === kind);
  if (!option) throw new Error(`invariant violation: no schema of ${kind}`);
  return Object.entries(option.entries)
    .filter(([name]) => name !== "kind" && name !== "name" && name !== "from")
    .map(([name, { type }]) => ({ name, isOptional: type === "exact_optional" }));
}
