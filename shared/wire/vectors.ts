/**
 * What vectors look like on one connection: how long they are, in which codec they go up and come down, and in how many
 * fragments. Agreed on in the handshake (SPEC H8); the door (`messages.ts`) knows from it how long a payload has to be.
 */

import { encodedBytes, fragmentOf, wholeOf, type CodecName, type Fragment } from "./codec/codec.ts";

export interface Codecs {
  /** Of pushes. */
  readonly up: CodecName;
  /** Of the center: f32 answers every push with a vector of its own, any other with the changes since the version that the replica holds. */
  readonly down: CodecName;
}

export interface VectorWire {
  /** Of the layout. */
  readonly elements: number;
  readonly codecs: Codecs;
  /** That exchanges carry in turn; 1: every exchange carries all. */
  readonly fragments: number;
}

export const PLAIN_CODECS: Codecs = { up: "f32", down: "f32" };

/** SPEC H8: what a run wishes for, as far as the replica has it; where it says nothing it has f32 alone. */
export function agreedCodecs({ up, down }: Codecs, known: readonly CodecName[] = []): Codecs {
  return { up: known.includes(up) ? up : "f32", down: known.includes(down) ? down : "f32" };
}

/** Before anything was agreed on, and where nothing else is. */
export function plainVectors(elements: number): VectorWire {
  return { elements, codecs: PLAIN_CODECS, fragments: 1 };
}

const MOST_PROBE_BYTES = 65_536;

/** No payload of this connection is longer: changes of the center that would be are sent as values instead. */
export function longestPayloadBytes({ elements }: VectorWire): number {
  return 4 * elements;
}

/** A message that measures a path carries so much. */
export function probeBytes(vectors: VectorWire): number {
  return Math.min(MOST_PROBE_BYTES, longestPayloadBytes(vectors));
}

/** The fragment of an exchange; undefined where the connection has none of this index. */
export function fragmentIn({ elements, fragments }: VectorWire, index: number): Fragment | undefined {
  return index < fragments ? fragmentOf(elements, fragments, index) : undefined;
}

function elementsIn({ fromElement, toElement }: Fragment): number {
  return toElement - fromElement;
}

export function pushBytes({ codecs }: VectorWire, fragment: Fragment): number {
  return encodedBytes(codecs.up, elementsIn(fragment));
}

/** Of `deltas` changes, or, where there are none, of values. */
export function centerBytes({ codecs }: VectorWire, fragment: Fragment, deltas: number): number {
  return deltas === 0 ? 4 * elementsIn(fragment) : deltas * encodedBytes(codecs.down, elementsIn(fragment));
}

export function wholeCenterBytes(vectors: VectorWire, deltas: number): number {
  return centerBytes(vectors, wholeOf(vectors.elements), deltas);
}
