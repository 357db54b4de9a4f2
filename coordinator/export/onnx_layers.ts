/**
 * Which ONNX nodes a layer is (operator set 17), with its parameters in the order that they want: convolutions as
 * [out, in, height, width]. What evaluation leaves out, as dropout, makes no node.
 */

import { LAYER_DEFAULTS, type Layer, type LayerOf } from "../../shared/model/layer.ts";
import type { ParameterTensor } from "../../shared/model/layout.ts";
import type { ShapedLayer } from "../../shared/model/model.ts";
import { float, int, ints, type OnnxGraph, type Value } from "./onnx_graph.ts";

/** The values of a parameter tensor, and its shape. */
export type Parameters = (name: string) => {
  readonly tensor: ParameterTensor;
  readonly values: Float32Array<ArrayBuffer>;
};

type Named<L> = L & { readonly name: string };
type Window = Pick<LayerOf<"max-pool">, "size" | "stride" | "padding">;

/** sqrt(2 / pi) */
const GELU_FACTOR = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

export class OnnxLayers {
  readonly #graph: OnnxGraph;
  readonly #parameters: Parameters;

  constructor(graph: OnnxGraph, parameters: Parameters) {
    this.#graph = graph;
    this.#parameters = parameters;
  }

  /** Adds the layer; `inputs` are what it reads, in order. */
  add({ layer, output: shape }: ShapedLayer, inputs: readonly Value[]): Value {
    const graph = this.#graph;
    const [input] = inputs;
    if (!input) throw new Error(`invariant violation: layer "${layer.name}" reads nothing`);
    const { name } = layer;
    switch (layer.kind) {
      case "conv2d":
        return { form: "image", shape, name: this.#convolution(layer, graph.image(input).name) };
      case "max-pool":
        return { form: "image", shape, name: this.#pool("MaxPool", layer, graph.image(input), shape) };
      case "average-pool":
        return { form: "image", shape, name: this.#pool("AveragePool", layer, graph.image(input), shape) };
      case "global-average-pool":
        return { form: "image", shape, name: graph.add("GlobalAveragePool", name, [graph.image(input).name]) };
      case "batch-norm":
        return { ...input, name: this.#batchNorm(layer, input.name) };
      case "layer-norm":
        return this.#layerNorm(layer, input);
      case "local-response-norm":
        return { form: "image", shape, name: this.#localResponse(layer, graph.image(input).name) };
      case "dense":
        return { form: "rows", shape, name: this.#dense(layer, graph.rows(input).name) };
      case "relu":
      case "leaky-relu":
      case "gelu":
      case "silu":
      case "tanh":
      case "sigmoid":
        return { ...input, name: this.#activation(layer, input.name) };
      case "dropout":
        return input;
      case "add":
        return { form: "image", shape, name: graph.add("Add", name, this.#images(inputs)) };
      case "concat":
        return { form: "image", shape, name: graph.add("Concat", name, this.#images(inputs), int("axis", 1)) };
      case "flatten":
        return graph.rows(input);
      case "embedding":
        return graph.fromNhwc(this.#embedding(layer, input.name), shape);
      default:
        return layer satisfies never;
    }
  }

  #images(inputs: readonly Value[]): readonly string[] {
    return inputs.map((value) => this.#graph.image(value).name);
  }

  /** A parameter tensor as it is. */
  #tensor(name: string): string {
    const { tensor, values } = this.#parameters(name);
    return this.#graph.tensor(name, tensor.shape, values);
  }

  #bias({ name, bias = true }: { readonly name: string; readonly bias?: boolean }): readonly string[] {
    return bias ? [this.#tensor(`${name}.bias`)] : [];
  }

  #convolution(layer: Named<LayerOf<"conv2d">>, input: string): string {
    const { name, kernel, stride = 1, padding = 0, dilation = 1, groups = 1 } = layer;
    const { tensor, values } = this.#parameters(`${name}.weights`);
    const [, , depth = 1, channels = 1] = tensor.shape;
    const filter = outermostLast(values, kernel * kernel, depth, channels);
    const weights = this.#graph.tensor(tensor.name, [channels, depth, kernel, kernel], filter);
    return this.#graph.add(
      "Conv",
      name,
      [input, weights, ...this.#bias(layer)],
      ints("kernel_shape", [kernel, kernel]),
      ints("strides", [stride, stride]),
      ints("pads", [padding, padding, padding, padding]),
      ints("dilations", [dilation, dilation]),
      int("group", groups),
    );
  }

  /**
   * The number of windows is the layer's own: the padding behind the image is what they need. Runtimes differ in how they round up
   * by themselves. Padding counts in neither kind of pool.
   */
  #pool(opType: "MaxPool" | "AveragePool", layer: Named<Window>, input: Value, output: Value["shape"]): string {
    const { name, size, stride, padding = 0 } = layer;
    const behind = (length: number, windows: number): number =>
      Math.max(0, (windows - 1) * stride + size - length - padding);
    const { height, width } = input.shape;
    return this.#graph.add(
      opType,
      name,
      [input.name],
      ints("kernel_shape", [size, size]),
      ints("strides", [stride, stride]),
      ints("pads", [padding, padding, behind(height, output.height), behind(width, output.width)]),
    );
  }

  /** By the running statistics (SPEC E9). */
  #batchNorm(
    { name, epsilon = LAYER_DEFAULTS.batchNorm.epsilon }: Named<LayerOf<"batch-norm">>,
    input: string,
  ): string {
    const parameters = ["scale", "shift", "mean", "variance"].map((kind) => this.#tensor(`${name}.${kind}`));
    return this.#graph.add("BatchNormalization", name, [input, ...parameters], float("epsilon", epsilon));
  }

  #layerNorm(layer: Named<LayerOf<"layer-norm">>, input: Value): Value {
    const { name, epsilon = LAYER_DEFAULTS.layerNorm.epsilon } = layer;
    const parameters = ["scale", "shift"].map((kind) => this.#tensor(`${name}.${kind}`));
    const normalised = (from: string): string =>
      this.#graph.add("LayerNormalization", name, [from, ...parameters], int("axis", -1), float("epsilon", epsilon));
    if (input.form === "rows") return { ...input, name: normalised(input.name) };
    return this.#graph.fromNhwc(normalised(this.#graph.toNhwc(input)), input.shape);
  }

  #localResponse(layer: Named<LayerOf<"local-response-norm">>, input: string): string {
    const { name, size, alpha, beta, k } = { ...LAYER_DEFAULTS.localResponseNorm, ...layer };
    const attributes = [int("size", size), float("alpha", alpha), float("beta", beta), float("bias", k)];
    return this.#graph.add("LRN", name, [input], ...attributes);
  }

  #dense(layer: Named<LayerOf<"dense">>, input: string): string {
    return this.#graph.add("Gemm", layer.name, [input, this.#tensor(`${layer.name}.weights`), ...this.#bias(layer)]);
  }

  #activation(
    layer: Extract<Layer, { kind: "relu" | "leaky-relu" | "gelu" | "silu" | "tanh" | "sigmoid" }>,
    x: string,
  ): string {
    const graph = this.#graph;
    const { name } = layer;
    switch (layer.kind) {
      case "relu":
        return graph.add("Relu", name, [x]);
      case "leaky-relu":
        return graph.add("LeakyRelu", name, [x], float("alpha", layer.slope ?? LAYER_DEFAULTS.leakyRelu.slope));
      case "tanh":
        return graph.add("Tanh", name, [x]);
      case "sigmoid":
        return graph.add("Sigmoid", name, [x]);
      case "silu":
        return graph.add("Mul", name, [x, graph.add("Sigmoid", `${name}/sigmoid`, [x])]);
      case "gelu": {
        // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))); operator set 17 has no Gelu of its own.
        const square = graph.add("Mul", `${name}/square`, [x, x]);
        const share = graph.add("Mul", `${name}/share`, [square, graph.scalar(GELU_FACTOR * GELU_CUBIC)]);
        const slope = graph.add("Add", `${name}/slope`, [share, graph.scalar(GELU_FACTOR)]);
        const tanh = graph.add("Tanh", `${name}/tanh`, [graph.add("Mul", `${name}/inner`, [slope, x])]);
        const half = graph.add("Mul", `${name}/half`, [x, graph.scalar(0.5)]);
        return graph.add("Mul", name, [half, graph.add("Add", `${name}/gate`, [tanh, graph.scalar(1)])]);
      }
      default:
        return layer satisfies never;
    }
  }

  /** [batch, height, width, width of the vectors]. A token beyond the vocabulary reads the last. */
  #embedding({ name, vocabulary }: Named<LayerOf<"embedding">>, tokens: string): string {
    const graph = this.#graph;
    const whole = graph.add("Cast", `${name}/whole`, [tokens], int("to", 7));
    const bounds = [graph.integer(`${name}/first`, 0), graph.integer(`${name}/last`, vocabulary - 1)];
    const known = graph.add("Clip", `${name}/known`, [whole, ...bounds]);
    const single = graph.add("Squeeze", `${name}/single`, [known, graph.integers(`${name}/channel`, [-1])]);
    return graph.add("Gather", name, [this.#tensor(`${name}.weights`), single], int("axis", 0));
  }
}

/** [taps, depth, channels] as [channels, depth, taps]. */
function outermostLast(values: Float32Array, taps: number, depth: number, channels: number): Float32Array<ArrayBuffer> {
  const turned = new Float32Array(values.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let d = 0; d < depth; d++) {
      const from = (tap * depth + d) * channels;
      for (let channel = 0; channel < channels; channel++) {
        turned[(channel * depth + d) * taps + tap] = values[from + channel]!;
      }
    }
  }
  return turned;
}
