/**
 * What vectors look like on virtual links: how many bytes they take, and, where the center comes down in a codec, the stream of
 * published versions that replicas are answered from (SPEC X17, X18). The values themselves are the arithmetic's.
 */

import { fragmentOf, wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import { centerBytes, pushBytes, type VectorWire } from "../../shared/wire/vectors.ts";
import type { Arithmetic } from "./arithmetic.ts";
import type { Answer, Parcel } from "./messages.ts";
import type { CompleteScenario } from "./scenario.ts";

/** A center that somebody is given, who holds it from then on. */
export type GivenCenter = Pick<Answer, "center" | "version" | "published">;

interface Published {
  /** The first is 0. */
  readonly number: number;
  /** Of the center. */
  readonly version: number;
  readonly center: Parcel;
}

/** Of published versions. */
export interface StreamCounts {
  readonly versions: number;
  /** Answers that were changes, and the changes in them. */
  readonly answers: number;
  readonly deltas: number;
  /** Answers that were values, because changes would have been longer or none led there. */
  readonly wholes: number;
}

export class Wire {
  readonly #vectors: VectorWire;
  readonly #arithmetic: Arithmetic;
  /** Of an f32 element. */
  readonly #elementBytes: number;
  #newest: Published | undefined;
  readonly #counts = { versions: 0, answers: 0, deltas: 0, wholes: 0 };

  constructor(scenario: CompleteScenario, arithmetic: Arithmetic, elements: number) {
    const { codecUp: up, codecDown: down, fragments, payloadBytes } = scenario;
    this.#vectors = { elements, codecs: { up, down }, fragments };
    this.#arithmetic = arithmetic;
    this.#elementBytes = payloadBytes === null ? 4 : payloadBytes / elements;
    this.restart();
  }

  /** Undefined where nothing is published. */
  get stream(): StreamCounts | undefined {
    return this.#newest ? { ...this.#counts } : undefined;
  }

  fragment(index: number): Fragment {
    return fragmentOf(this.#vectors.elements, this.#vectors.fragments, index);
  }

  get firstTurn(): number {
    return this.turnAfter(-1);
  }

  /** The one whose turn comes after that of `index`: more fragments than blocks leave some empty. */
  turnAfter(index: number): number {
    const next = (index + 1) % this.#vectors.fragments;
    const { fromElement, toElement } = this.fragment(next);
    return fromElement < toElement ? next : this.turnAfter(next);
  }

  bytesUp(fragment: number): number {
    return this.#scaled(pushBytes(this.#vectors, this.fragment(fragment)));
  }

  /** Of values, whatever the codec. */
  get wholeBytes(): number {
    return this.#scaled(centerBytes(this.#vectors, wholeOf(this.#vectors.elements), 0));
  }

  /** Of one change, where the center comes down in changes. */
  get changeBytes(): number {
    return this.#scaled(centerBytes(this.#vectors, wholeOf(this.#vectors.elements), this.#newest ? 1 : 0));
  }

  /** What the replica is given, that holds the published version `held` of what it is told about. */
  bytesDown({ fragment, published }: Pick<Answer, "fragment" | "published">, held: number | undefined): number {
    const range = fragment === undefined ? wholeOf(this.#vectors.elements) : this.fragment(fragment);
    const values = centerBytes(this.#vectors, range, 0);
    const deltas = published === undefined || held === undefined ? 0 : published - held;
    const changes = deltas === 0 ? values : centerBytes(this.#vectors, range, deltas);
    if (published !== undefined) this.#count(deltas, changes < values);
    return this.#scaled(Math.min(values, changes));
  }

  /** The center as it is, or, where it is published, the version that it is then. */
  centerNow(): GivenCenter {
    const { version } = this.#arithmetic;
    return this.#current() ?? { center: this.#arithmetic.centerCopy(), version, published: undefined };
  }

  /** For somebody who asks for the center, and holds this published version. */
  centerAfter(held: number | undefined): GivenCenter {
    return this.publishedFor([held], false) ?? this.centerNow();
  }

  /**
   * What those are answered with together who hold these versions, where versions are published: another is published first where one
   * of them has the newest, or all of them wait to be told of the move (`mustBeTold`), and the center has moved since.
   */
  publishedFor(held: readonly (number | undefined)[], mustBeTold: boolean): GivenCenter | undefined {
    if (!this.#newest) return undefined;
    return mustBeTold || held.includes(this.#newest.number) ? this.#current() : this.#given(this.#newest);
  }

  /** The center has become another, and all vectors are gone: nothing leads from the old versions to it. */
  restart(): void {
    if (this.#vectors.codecs.down === "f32") return;
    const number = this.#newest ? this.#newest.number + 1 : 0;
    this.#newest = { number, version: this.#arithmetic.version, center: this.#arithmetic.centerCopy() };
    this.#counts.versions++;
  }

  #current(): GivenCenter | undefined {
    const arithmetic = this.#arithmetic;
    const before = this.#newest;
    if (!before) return undefined;
    if (arithmetic.version === before.version) return this.#given(before);
    this.#newest = {
      number: before.number + 1,
      version: arithmetic.version,
      center: arithmetic.publish(before.center),
    };
    arithmetic.release(before.center);
    this.#counts.versions++;
    return this.#given(this.#newest);
  }

  #given({ center, version, number }: Published): GivenCenter {
    return { center: this.#arithmetic.retain(center), version, published: number };
  }

  #count(deltas: number, areShorter: boolean): void {
    if (!areShorter) {
      this.#counts.wholes++;
      return;
    }
    this.#counts.answers++;
    this.#counts.deltas += deltas;
  }

  #scaled(bytes: number): number {
    return this.#elementBytes === 4 ? bytes : (bytes / 4) * this.#elementBytes;
  }
}
