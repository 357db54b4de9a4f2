/**
 * The parameter layout: where each named tensor lies in the one contiguous parameter buffer that the engine trains, the
 * wire carries and the center holds; and the hash by which both sides know that they mean the same one (SPEC H4).
 */

import { inferShapes, elementsOf, type ModelDescription } from "./model.ts";
import { Random } from "../random.ts";

/** Tensors begin at multiples of 64 elements = 256 bytes, WebGPU's default offset alignment; the gaps stay zero. */
export const TENSOR_ALIGNMENT_ELEMENTS = 64;

export interface ParameterTensor {
  /** `<layer>.weights` or `<layer>.bias`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** First element in the buffer. */
  readonly offset: number;
  readonly elements: number;
  /** Inputs that each unit sums over; 0 for a bias. */
  readonly fanIn: number;
}

export interface ParameterLayout {
  readonly tensors: readonly ParameterTensor[];
  /** Length of the buffer, gaps included: what an exchange carries. */
  readonly elements: number;
  /** Trainable parameters, gaps excluded: what the literature counts. */
  readonly parameters: number;
  /** 16 hexadecimal digits over names, shapes and offsets. */
  readonly hash: string;
}

export function layoutOf(model: ModelDescription): ParameterLayout {
  const tensors: ParameterTensor[] = [];
  let end = 0;
  const add = (name: string, shape: readonly number[], fanIn: number): void => {
    const elements = shape.reduce((product, length) => product * length, 1);
    tensors.push({ name, shape, offset: end, elements, fanIn });
    end = alignUp(end + elements, TENSOR_ALIGNMENT_ELEMENTS);
  };
  for (const { layer, input } of inferShapes(model)) {
    if (layer.kind === "conv2d") {
      const { kernel, channels, name } = layer;
      add(`${name}.weights`, [kernel, kernel, input.channels, channels], kernel * kernel * input.channels);
      add(`${name}.bias`, [channels], 0);
    } else if (layer.kind === "dense") {
      const inputs = elementsOf(input);
      add(`${layer.name}.weights`, [inputs, layer.units], inputs);
      add(`${layer.name}.bias`, [layer.units], 0);
    }
  }
  const parameters = tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  return { tensors, elements: end, parameters, hash: hashOf(tensors) };
}

export function alignUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** Initial parameters, Caffe's "xavier" filler: weights uniform in ±sqrt(3 / fanIn), biases and gaps zero. */
export function initialParameters(layout: ParameterLayout, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  const parameters = new Float32Array(layout.elements);
  for (const tensor of layout.tensors) {
    if (tensor.fanIn === 0) continue;
    const bound = Math.sqrt(3 / tensor.fanIn);
    for (let index = 0; index < tensor.elements; index++) {
      parameters[tensor.offset + index] = (2 * random.uniform() - 1) * bound;
    }
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
