/** The output shape of each kind of layer, and the refusals of what does not fit, each naming the layer. Used by `model.ts`. */

import type { Layer, LayerOf } from "./layer.ts";
import { describeShape, elementsOf, isCount, ModelError, type ImageShape, type Source } from "./shape.ts";

/** Throws a `ModelError` that says what the layer got and what it needs. */
export function outputShape(layer: Layer, sources: readonly Source[]): ImageShape {
  requireSources(layer, sources.length);
  const input = sources[0]!.shape;
  switch (layer.kind) {
    case "conv2d":
      return convolved(layer, input);
    case "max-pool":
    case "average-pool":
      return pooled(layer, input);
    case "global-average-pool":
      return { height: 1, width: 1, channels: input.channels };
    case "dense":
      requireCounts(layer.name, { units: layer.units });
      return { height: 1, width: 1, channels: layer.units };
    case "flatten":
      return { height: 1, width: 1, channels: elementsOf(input) };
    case "add":
      return added(layer.name, sources);
    case "concat":
      return joined(layer.name, sources);
    case "embedding":
      return embedded(layer, input);
    case "batch-norm":
      requireBetween(layer.name, "momentum", layer.momentum ?? 0, 0, 1);
      requirePositive(layer.name, "epsilon", layer.epsilon ?? 1);
      return input;
    case "layer-norm":
      requirePositive(layer.name, "epsilon", layer.epsilon ?? 1);
      return input;
    case "local-response-norm":
      requireLocalResponse(layer);
      return input;
    case "dropout":
      if (!(layer.rate >= 0 && layer.rate < 1)) {
        throw new ModelError(`Layer "${layer.name}": rate is ${layer.rate}; it must be at least 0 and below 1.`);
      }
      return input;
    case "relu":
    case "leaky-relu":
    case "gelu":
    case "silu":
    case "tanh":
    case "sigmoid":
      return input;
    default:
      return layer satisfies never;
  }
}

function requireSources(layer: Layer, count: number): void {
  const [least, most] = layer.kind === "add" ? [2, 2] : layer.kind === "concat" ? [2, Infinity] : [1, 1];
  if (count >= least && count <= most) return;
  const wanted = most === Infinity ? `${least} or more` : String(least);
  throw new ModelError(
    `Layer "${layer.name}": a layer of kind ${layer.kind} reads ${wanted} ${most === 1 ? "layer" : "layers"}, but its "from" names ${count}.`,
  );
}

function requireCounts(layerName: string, counts: Readonly<Record<string, number>>): void {
  for (const [field, value] of Object.entries(counts)) {
    if (!isCount(value)) {
      throw new ModelError(`Layer "${layerName}": ${field} is ${value}; it must be a whole number above 0.`);
    }
  }
}

function requirePositive(layerName: string, field: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) {
    throw new ModelError(`Layer "${layerName}": ${field} is ${value}; it must be a number above 0.`);
  }
}

function requireBetween(layerName: string, field: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) {
    throw new ModelError(`Layer "${layerName}": ${field} is ${value}; it must be from ${least} to ${most}.`);
  }
}

function requireLocalResponse({ name, size = 1, alpha = 1, beta = 1, k = 1 }: LayerOf<"local-response-norm">): void {
  requireCounts(name, { size });
  if (size % 2 === 0) throw new ModelError(`Layer "${name}": size is ${size}; it must be odd.`);
  requirePositive(name, "alpha", alpha);
  requirePositive(name, "beta", beta);
  requirePositive(name, "k", k);
}

function convolved(layer: LayerOf<"conv2d">, input: ImageShape): ImageShape {
  const { name, kernel, channels, stride = 1, padding = 0, dilation = 1, groups = 1 } = layer;
  requireCounts(name, { kernel, channels, stride, dilation, groups });
  for (const [side, count] of [
    ["input", input.channels],
    ["output", channels],
  ] as const) {
    if (count % groups !== 0) {
      throw new ModelError(
        `Layer "${name}": its ${count} ${side} channels cannot be divided into ${groups} groups; take a divisor of both ${input.channels} and ${channels}.`,
      );
    }
  }
  const reach = (kernel - 1) * dilation + 1;
  return { ...windowed(name, input, { reach, stride, padding, ceil: false }), channels };
}

function pooled(layer: LayerOf<"max-pool"> | LayerOf<"average-pool">, input: ImageShape): ImageShape {
  const { name, size, stride, padding = 0, ceil = false } = layer;
  requireCounts(name, { size, stride });
  return { ...windowed(name, input, { reach: size, stride, padding, ceil }), channels: input.channels };
}

interface WindowRule {
  /** Pixels from the first to the last tap, both included. */
  readonly reach: number;
  readonly stride: number;
  readonly padding: number;
  readonly ceil: boolean;
}

function windowed(layerName: string, input: ImageShape, rule: WindowRule): { height: number; width: number } {
  const { reach, padding } = rule;
  if (!Number.isInteger(padding) || padding < 0 || padding >= reach) {
    throw new ModelError(
      `Layer "${layerName}": padding is ${padding}; it must be a whole number from 0 to ${reach - 1}.`,
    );
  }
  if (reach > input.height + 2 * padding || reach > input.width + 2 * padding) {
    throw new ModelError(
      `Layer "${layerName}": a ${reach}x${reach} window does not fit into its input of ${describeShape(input)} with padding ${padding}.`,
    );
  }
  return { height: places(input.height, rule), width: places(input.width, rule) };
}

/** How many windows there are along one axis. */
function places(length: number, { reach, stride, padding, ceil }: WindowRule): number {
  const room = length + 2 * padding - reach;
  if (!ceil) return Math.floor(room / stride) + 1;
  const count = Math.ceil(room / stride) + 1;
  // Caffe's rule: the last window begins inside the image or its left padding.
  return (count - 1) * stride >= length + padding ? count - 1 : count;
}

function added(layerName: string, [first, ...others]: readonly Source[]): ImageShape {
  const shape = first!.shape;
  const odd = others.find((other) => describeShape(other.shape) !== describeShape(shape));
  if (odd) {
    throw new ModelError(
      `Layer "${layerName}": it adds ${describeShape(odd.shape)} to ${describeShape(shape)}; both must have one shape.`,
    );
  }
  return shape;
}

function joined(layerName: string, sources: readonly Source[]): ImageShape {
  const { height, width } = sources[0]!.shape;
  const odd = sources.find(({ shape }) => shape.height !== height || shape.width !== width);
  if (odd) {
    throw new ModelError(
      `Layer "${layerName}": it joins ${describeShape(odd.shape)} to an image of ${height}x${width}; height and width must be the same.`,
    );
  }
  return { height, width, channels: sources.reduce((sum, { shape }) => sum + shape.channels, 0) };
}

function embedded({ name, vocabulary, width }: LayerOf<"embedding">, input: ImageShape): ImageShape {
  requireCounts(name, { vocabulary, width });
  if (input.channels !== 1) {
    throw new ModelError(`Layer "${name}": it got ${describeShape(input)}; tokens have 1 channel.`);
  }
  return { height: input.height, width: input.width, channels: width };
}
