/**
 * The center as a stream of published versions, encoded once for everybody (SPEC X18). An applier thread encodes the way from the last
 * version to the center as it is, and goes that way itself; so a version is what everybody has who took the changes, bit for
 * bit, and what a change leaves out is in the next one.
 *
 * Memory is bounded by the versions kept, whoever holds them: one vector each, and the changes of as many publications.
 */

import {
  BLOCK_ELEMENTS,
  BLOCK_WORDS,
  encodedBytes,
  type CodecName,
  type Fragment,
} from "../../shared/wire/codec/codec.ts";
import type { ApplierThreads } from "./applier_threads.ts";
import { broken } from "./center_checks.ts";
import type { CenterMemory } from "./center_memory.ts";
import type { Control } from "./control.ts";
import type { ChangeJob } from "./jobs.ts";
import { Publication, type PublishedVersion } from "./published_version.ts";

export interface StreamOptions {
  /** Of the changes. With f32 there are none: every version is a copy. */
  readonly codec: CodecName;
  /** Versions. */
  readonly keep: number;
}

export const PLAIN_STREAM: StreamOptions = { codec: "f32", keep: 2 };

export interface Versions {
  readonly newest: PublishedVersion | undefined;
  /**
   * The newest one again where the center has not moved since. Calls meanwhile share one publication, unless it began before the center
   * was `atLeast` of this version. The first, and the first after the center was restored, is a copy of the center, to which no
   * changes lead.
   */
  publish(atLeast?: number): Promise<PublishedVersion>;
  at(version: number): PublishedVersion | undefined;
  /**
   * What leads from one version to another, the oldest first; undefined where a change is not kept or a copy lies between. The bytes
   * are never written again, however long somebody keeps them.
   */
  deltas(from: number, to: number, fragment: Fragment): readonly Uint8Array[] | undefined;
}

interface Change {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Source {
  readonly memory: CenterMemory;
  readonly control: Control;
  readonly threads: ApplierThreads;
}

export class CenterVersions implements Versions {
  readonly #source: Source;
  readonly #stream: StreamOptions;
  /** The oldest first, both. */
  readonly #kept: Publication[] = [];
  readonly #changes: Change[] = [];
  #publishing: Promise<Publication> | undefined;
  #era = 0;

  constructor(source: Source, stream: StreamOptions) {
    this.#source = source;
    this.#stream = stream;
  }

  get newest(): Publication | undefined {
    return this.#kept.at(-1);
  }

  async publish(atLeast = 0): Promise<Publication> {
    if (atLeast > this.#source.control.version)
      throw broken(`version ${atLeast} was to be published before it was there`);
    let published = await this.#publishOnce();
    // One that others had begun before.
    while (published.version < atLeast) published = await this.#publishOnce();
    return published;
  }

  at(version: number): Publication | undefined {
    return this.#kept.find((publication) => publication.version === version);
  }

  deltas(from: number, to: number, { fromElement, toElement }: Fragment): readonly Uint8Array[] | undefined {
    const { codec } = this.#stream;
    const firstByte = (4 * BLOCK_WORDS[codec] * fromElement) / BLOCK_ELEMENTS;
    const lastByte = firstByte + encodedBytes(codec, toElement - fromElement);
    const pieces: Uint8Array[] = [];
    let reached = to;
    for (const change of this.#changes.toReversed()) {
      if (reached <= from) break;
      if (change.to !== reached) continue;
      pieces.unshift(change.bytes.subarray(firstByte, lastByte));
      reached = change.from;
    }
    return reached === from ? pieces : undefined;
  }

  /** The center has been replaced by another: no change leads to the next version. */
  restored(): void {
    this.#era++;
  }

  async #publishOnce(): Promise<Publication> {
    if (this.#publishing) return this.#publishing;
    const { newest } = this;
    if (newest?.version === this.#source.control.version) return newest;
    this.#publishing = this.#publish();
    try {
      return await this.#publishing;
    } finally {
      this.#publishing = undefined;
    }
  }

  async #publish(): Promise<Publication> {
    const { memory } = this.#source;
    const next = memory.takeArea();
    try {
      let publication = await this.#fill(next);
      // Restored meanwhile: what was encoded leads from another center to this one.
      while (publication.era !== this.#era) publication = await this.#fill(next);
      this.#keep(publication);
      return publication;
    } catch (failure) {
      memory.returnArea(next);
      throw failure;
    }
  }

  /** The center, or the way to it from the newest version, in the area `next`. */
  async #fill(next: number): Promise<Publication> {
    const { memory, threads } = this.#source;
    const era = this.#era;
    const previous = this.newest;
    const change = previous?.era === era ? this.#changeFrom(previous) : undefined;
    try {
      const outcome = await threads.run({ kind: "publish", next, change });
      if (outcome.verdict !== "published")
        throw broken(`an applier thread answered ${outcome.verdict} to a publication`);
      const { version, isCopy } = outcome;
      if (change && !isCopy && previous && era === this.#era) {
        const bytes = memory.room(change.words, encodedBytes(change.codec, memory.elements)).slice();
        this.#changes.push({ from: previous.version, to: version, bytes });
      }
      return new Publication(memory, { version, area: next, era });
    } finally {
      if (change) memory.returnArea(change.words);
    }
  }

  #changeFrom(previous: Publication): ChangeJob | undefined {
    const { codec } = this.#stream;
    if (codec === "f32") return undefined;
    return { codec, previous: previous.area, words: this.#source.memory.takeArea() };
  }

  /** One more; beyond the bound the oldest that nobody holds is dropped, or else the oldest. */
  #keep(publication: Publication): void {
    const before = [...this.#kept];
    this.#kept.push(publication);
    while (this.#kept.length > this.#stream.keep) {
      const dropped = before.find(({ isKept, isHeld }) => isKept && !isHeld) ?? this.#kept[0];
      if (!dropped) return;
      this.#kept.splice(this.#kept.indexOf(dropped), 1);
      dropped.drop();
    }
    this.#changes.splice(0, this.#changes.length - this.#stream.keep);
  }
}
