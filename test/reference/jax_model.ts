/**
 * Any of Drove's models in jax-js, built by walking its description, in training mode: a peer of the training benchmark.
 * jax-js convolves NCHW, so that parameters and images are turned once, before training, as its users hold them.
 *
 * Every array that is passed to a function of jax-js is consumed by it; `.ref` keeps it for another use.
 */

import { lax, nn, numpy as np } from "@jax-js/jax";
import { LAYER_DEFAULTS, type LayerOf } from "../../shared/model/layer.ts";
import { layoutOf, type ParameterTensor } from "../../shared/model/layout.ts";
import { elementsOf, inferShapes, type ModelDescription, type ShapedLayer } from "../../shared/model/model.ts";
import { poolPadding, tapsInside } from "./tfjs_layers.ts";

type Arrays = Record<string, np.Array>;

export class JaxModel {
  readonly #model: ModelDescription;
  readonly #layers: readonly ShapedLayer[];

  constructor(model: ModelDescription) {
    this.#model = model;
    this.#layers = inferShapes(model);
    const unknown = this.#layers.find(({ layer }) => UNKNOWN.has(layer.kind));
    if (unknown) throw new Error(`The jax-js model has no layer of kind ${unknown.layer.kind}.`);
  }

  /** The trained tensors by their names in the layout, turned for NCHW. */
  parameters(values: Float32Array): Arrays {
    const layout = layoutOf(this.#model);
    const trained = layout.tensors.filter(({ offset }) => offset < layout.trainableElements);
    return Object.fromEntries(trained.map((tensor) => [tensor.name, this.#turned(tensor, values)]));
  }

  /** Mean softmax cross-entropy; consumes its arguments. `inputs` are [batch, channels, height, width], `targets` one-hot. */
  meanLoss(parameters: Arrays, inputs: np.Array, targets: np.Array): np.Array {
    const outputs = this.#outputs(parameters, inputs);
    const logarithms = nn.logSoftmax(outputs.reshape([-1, this.#model.classes]), 1);
    return np.mean(np.sum(logarithms.mul(targets), 1)).mul(-1);
  }

  #outputs(parameters: Arrays, inputs: np.Array): np.Array {
    const made: np.Array[] = [];
    const readers = this.#readers();
    const take = (index: number): np.Array => {
      const array = index < 0 ? inputs : made[index]!;
      const left = readers.get(index)! - 1;
      readers.set(index, left);
      return left > 0 ? array.ref : array;
    };
    for (const shaped of this.#layers) {
      made.push(
        applyLayer(
          shaped,
          shaped.sources.map(({ index }) => take(index)),
          parameters,
        ),
      );
    }
    return made.at(-1)!;
  }

  /** By layer (-1 is the input) how many layers read it. */
  #readers(): Map<number, number> {
    const readers = new Map<number, number>();
    for (const { sources } of this.#layers) {
      for (const { index } of sources) readers.set(index, (readers.get(index) ?? 0) + 1);
    }
    return readers;
  }

  /** HWIO to OIHW; rows of a dense layer after an image from (h, w, c) to (c, h, w) order. */
  #turned({ name, shape, offset, elements }: ParameterTensor, values: Float32Array): np.Array {
    const array = np.array(values.slice(offset, offset + elements)).reshape([...shape]);
    if (shape.length === 4) return np.transpose(array, [3, 2, 0, 1]);
    const shaped = this.#layers.find(({ layer }) => `${layer.name}.weights` === name);
    if (shaped?.layer.kind !== "dense") return array;
    const { height, width, channels } = this.#imageBefore(shaped);
    if (height * width === 1 || channels === 1) return array;
    const units = shape[1]!;
    return np
      .transpose(array.reshape([height, width, channels, units]), [2, 0, 1, 3])
      .reshape([elements / units, units]);
  }

  /** The shape that was flattened into what a dense layer reads. */
  #imageBefore({ sources, input }: ShapedLayer): ShapedLayer["input"] {
    const source = this.#layers[sources[0]!.index];
    if (!source) return input;
    return source.layer.kind === "flatten" || ELEMENTWISE.has(source.layer.kind)
      ? this.#imageBefore(source)
      : source.output;
  }
}

/** No workload of the benchmark has them. */
const UNKNOWN: ReadonlySet<string> = new Set(["dropout", "embedding", "layer-norm", "local-response-norm"]);
const ELEMENTWISE: ReadonlySet<string> = new Set(["relu", "leaky-relu", "gelu", "silu", "tanh", "sigmoid"]);

function applyLayer(
  { layer, input: shape, output }: ShapedLayer,
  inputs: readonly np.Array[],
  parameters: Arrays,
): np.Array {
  const input = inputs[0]!;
  const parameter = (kind: string): np.Array | undefined => parameters[`${layer.name}.${kind}`]?.ref;
  switch (layer.kind) {
    case "conv2d": {
      const { stride = 1, padding = 0, dilation = 1, groups = 1 } = layer;
      const pads: [number, number][] = [
        [padding, padding],
        [padding, padding],
      ];
      const made = lax.convGeneralDilated(input, parameter("weights")!, [stride, stride], pads, {
        rhsDilation: [dilation, dilation],
        featureGroupCount: groups,
      });
      const bias = parameter("bias");
      return bias ? made.add(bias.reshape([1, -1, 1, 1])) : made;
    }
    case "max-pool":
    case "average-pool":
      return pooled(input, { layer, input: shape, output });
    case "global-average-pool":
      return np.mean(input, [2, 3], { keepdims: true });
    case "batch-norm":
      return batchNorm(input, parameter("scale")!, parameter("shift")!, layer.epsilon);
    case "dense": {
      const made = np.matmul(input.reshape([-1, elementsOf(shape)]), parameter("weights")!);
      const bias = parameter("bias");
      return bias ? made.add(bias) : made;
    }
    case "relu":
      return nn.relu(input);
    case "leaky-relu":
      return nn.leakyRelu(input, layer.slope ?? LAYER_DEFAULTS.leakyRelu.slope);
    case "gelu":
      return nn.gelu(input, { approximate: true });
    case "silu":
      return nn.silu(input);
    case "tanh":
      return np.tanh(input);
    case "sigmoid":
      return nn.sigmoid(input);
    case "add":
      return input.add(inputs[1]!);
    case "concat":
      return np.concatenate([...inputs], 1);
    case "flatten":
      return input.reshape([-1, elementsOf(output)]);
    case "dropout":
    case "embedding":
    case "layer-norm":
    case "local-response-norm":
      throw new Error(`invariant violation: a layer of kind ${layer.kind} got past the constructor`);
    default:
      return layer satisfies never;
  }
}

function batchNorm(
  input: np.Array,
  scale: np.Array,
  shift: np.Array,
  epsilon: number = LAYER_DEFAULTS.batchNorm.epsilon,
): np.Array {
  const mean = np.mean(input.ref, [0, 2, 3], { keepdims: true });
  const centred = input.sub(mean);
  const variance = np.mean(np.square(centred.ref), [0, 2, 3], { keepdims: true });
  const factor = scale.reshape([1, -1, 1, 1]).div(np.sqrt(variance.add(epsilon)));
  return centred.mul(factor).add(shift.reshape([1, -1, 1, 1]));
}

interface ShapedPool extends Pick<ShapedLayer, "input" | "output"> {
  readonly layer: LayerOf<"max-pool"> | LayerOf<"average-pool">;
}

function pooled(values: np.Array, { layer, input, output }: ShapedPool): np.Array {
  const { size, stride } = layer;
  const { begin, endRows, endColumns } = poolPadding(layer, input, output);
  const isWhole = begin === 0 && endRows === 0 && endColumns === 0;
  const pads: [number, number][] = [
    [0, 0],
    [0, 0],
    [begin, endRows],
    [begin, endColumns],
  ];
  if (layer.kind === "average-pool") {
    const padded = isWhole ? values : np.pad(values, pads);
    const sums = lax.reduceWindow(padded, (window) => np.sum(window), [size, size], [stride, stride]);
    return sums.mul(tapShares(layer, input, output));
  }
  if (!isWhole) return maxWithPadding(values, pads, layer);
  return lax.reduceWindow(values, (window) => np.max(window), [size, size], [stride, stride]);
}

/** Padding is with zeros; adding -1e30 to it keeps it out of every maximum. */
function maxWithPadding(values: np.Array, pads: [number, number][], { size, stride }: ShapedPool["layer"]): np.Array {
  const inside = np.pad(np.onesLike(values.ref), pads);
  const lowest = inside.sub(1).mul(1e30);
  const padded = np.pad(values, pads).add(lax.stopGradient(lowest));
  return lax.reduceWindow(padded, (window) => np.max(window), [size, size], [stride, stride]);
}

/** [1, 1, height, width]: one over the number of a window's taps inside the image. */
function tapShares(layer: ShapedPool["layer"], input: ShapedLayer["input"], output: ShapedLayer["output"]): np.Array {
  const values = tapsInside(layer, input.height, output.height).flatMap((rows) =>
    tapsInside(layer, input.width, output.width).map((columns) => 1 / (rows * columns)),
  );
  return np.array(Float32Array.from(values)).reshape([1, 1, output.height, output.width]);
}
