/**
 * A model in the words of its layers, and the shapes that follow from them. Everything else (parameter layout, plan,
 * kernels) is derived from this description; it travels to the volunteers as JSON.
 */

import type { Layer } from "./layer.ts";
import { describeShape, elementsOf, isCount, ModelError, type ImageShape, type Source } from "./shape.ts";
import { outputShape } from "./shapes.ts";

export type { Layer } from "./layer.ts";
export { describeShape, elementsOf, ModelError, type ImageShape } from "./shape.ts";

type LossKind = "softmax-cross-entropy" | "mean-squared-error";

export interface ModelDescription {
  readonly name: string;
  readonly input: ImageShape;
  /** The last layer gives one output per class. */
  readonly classes: number;
  /**
   * Averaged over the batch. `softmax-cross-entropy` (the default) reads the outputs as logits; `mean-squared-error`
   * compares them with the one-hot label, averaged over the classes too.
   */
  readonly loss?: LossKind;
  /** Weights begin uniform in ±sqrt(3 / fanIn) ("xavier", Caffe's filler and the default) or ±sqrt(6 / fanIn) ("he"). */
  readonly initialisation?: "xavier" | "he";
  readonly layers: readonly Layer[];
}

/** The name by which layers read the model's input. */
const INPUT = "input";

/** One layer with the shapes around it. */
export interface ShapedLayer {
  readonly layer: Layer;
  readonly sources: readonly Source[];
  /** Of the first source. */
  readonly input: ImageShape;
  readonly output: ImageShape;
}

/** Infers every shape, or throws a `ModelError` that names the layer. A dense layer flattens its input (h, w, c order). */
export function inferShapes(model: ModelDescription): readonly ShapedLayer[] {
  const shaped = shapeLayers(checkedInput(model), model.layers);
  requireOutputs(model, shaped);
  return shaped;
}

/** Of layers that need not be a whole model: what reaches each, and what it gives. Throws as `inferShapes` does. */
export function shapeLayers(input: ImageShape, layers: readonly Layer[]): readonly ShapedLayer[] {
  const shaped: ShapedLayer[] = [];
  const indices = new Map<string, number>([[INPUT, -1]]);
  const shapeAt = (index: number): ImageShape => (index < 0 ? input : shaped[index]!.output);
  for (const [place, layer] of layers.entries()) {
    if (indices.has(layer.name)) throw new ModelError(nameTaken(layer.name), place);
    const sources = sourceNames(layer, shaped.at(-1)?.layer.name ?? INPUT).map((name): Source => {
      const index = indices.get(name);
      if (index === undefined) {
        throw new ModelError(
          `Layer "${layer.name}" reads "${name}", but no layer before it has that name; accepted are ${[...indices.keys()].join(", ")}.`,
          place,
        );
      }
      return { index, shape: shapeAt(index) };
    });
    const output = placed(place, () => outputShape(layer, sources));
    indices.set(layer.name, place);
    shaped.push({ layer, sources, input: sources[0]!.shape, output });
  }
  return shaped;
}

/** What a layer by itself refuses gets the layer's place. */
function placed<T>(place: number, shape: () => T): T {
  try {
    return shape();
  } catch (error) {
    throw error instanceof ModelError ? new ModelError(error.message, place) : error;
  }
}

function nameTaken(name: string): string {
  return name === INPUT
    ? `A layer is named "${INPUT}", which means the model's input; give it another name.`
    : `Layer "${name}": two layers have this name; give each its own.`;
}

function sourceNames({ from }: Layer, previous: string): readonly string[] {
  if (from === undefined) return [previous];
  return typeof from === "string" ? [from] : from;
}

function requireOutputs(model: ModelDescription, shaped: readonly ShapedLayer[]): void {
  const last = shaped.at(-1);
  if (!last || elementsOf(last.output) !== model.classes) {
    const got = last ? `layer "${last.layer.name}" gives ${describeShape(last.output)}` : "it has no layers";
    throw new ModelError(`Model "${model.name}": the last layer must give ${model.classes} outputs, but ${got}.`);
  }
  const read = new Set(shaped.flatMap(({ sources }) => sources.map(({ index }) => index)));
  const idle = shaped.find((_, index) => index !== shaped.length - 1 && !read.has(index));
  if (idle)
    throw new ModelError(
      `Layer "${idle.layer.name}": no layer reads what it gives; name it in a "from" or leave it out.`,
    );
  requireTokens(model, shaped);
}

/** Whether the bytes of the input are tokens rather than pixels: then nothing but embeddings reads them. */
export function readsTokens(shaped: readonly ShapedLayer[]): boolean {
  return shaped.some(({ layer }) => layer.kind === "embedding");
}

function requireTokens(model: ModelDescription, shaped: readonly ShapedLayer[]): void {
  for (const { layer, sources } of shaped) {
    if (layer.kind === "embedding" && sources[0]!.index >= 0) {
      throw new ModelError(
        `Layer "${layer.name}": an embedding reads the tokens of the model's input; set its "from" to "${INPUT}".`,
      );
    }
    if (layer.kind !== "embedding" && readsTokens(shaped) && sources.some(({ index }) => index < 0)) {
      throw new ModelError(
        `Layer "${layer.name}" reads the input of model "${model.name}", which holds tokens; only embeddings can.`,
      );
    }
  }
}

function checkedInput(model: ModelDescription): ImageShape {
  const { height, width, channels } = model.input;
  if (![height, width, channels].every(isCount)) {
    throw new ModelError(
      `Model "${model.name}": the input shape ${describeShape(model.input)} is not whole and positive.`,
    );
  }
  return model.input;
}
