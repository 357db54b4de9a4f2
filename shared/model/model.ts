/**
 * A model in the words of its layers, and the shapes that follow from them. Everything else (parameter layout, plan,
 * kernels) is derived from this description; it travels to the volunteers as JSON.
 *
 * Activations are NHWC, filters HWIO (`[kernel, kernel, inChannels, outChannels]`), dense weights `[inputs, units]`.
 */

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export type Layer =
  | {
      readonly kind: "conv2d";
      readonly name: string;
      /** Square kernel, in pixels. */
      readonly kernel: number;
      readonly channels: number;
      readonly stride?: number;
      readonly padding?: number;
    }
  | { readonly kind: "max-pool"; readonly name: string; readonly size: number; readonly stride: number }
  | { readonly kind: "dense"; readonly name: string; readonly units: number }
  | { readonly kind: "relu"; readonly name: string };

export interface ModelDescription {
  readonly name: string;
  readonly input: ImageShape;
  /** The last layer gives one logit per class; the loss is softmax cross-entropy, averaged over the batch. */
  readonly classes: number;
  readonly layers: readonly Layer[];
}

/** A model that does not fit together: the layer's name, what it got and what it needs. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}

/** One layer with the shapes around it. */
export interface ShapedLayer {
  readonly layer: Layer;
  readonly input: ImageShape;
  readonly output: ImageShape;
}

/** Infers every shape, or throws a `ModelError` that names the layer. A dense layer flattens its input (h, w, c order). */
export function inferShapes(model: ModelDescription): readonly ShapedLayer[] {
  const shaped: ShapedLayer[] = [];
  const names = new Set<string>();
  let shape: ImageShape = checkedInput(model);
  for (const layer of model.layers) {
    if (names.has(layer.name)) {
      throw new ModelError(`Layer "${layer.name}": two layers have this name; give each its own.`);
    }
    names.add(layer.name);
    const output = outputShape(layer, shape);
    shaped.push({ layer, input: shape, output });
    shape = output;
  }
  const last = shaped.at(-1);
  if (!last || elementsOf(shape) !== model.classes) {
    const got = last ? `layer "${last.layer.name}" gives ${describe(shape)}` : "it has no layers";
    throw new ModelError(`Model "${model.name}": the last layer must give ${model.classes} logits, but ${got}.`);
  }
  return shaped;
}

export function elementsOf(shape: ImageShape): number {
  return shape.height * shape.width * shape.channels;
}

function describe(shape: ImageShape): string {
  return `${shape.height}x${shape.width}x${shape.channels}`;
}

function checkedInput(model: ModelDescription): ImageShape {
  const { height, width, channels } = model.input;
  if (![height, width, channels].every(isCount)) {
    throw new ModelError(`Model "${model.name}": the input shape ${describe(model.input)} is not whole and positive.`);
  }
  return model.input;
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value > 0;
}

function outputShape(layer: Layer, input: ImageShape): ImageShape {
  switch (layer.kind) {
    case "conv2d": {
      const padding = layer.padding ?? 0;
      requireCounts(layer.name, { kernel: layer.kernel, channels: layer.channels, stride: layer.stride ?? 1 });
      return windowed(layer.name, input, layer.kernel, layer.stride ?? 1, padding, layer.channels);
    }
    case "max-pool":
      requireCounts(layer.name, { size: layer.size, stride: layer.stride });
      return windowed(layer.name, input, layer.size, layer.stride, 0, input.channels);
    case "dense":
      requireCounts(layer.name, { units: layer.units });
      return { height: 1, width: 1, channels: layer.units };
    case "relu":
      return input;
    default:
      return layer satisfies never;
  }
}

function requireCounts(layerName: string, counts: Readonly<Record<string, number>>): void {
  for (const [field, value] of Object.entries(counts)) {
    if (!isCount(value)) {
      throw new ModelError(`Layer "${layerName}": ${field} is ${value}; it must be a whole number above 0.`);
    }
  }
}

function windowed(
  layerName: string,
  input: ImageShape,
  size: number,
  stride: number,
  padding: number,
  channels: number,
): ImageShape {
  if (!Number.isInteger(padding) || padding < 0 || padding >= size) {
    throw new ModelError(
      `Layer "${layerName}": padding is ${padding}; it must be a whole number from 0 to ${size - 1}.`,
    );
  }
  const height = Math.floor((input.height + 2 * padding - size) / stride) + 1;
  const width = Math.floor((input.width + 2 * padding - size) / stride) + 1;
  if (height < 1 || width < 1) {
    throw new ModelError(
      `Layer "${layerName}": a ${size}x${size} window does not fit into its input of ${describe(input)} with padding ${padding}.`,
    );
  }
  return { height, width, channels };
}
