/**
 * Which published version of the center somebody is given, and when a new one is published (SPEC X18): as few as possible, because
 * every replica downloads each of them. The versions themselves are the center's (center/versions.ts).
 */

import type { CodecName } from "../shared/wire/codec/codec.ts";
import type { Center, PublishedVersion, StreamOptions } from "./center/center.ts";

/** Of published versions, each as large as the center, and of as many changes. */
const MOST_KEPT_BYTES = 256 * 2 ** 20;
const FEWEST_VERSIONS = 4;
const MOST_VERSIONS = 64;
/** Where nobody has a version as a base: for those who fetch one before they join. */
const PLAIN_VERSIONS = 8;
/** Moves whose answers may still be on their way to some of the members. */
const MOVES_REMEMBERED = 64;

/** Slower replicas hold older versions: the more are kept, the fewer of them lose their base. */
export function streamOptionsFor(codec: CodecName, elements: number): StreamOptions {
  const fitting = Math.floor(MOST_KEPT_BYTES / (4 * elements));
  const most = codec === "f32" ? PLAIN_VERSIONS : MOST_VERSIONS;
  return { codec, keep: Math.max(FEWEST_VERSIONS, Math.min(most, fitting)) };
}

/** A move of the center that is to be answered. */
export interface AnsweredMove {
  /** Of the center, after it. */
  readonly version: number;
  /** Whether the answer has to tell of it: members of a barrier wait for nothing else. */
  readonly mustBeTold: boolean;
}

export class Stream {
  readonly #center: Center;
  readonly #nowMs: () => number;
  /** By the version of the move: all its members are given the same. */
  readonly #answers = new Map<number, Promise<PublishedVersion>>();
  #newestAtMs = Number.NEGATIVE_INFINITY;
  #copied: { readonly version: PublishedVersion; readonly values: Uint8Array } | undefined;

  constructor(center: Center, nowMs: () => number) {
    this.#center = center;
    this.#nowMs = nowMs;
  }

  /** The center as it is, with the move that made it this version. */
  async current(atLeast?: number): Promise<PublishedVersion> {
    const before = this.#center.versions.newest;
    const version = await this.#center.versions.publish(atLeast);
    if (version !== before) this.#newestAtMs = this.#nowMs();
    return version;
  }

  /** The center as it was at most `ageMs` ago. */
  async recent(ageMs: number): Promise<PublishedVersion> {
    const { newest } = this.#center.versions;
    return newest && this.#nowMs() - this.#newestAtMs <= ageMs ? newest : this.current();
  }

  /** For somebody who holds `held`: something newer, where the center has moved. */
  async after(held: number): Promise<PublishedVersion> {
    const { newest } = this.#center.versions;
    return newest && newest.version !== held ? newest : this.current();
  }

  /** The same for all who made this move together; `held` is what one of them holds. */
  answerTo({ version, mustBeTold }: AnsweredMove, held: number): Promise<PublishedVersion> {
    const known = this.#answers.get(version);
    if (known) return known;
    const { newest } = this.#center.versions;
    const isUntold = mustBeTold && (newest?.version ?? 0) < version;
    const answer = isUntold ? this.current(version) : this.after(held);
    this.#answers.set(version, answer);
    for (const move of this.#answers.keys()) if (this.#answers.size > MOVES_REMEMBERED) this.#answers.delete(move);
    return answer;
  }

  /**
   * Of a version that is kept: a copy, because its own memory may be used again while this waits in a socket, and one for all who
   * are given the same. A thousand who join at once would queue a thousand copies.
   */
  valuesOf(version: PublishedVersion): Uint8Array {
    if (this.#copied?.version !== version) this.#copied = { version, values: version.values().slice() };
    return this.#copied.values;
  }

  /** Where it is still kept. */
  at(version: number): PublishedVersion | undefined {
    return this.#center.versions.at(version);
  }
}
