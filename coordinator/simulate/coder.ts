/**
 * What codecs do to a simulation's vectors: nothing travels here, so a vector is encoded and decoded again at once, by the codecs'
 * definition. Vectors are areas of the center's memory.
 */

import type { CodecName, Fragment } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import type { CenterMemory } from "../center/center_memory.ts";

export class Coder {
  readonly #memory: CenterMemory;

  constructor(memory: CenterMemory) {
    this.#memory = memory;
  }

  /** sum = base + what the codec says of vector - base, in the fragment; returns what it says, whose first element is the fragment's. */
  addChange(sum: number, base: number, vector: number, codec: CodecName, fragment: Fragment): Float32Array {
    const [sums, bases, values] = [sum, base, vector].map((area) => this.#values(area, fragment));
    if (!sums || !bases || !values) throw new Error("invariant violation: three areas are three vectors");
    const said = saidOf(
      codec,
      values.map((value, index) => value - bases[index]!),
    );
    for (let index = 0; index < said.length; index++) sums[index] = bases[index]! + said[index]!;
    return said;
  }

  /** vector + rest becomes what the codec says of it, and rest what the codec leaves out. */
  encodeWithRest(vector: number, rest: number, codec: CodecName, fragment: Fragment): void {
    const values = this.#values(vector, fragment);
    const rests = this.#values(rest, fragment);
    const wanted = values.map((value, index) => value + rests[index]!);
    const said = saidOf(codec, wanted);
    values.set(said);
    for (let index = 0; index < said.length; index++) rests[index] = wanted[index]! - said[index]!;
  }

  write(area: number, values: Float32Array, fragment: Fragment): void {
    this.#values(area, fragment).set(values);
  }

  copy(target: number, source: number, fragment: Fragment): void {
    this.write(target, this.#values(source, fragment), fragment);
  }

  #values(area: number, { fromElement, toElement }: Fragment): Float32Array {
    return this.#memory.values(area).subarray(fromElement, toElement);
  }
}

function saidOf(codec: CodecName, values: Float32Array): Float32Array {
  return codec === "f32" ? values : decode(codec, encode(codec, values), values.length);
}
