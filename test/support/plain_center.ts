/**
 * A coordinator's half of every exchange in plain code, for a replica on a stage: an elastic center, the versions that it has
 * published (SPEC X18), and what the replica holds of each fragment. Every vector can be compared bit for bit.
 */

import { encodedBytes, fragmentOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import { sliceRange, slicePlanOf } from "../../shared/wire/slices.ts";
import type { VectorWire } from "../../shared/wire/vectors.ts";
import type { Got } from "./replica_stage.ts";

/** P(k) - P(k-1), of all elements. */
interface Change {
  readonly version: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface PlainAnswer {
  readonly version: number;
  readonly payload: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
  readonly deltas: number | undefined;
}

export class PlainCenter {
  readonly #vectors: VectorWire;
  readonly #rate: number;
  values: Float32Array<ArrayBuffer>;
  /** What the replica holds, element by element, and the version of each fragment's. */
  base: Float32Array<ArrayBuffer>;
  readonly baseVersions: number[];
  version: number;
  /** The newest published version, and what led to it from the last exact one. */
  #published: Float32Array<ArrayBuffer>;
  #changes: Change[] = [];

  constructor(vectors: VectorWire, initial: Float32Array<ArrayBuffer>, { rate = 0.25, version = 10 } = {}) {
    this.#vectors = vectors;
    this.#rate = rate;
    this.values = initial.slice();
    this.base = initial.slice();
    this.version = version;
    this.baseVersions = Array.from({ length: vectors.fragments }, () => version);
    this.#published = initial.slice();
  }

  fragment(index = 0): Fragment {
    return fragmentOf(this.#vectors.elements, this.#vectors.fragments, index);
  }

  /** What somebody else did: the center is another. */
  wander(by: (index: number) => number): void {
    this.values = this.values.map((value, index) => value + by(index));
    this.version++;
  }

  /** The whole center, which the replica is given as its base. */
  give(): { readonly version: number; readonly payload: Float32Array<ArrayBuffer> } {
    // Nobody holds a version any more: this one is exact.
    this.#published = this.values.slice();
    this.#changes = [];
    this.base = this.values.slice();
    this.baseVersions.fill(this.version);
    return { version: this.version, payload: this.values.slice() };
  }

  /** What came of a push moves the center and is answered; slices whose number is in `lost` did not come. */
  push({ header, payload }: Pick<Got<"push">, "header" | "payload">, lost: readonly number[] = []): PlainAnswer {
    const { codecs, elements } = this.#vectors;
    const index = header.fragment ?? 0;
    if (header.baseVersion !== this.baseVersions[index]) throw new Error("pushed against a base that nobody holds");
    const { fromElement, toElement } = this.fragment(index);
    const said = decode(codecs.up, payload, toElement - fromElement);
    const plan = slicePlanOf(codecs.up, elements);
    const isLost = (element: number): boolean =>
      lost.some((slice) => {
        const range = sliceRange(plan, slice);
        return element >= range.fromElement && element < range.toElement;
      });
    for (let element = fromElement; element < toElement; element++) {
      if (isLost(element)) continue;
      const sent = Math.fround(this.base[element]! + said[element - fromElement]!);
      this.values[element]! += Math.fround(this.#rate * Math.fround(sent - this.values[element]!));
    }
    this.version++;
    return this.#answer(index);
  }

  #answer(index: number): PlainAnswer {
    const { codecs } = this.#vectors;
    const { fromElement, toElement } = this.fragment(index);
    if (codecs.down !== "f32") this.#publish();
    const answered = codecs.down === "f32" ? this.values : this.#published;
    const values = answered.slice(fromElement, toElement);
    const news = this.#changes.filter(({ version }) => version > (this.baseVersions[index] ?? 0));
    this.base.set(values, fromElement);
    this.baseVersions[index] = this.version;
    const payload = new Uint8Array(Buffer.concat(news.map(({ bytes }) => this.#part(bytes, index))));
    if (codecs.down === "f32" || payload.byteLength >= values.byteLength)
      return { version: this.version, payload: values, deltas: undefined };
    return { version: this.version, payload, deltas: news.length };
  }

  /** P(k+1) = P(k) + decoded(encoded(center - P(k))). */
  #publish(): void {
    const { codecs, elements } = this.#vectors;
    const bytes = encode(
      codecs.down,
      this.values.map((value, element) => value - this.#published[element]!),
    );
    const delta = decode(codecs.down, bytes, elements);
    this.#published = this.#published.map((value, element) => value + delta[element]!);
    this.#changes.push({ version: this.version, bytes });
  }

  #part(bytes: Uint8Array, index: number): Uint8Array {
    const { down } = this.#vectors.codecs;
    const { fromElement, toElement } = this.fragment(index);
    return bytes.subarray(encodedBytes(down, fromElement), encodedBytes(down, toElement));
  }
}
