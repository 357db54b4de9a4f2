/**
 * A replica's place at the center: the base of each fragment that both sides hold, and what of the center it is given next. A vector
 * of its own (`OwnPlace`), or published versions that it shares with others (`StreamPlace`), as its codecs are. `places.ts` says
 * when; here is what.
 */

import { fragmentOf, type Fragment } from "../shared/wire/codec/codec.ts";
import type { Codecs } from "../shared/wire/vectors.ts";
import type { Center, CenterSlot, PublishedVersion } from "./center/center.ts";
import type { AnsweredMove, Stream } from "./stream.ts";

/** How a push moved the center, as its answer has to tell. */
export interface Moved extends AnsweredMove {
  /** A lower bound of what an own answer holds: one more than the version when the apply began. */
  readonly answerVersion: number;
  /** The answer carries nothing of the center: the replica has moved already, and pulls before it pushes again (SPEC X10). */
  readonly isBare: boolean;
}

/** What of the center an answer carries, to be looked up whenever it is sent. */
export interface AnsweredVector {
  readonly fragment: number;
  /** Base versions before and after it. */
  readonly from: number;
  readonly to: number;
}

/** A vector on the wire. */
export interface VectorPieces {
  /** So many changes of the center; values where left out. */
  readonly deltas?: number;
  readonly payload: readonly Uint8Array[];
}

export interface Place {
  readonly codecs: Codecs;
  /** Of a fragment. */
  baseVersion(fragment: number): number;
  /** Whether the coordinator still has the base of a fragment. */
  holds(fragment: number): boolean;
  /** The base of a fragment. One push at a time. */
  base(fragment: number): CenterSlot;
  /** The elements of a fragment. */
  range(fragment: number): Fragment;
  /** The center as it is becomes the base everywhere, or, for a newcomer, as it was a moment ago. */
  refresh(isNewcomer: boolean): Promise<void>;
  /** What the replica has fetched becomes the base everywhere. */
  take(fetched: PublishedVersion): void;
  /** The replica asks for the center: a new base everywhere, told as briefly as it can be. */
  pull(): Promise<VectorPieces>;
  /** After a push that moved the center: the answer is the new base of its fragment. */
  answer(fragment: number, moved: Moved): Promise<AnsweredVector>;
  /** Undefined where it is no longer kept. */
  piecesOf(answered: AnsweredVector): VectorPieces | undefined;
  /** The base of everything, after a `refresh`; undefined where it is no longer kept. */
  values(): Uint8Array | undefined;
  close(): void;
}

export interface PlaceOptions {
  readonly center: Center;
  readonly stream: Stream;
  readonly codecs: Codecs;
  readonly fragments: number;
  /** Members of a barrier have to have the very center. */
  readonly isBarrier: boolean;
}

/** A fetched version may lie behind the center by as much as one that a newcomer is given. */
const NEWCOMER_AGE_MS = 1000;

/** A vector of the replica's own, which its answers are written into (codec f32). */
export class OwnPlace implements Place {
  readonly codecs: Codecs;
  readonly #options: PlaceOptions;
  readonly #slot: CenterSlot;
  readonly #versions: number[];

  constructor(options: PlaceOptions) {
    this.#options = options;
    this.codecs = options.codecs;
    const { version } = options.center;
    this.#slot = options.center.openSlot();
    this.#versions = Array.from({ length: options.fragments }, () => version);
  }

  baseVersion(fragment: number): number {
    return this.#versions[fragment] ?? 0;
  }

  holds(): boolean {
    return true;
  }

  base(): CenterSlot {
    return this.#slot;
  }

  range(fragment: number): Fragment {
    return rangeOf(this.#options, fragment);
  }

  async refresh(): Promise<void> {
    const { version } = await this.#options.center.refresh(this.#slot);
    this.#versions.fill(version);
  }

  take(fetched: PublishedVersion): void {
    this.#slot.bytes().set(fetched.values());
    this.#versions.fill(fetched.version);
  }

  async pull(): Promise<VectorPieces> {
    await this.refresh();
    return { payload: [this.#slot.bytes()] };
  }

  answer(fragment: number, { answerVersion }: Moved): Promise<AnsweredVector> {
    const from = this.baseVersion(fragment);
    this.#versions[fragment] = answerVersion;
    return Promise.resolve({ fragment, from, to: answerVersion });
  }

  piecesOf({ fragment }: AnsweredVector): VectorPieces {
    const { fromElement, toElement } = this.range(fragment);
    return { payload: [this.#slot.bytes().subarray(4 * fromElement, 4 * toElement)] };
  }

  values(): Uint8Array {
    return this.#slot.bytes();
  }

  close(): void {
    this.#slot.close();
  }
}

interface Held {
  readonly version: PublishedVersion;
  readonly slot: CenterSlot;
}

/** Published versions, one for each fragment: nothing of the replica's own. */
export class StreamPlace implements Place {
  readonly codecs: Codecs;
  readonly #options: PlaceOptions;
  readonly #held: Held[] = [];

  constructor(options: PlaceOptions) {
    this.#options = options;
    this.codecs = options.codecs;
  }

  baseVersion(fragment: number): number {
    return this.#held[fragment]?.version.version ?? 0;
  }

  holds(fragment: number): boolean {
    return this.#held[fragment]?.version.isKept ?? false;
  }

  base(fragment: number): CenterSlot {
    const held = this.#held[fragment];
    if (!held) throw new Error("invariant violation: a place that was never filled");
    return held.slot;
  }

  range(fragment: number): Fragment {
    return rangeOf(this.#options, fragment);
  }

  async refresh(isNewcomer: boolean): Promise<void> {
    const { stream, isBarrier } = this.#options;
    const isRecentEnough = isNewcomer && !isBarrier;
    this.take(await (isRecentEnough ? stream.recent(NEWCOMER_AGE_MS) : stream.current()));
  }

  take(version: PublishedVersion): void {
    for (let fragment = 0; fragment < this.#options.fragments; fragment++) this.#hold(fragment, version);
  }

  async pull(): Promise<VectorPieces> {
    const before = this.#held.map(({ version }) => version.version);
    const [from = 0] = before;
    this.take(await this.#options.stream.after(from));
    const to = this.baseVersion(0);
    const whole = { fromElement: 0, toElement: this.#options.center.elements };
    const isOfOneVersion = before.every((version) => version === from);
    const pieces = this.#pieces(isOfOneVersion ? from : undefined, to, whole);
    if (!pieces) throw new Error("invariant violation: the newest version is not kept");
    return pieces;
  }

  async answer(fragment: number, moved: Moved): Promise<AnsweredVector> {
    const from = this.baseVersion(fragment);
    if (moved.isBare) return { fragment, from, to: from };
    const { stream } = this.#options;
    const told = await stream.answerTo(moved, from);
    const version = told.isKept ? told : await stream.current();
    this.#hold(fragment, version);
    return { fragment, from, to: version.version };
  }

  piecesOf({ fragment, from, to }: AnsweredVector): VectorPieces | undefined {
    return this.#pieces(from, to, this.range(fragment));
  }

  values(): Uint8Array | undefined {
    const version = this.#held[0]?.version;
    return version?.isKept ? this.#options.stream.valuesOf(version) : undefined;
  }

  close(): void {
    for (const { slot } of this.#held) slot.close();
    this.#held.length = 0;
  }

  /** The changes from one version to another, where they are fewer bytes than the values. */
  #pieces(from: number | undefined, to: number, range: Fragment): VectorPieces | undefined {
    const { center, stream } = this.#options;
    const changes = from === undefined ? undefined : center.versions.deltas(from, to, range);
    const changeBytes = changes?.reduce((bytes, { byteLength }) => bytes + byteLength, 0) ?? 0;
    const valueBytes = 4 * (range.toElement - range.fromElement);
    if (changes && changes.length > 0 && changeBytes < valueBytes) return { deltas: changes.length, payload: changes };
    const version = stream.at(to);
    return version && { payload: [stream.valuesOf(version).subarray(4 * range.fromElement, 4 * range.toElement)] };
  }

  #hold(fragment: number, version: PublishedVersion): void {
    this.#held[fragment]?.slot.close();
    this.#held[fragment] = { version, slot: version.open() };
  }
}

function rangeOf({ center, fragments }: PlaceOptions, fragment: number): Fragment {
  return fragmentOf(center.elements, fragments, fragment);
}
