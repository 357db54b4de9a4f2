/**
 * What the payload of a message says of the center: values, or the changes since the version that the replica holds (SPEC X18).
 * Lengths were checked at the door.
 */

import type { CenterNews } from "../../shared/engine/backend.ts";
import { encodedBytes, wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import type { VectorWire } from "../../shared/wire/vectors.ts";

/** How a message names what its payload is. */
interface Announced {
  /** So many changes; values, or nothing at all, where left out. */
  readonly deltas?: number | undefined;
}

/** Undefined where there is no payload: the base is what it was, and nobody knows whether it should be. */
export function newsOf(
  payload: Uint8Array,
  { deltas }: Announced,
  fragment: Fragment,
  { codecs }: VectorWire,
): CenterNews | undefined {
  if (payload.byteLength === 0) return deltas === 0 ? noNewsOf(fragment) : undefined;
  if (deltas === undefined || deltas === 0) return { kind: "values", fragment, values: valuesOf(payload) };
  const codec = codecs.down;
  const bytes = encodedBytes(codec, fragment.toElement - fragment.fromElement);
  const pieces = Array.from({ length: deltas }, (_, index) => payload.subarray(index * bytes, (index + 1) * bytes));
  return { kind: "deltas", fragment, codec, deltas: pieces };
}

/** Of the whole center. */
export function centerNewsOf(payload: Uint8Array, announced: Announced, vectors: VectorWire): CenterNews | undefined {
  return newsOf(payload, announced, wholeOf(vectors.elements), vectors);
}

/** Of a base that is what it was. */
export function noNewsOf(fragment: Fragment): CenterNews {
  return { kind: "deltas", fragment, codec: "f32", deltas: [] };
}

/** In place where they are aligned, as they are in a browser; copied where a socket library packs tightly. */
function valuesOf(payload: Uint8Array): Float32Array {
  const aligned = payload.byteOffset % 4 === 0 ? payload : payload.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
