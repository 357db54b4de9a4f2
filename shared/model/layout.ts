/**
 * The parameter layout: where each named tensor lies in the one contiguous parameter buffer that the engine trains, the
 * wire carries and the center holds; and the hash by which both sides know that they mean the same one (SPEC H4).
 *
 * Trained tensors come first; running statistics, which exchanges carry and no optimizer touches (SPEC E9), come last.
 */

import { Random } from "../random.ts";
import { elementsOf, inferShapes, type ModelDescription, type ShapedLayer } from "./model.ts";

/** Tensors begin at multiples of 64 elements = 256 bytes, WebGPU's default offset alignment; the gaps stay zero. */
export const TENSOR_ALIGNMENT_ELEMENTS = 64;

export interface ParameterTensor {
  /** `<layer>.weights`, `.bias`, `.scale`, `.shift`, `.mean` or `.variance`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** First element in the buffer. */
  readonly offset: number;
  readonly elements: number;
  /** Uniform in ±bound, around `center`. */
  readonly initial: { readonly center: number; readonly bound: number };
}

export interface ParameterLayout {
  readonly tensors: readonly ParameterTensor[];
  /** Length of the buffer, gaps included: what an exchange carries. */
  readonly elements: number;
  /** The part that an optimizer moves: elements 0 up to this one. What follows are running statistics. */
  readonly trainableElements: number;
  /** Trainable parameters, gaps excluded: what the literature counts. */
  readonly parameters: number;
  /** 16 hexadecimal digits over names, shapes and offsets. */
  readonly hash: string;
}

/** A tensor before it has its place. */
type Unplaced = Omit<ParameterTensor, "offset" | "elements">;

export function layoutOf(model: ModelDescription): ParameterLayout {
  const layers = inferShapes(model);
  const gain = model.initialisation === "he" ? 6 : 3;
  const trained = placed(
    layers.flatMap((layer) => trainedTensors(layer, gain)),
    0,
  );
  const trainableElements = endOf(trained);
  const statistics = placed(layers.flatMap(statisticsTensors), trainableElements);
  const tensors = [...trained, ...statistics];
  const parameters = trained.reduce((sum, tensor) => sum + tensor.elements, 0);
  return { tensors, elements: endOf(tensors), trainableElements, parameters, hash: hashOf(tensors) };
}

function trainedTensors({ layer, input }: ShapedLayer, gain: number): Unplaced[] {
  const { name } = layer;
  const weights = (shape: readonly number[], fanIn: number): Unplaced => ({
    name: `${name}.weights`,
    shape,
    initial: { center: 0, bound: Math.sqrt(gain / fanIn) },
  });
  const constant = (kind: string, channels: number, value: number): Unplaced => ({
    name: `${name}.${kind}`,
    shape: [channels],
    initial: { center: value, bound: 0 },
  });
  switch (layer.kind) {
    case "conv2d": {
      const { kernel, channels, groups = 1, bias = true } = layer;
      const depth = input.channels / groups;
      const filter = weights([kernel, kernel, depth, channels], kernel * kernel * depth);
      return bias ? [filter, constant("bias", channels, 0)] : [filter];
    }
    case "dense": {
      const inputs = elementsOf(input);
      const matrix = weights([inputs, layer.units], inputs);
      return (layer.bias ?? true) ? [matrix, constant("bias", layer.units, 0)] : [matrix];
    }
    case "batch-norm":
    case "layer-norm":
      return [constant("scale", input.channels, 1), constant("shift", input.channels, 0)];
    case "embedding":
      return [weights([layer.vocabulary, layer.width], layer.width)];
    default:
      return [];
  }
}

function statisticsTensors({ layer, input }: ShapedLayer): Unplaced[] {
  if (layer.kind !== "batch-norm") return [];
  const shape = [input.channels];
  return [
    { name: `${layer.name}.mean`, shape, initial: { center: 0, bound: 0 } },
    { name: `${layer.name}.variance`, shape, initial: { center: 1, bound: 0 } },
  ];
}

function placed(tensors: readonly Unplaced[], begin: number): ParameterTensor[] {
  let end = begin;
  return tensors.map((tensor) => {
    const elements = tensor.shape.reduce((product, length) => product * length, 1);
    const offset = end;
    end = alignUp(end + elements, TENSOR_ALIGNMENT_ELEMENTS);
    return { ...tensor, offset, elements };
  });
}

function endOf(tensors: readonly ParameterTensor[]): number {
  const last = tensors.at(-1);
  return last ? alignUp(last.offset + last.elements, TENSOR_ALIGNMENT_ELEMENTS) : 0;
}

export function alignUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** Initial parameters: weights as the model's initialisation says, scales and variances one, all else and the gaps zero. */
export function initialParameters(layout: ParameterLayout, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  const parameters = new Float32Array(layout.elements);
  for (const { offset, elements, initial } of layout.tensors) {
    const { center, bound } = initial;
    if (bound === 0) parameters.fill(center, offset, offset + elements);
    else
      for (let at = offset; at < offset + elements; at++) parameters[at] = center + (2 * random.uniform() - 1) * bound;
  }
  return parameters;
}

/** FNV-1a, 64 bits, over a canonical text. It tells layouts apart; it is not a defence (SPEC L says what is). */
function hashOf(tensors: readonly ParameterTensor[]): string {
  const text = tensors.map(({ name, shape, offset }) => `${name}[${shape.join(",")}]@${offset}`).join(";");
  let hash = 0xcbf29ce484222325n;
  for (let index = 0; index < text.length; index++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}
