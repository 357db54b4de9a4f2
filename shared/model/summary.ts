/** A model as a table: what each layer reads and gives, how many parameters it has and how much work it is. */

import { layoutOf } from "./layout.ts";
import { elementsOf, inferShapes, type ImageShape, type ModelDescription, type ShapedLayer } from "./model.ts";

interface LayerSummary {
  readonly name: string;
  readonly kind: ShapedLayer["layer"]["kind"];
  /** Names of the layers that it reads; "input" is the model's input. */
  readonly from: readonly string[];
  readonly output: ImageShape;
  /** That an optimizer moves. */
  readonly parameters: number;
  /** For one example, forward, of convolutions and dense layers; all else is small beside them. */
  readonly multiplyAdds: number;
}

export interface ModelSummary {
  readonly layers: readonly LayerSummary[];
  readonly parameters: number;
  readonly multiplyAdds: number;
}

/** Throws a `ModelError` as `inferShapes` does. */
export function summaryOf(model: ModelDescription): ModelSummary {
  const shaped = inferShapes(model);
  const { tensors, trainableElements, parameters } = layoutOf(model);
  const parametersOf = (name: string): number =>
    tensors
      .filter((tensor) => tensor.offset < trainableElements)
      .filter((tensor) => tensor.name.slice(0, tensor.name.lastIndexOf(".")) === name)
      .reduce((sum, { elements }) => sum + elements, 0);
  const layers = shaped.map((one): LayerSummary => {
    const { layer, sources, output } = one;
    const from = sources.map(({ index }) => (index < 0 ? "input" : shaped[index]!.layer.name));
    const { name, kind } = layer;
    return { name, kind, from, output, parameters: parametersOf(name), multiplyAdds: multiplyAddsOf(one) };
  });
  return { layers, parameters, multiplyAdds: layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0) };
}

function multiplyAddsOf({ layer, input, output }: ShapedLayer): number {
  if (layer.kind === "dense") return elementsOf(input) * layer.units;
  if (layer.kind !== "conv2d") return 0;
  return elementsOf(output) * layer.kernel ** 2 * (input.channels / (layer.groups ?? 1));
}
