/**
 * What codecs do to a simulation's vectors: nothing travels here, so a vector is encoded and decoded again at once, by the center's
 * own kernels. Vectors are areas of the center's memory.
 */

import type { CodecName, Fragment } from "../../shared/wire/codec/codec.ts";
import type { CenterMemory } from "../center/center_memory.ts";
import { codecNumber, type Kernels } from "../center/kernels.ts";

/** What is checked is checked elsewhere. */
const NO_LIMIT = Infinity;

export class Coder {
  readonly #memory: CenterMemory;
  readonly #kernels: Kernels;
  readonly #codec: number;
  /** Room for what is encoded. */
  readonly #words: number;

  /** Of one codec, which is not f32. */
  constructor(memory: CenterMemory, kernels: Kernels, codec: CodecName) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#codec = codecNumber(codec);
    this.#words = memory.takeArea();
  }

  /** sum = base + what the codec says of vector - base, in the fragment. */
  addChange(sum: number, base: number, vector: number, { fromElement, toElement }: Fragment): void {
    const at = 4 * fromElement;
    this.#kernels.encode(this.#codec, vector + at, base + at, sum + at, this.#words, toElement - fromElement);
  }

  /** What was encoded last, which was this fragment. */
  lastSaid(area: number, { fromElement, toElement }: Fragment): void {
    const at = 4 * fromElement;
    this.#kernels.decodeCoded(this.#codec, 0, this.#words, area + at, toElement - fromElement, NO_LIMIT);
  }

  /** vector + rest becomes what the codec says of it, and rest what the codec leaves out. */
  encodeWithRest(vector: number, rest: number): void {
    const { paddedElements } = this.#memory.layout;
    const { addWeighted, copy, clear } = this.#kernels;
    const said = this.#memory.takeArea();
    addWeighted(rest, vector, paddedElements, 1);
    clear(vector, paddedElements);
    this.addChange(said, vector, rest, { fromElement: 0, toElement: this.#memory.elements });
    copy(vector, said, paddedElements);
    addWeighted(rest, said, paddedElements, -1);
    this.#memory.returnArea(said);
  }
}
