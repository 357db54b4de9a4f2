/**
 * An ONNX graph as it grows: nodes in order, tensors by name, and the two forms in which a layer's activations travel. `onnx_layers.ts`
 * says which nodes a layer is; `onnx.ts` makes the file.
 */

import { elementsOf, type ImageShape } from "../../shared/model/model.ts";

/** Of the format's element types those that exports use. */
export const FLOAT = 1;
const INT64 = 7;

/** `image` is [batch, channels, height, width], `rows` [batch, channels], which images of one pixel may be. */
export interface Value {
  readonly name: string;
  readonly form: "image" | "rows";
  readonly shape: ImageShape;
}

type Attribute =
  | { readonly name: string; readonly type: 1; readonly f: number }
  | { readonly name: string; readonly type: 2; readonly i: number }
  | { readonly name: string; readonly type: 7; readonly ints: readonly number[] };

interface Node {
  readonly name: string;
  readonly opType: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly Attribute[];
}

interface Tensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly rawData: Uint8Array<ArrayBuffer>;
}

export function float(name: string, f: number): Attribute {
  return { name, type: 1, f };
}

export function int(name: string, i: number): Attribute {
  return { name, type: 2, i };
}

export function ints(name: string, values: readonly number[]): Attribute {
  return { name, type: 7, ints: values };
}

const TO_NHWC = ints("perm", [0, 2, 3, 1]);
const TO_NCHW = ints("perm", [0, 3, 1, 2]);

export class OnnxGraph {
  readonly nodes: Node[] = [];
  readonly tensors: Tensor[] = [];
  readonly #names = new Set<string>();
  readonly #scalars = new Map<number, string>();

  /** Keeps names for what the graph takes and gives. */
  reserve(...names: readonly string[]): void {
    for (const name of names) this.#names.add(name);
  }

  /** A node of one output that is the graph's own, under its reserved name. */
  output(opType: string, name: string, input: readonly string[], ...attribute: readonly Attribute[]): void {
    this.nodes.push({ name, opType, input, output: [name], attribute });
  }

  /** A node of one output, which gets the node's name, and a number behind it where that is taken. Returns the output's name. */
  add(opType: string, name: string, input: readonly string[], ...attribute: readonly Attribute[]): string {
    const unique = this.#unique(name);
    this.nodes.push({ name: unique, opType, input, output: [unique], attribute });
    return unique;
  }

  tensor(name: string, dims: readonly number[], values: Float32Array<ArrayBuffer>): string {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return this.#keep({ name, dims, dataType: FLOAT, rawData });
  }

  integers(name: string, values: readonly number[]): string {
    const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.#keep({ name, dims: [values.length], dataType: INT64, rawData });
  }

  /** A whole number without dimensions. */
  integer(name: string, value: number): string {
    return this.#keep({
      name,
      dims: [],
      dataType: INT64,
      rawData: new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
    });
  }

  /** One tensor for each value, without dimensions. */
  scalar(value: number): string {
    const known = this.#scalars.get(value);
    if (known !== undefined) return known;
    const name = this.tensor(`constant ${value}`, [], Float32Array.of(value));
    this.#scalars.set(value, name);
    return name;
  }

  image(value: Value): Value {
    if (value.form === "image") return value;
    const shape = this.integers(`${value.name}/image shape`, [0, value.shape.channels, 1, 1]);
    return { ...value, form: "image", name: this.add("Reshape", `${value.name}/image`, [value.name, shape]) };
  }

  /** Flattened in the order rows, columns, channels, as Drove's dense layers have it. */
  rows(value: Value): Value {
    if (value.form === "rows") return value;
    const { height, width } = value.shape;
    const shape = { height: 1, width: 1, channels: elementsOf(value.shape) };
    const inOrder = height * width === 1 ? value.name : this.toNhwc(value);
    return { form: "rows", shape, name: this.add("Flatten", `${value.name}/rows`, [inOrder], int("axis", 1)) };
  }

  /** The name of an image's activations as [batch, height, width, channels]. */
  toNhwc(value: Value): string {
    return this.add("Transpose", `${value.name}/nhwc`, [value.name], TO_NHWC);
  }

  /** The opposite of `toNhwc`. */
  fromNhwc(name: string, shape: ImageShape): Value {
    return { form: "image", shape, name: this.add("Transpose", `${name}/nchw`, [name], TO_NCHW) };
  }

  #keep(tensor: Tensor): string {
    const name = this.#unique(tensor.name);
    this.tensors.push({ ...tensor, name });
    return name;
  }

  #unique(wanted: string): string {
    let name = wanted;
    for (let n = 2; this.#names.has(name); n++) name = `${wanted} ${n}`;
    this.#names.add(name);
    return name;
  }
}
