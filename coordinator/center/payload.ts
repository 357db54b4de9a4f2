/**
 * What a push's payload covers and where it is put: a fragment of the layout in a codec, of which all has come or only some ranges.
 *
 * An area takes its payload at the end of the room that the decoded fragment needs, in whole blocks, so that the
 * kernels decode in place (`assembly/decode.ts`); there is always so much room, because areas are whole pages. f32 lies where it belongs.
 */

import {
  BLOCK_ELEMENTS,
  BLOCK_WORDS,
  encodedBytes,
  wholeOf,
  type CodecName,
  type Fragment,
} from "../../shared/wire/codec/codec.ts";
import { broken } from "./center_checks.ts";

export interface PayloadShape {
  readonly codec: CodecName;
  /** What the payload's bytes are for. */
  readonly fragment: Fragment;
  /** Of the fragment, what came: in order and apart. */
  readonly ranges: readonly Fragment[];
  /** Whether every element of the layout came. */
  readonly isWhole: boolean;
}

/** As a caller says it. */
export interface Coverage {
  /** f32 where left out. */
  readonly codec?: CodecName;
  /** What the payload covers: all where left out. */
  readonly fragment?: Fragment;
  /** Of the fragment, what came, in any order; all of it where left out. Between them the bytes of the payload mean nothing. */
  readonly ranges?: readonly Fragment[];
}

export function payloadShape(elements: number, { codec = "f32", fragment, ranges }: Coverage): PayloadShape {
  const covered = fragment ?? wholeOf(elements);
  checkRange(covered, wholeOf(elements), elements);
  for (const range of ranges ?? []) checkRange(range, covered, elements);
  const came = merged(ranges ?? [covered]);
  const [first] = came;
  const isWhole = came.length === 1 && first?.fromElement === 0 && first.toElement === elements;
  return { codec, fragment: covered, ranges: came, isWhole };
}

export function payloadBytes({ codec, fragment }: PayloadShape): number {
  return encodedBytes(codec, fragment.toElement - fragment.fromElement);
}

/** Where the payload's words for the block that begins at `fromElement` lie, or go. */
export function wordsAt(area: number, shape: PayloadShape, fromElement: number): number {
  const { codec, fragment } = shape;
  if (codec === "f32") return area + 4 * fromElement;
  const roomBytes = 4 * BLOCK_ELEMENTS * Math.ceil((fragment.toElement - fragment.fromElement) / BLOCK_ELEMENTS);
  const wordsBefore = BLOCK_WORDS[codec] * ((fromElement - fragment.fromElement) / BLOCK_ELEMENTS);
  return area + 4 * fragment.fromElement + roomBytes - payloadBytes(shape) + 4 * wordsBefore;
}

/** What of the layout is in none of `ranges`, which are in order and apart. */
export function gapsBetween(ranges: readonly Fragment[], elements: number): Fragment[] {
  const edges = [0, ...ranges.flatMap(({ fromElement, toElement }) => [fromElement, toElement]), elements];
  const gaps: Fragment[] = [];
  for (let edge = 0; edge < edges.length; edge += 2) {
    const [fromElement = 0, toElement = elements] = edges.slice(edge);
    if (fromElement < toElement) gaps.push({ fromElement, toElement });
  }
  return gaps;
}

function checkRange({ fromElement, toElement }: Fragment, within: Fragment, elements: number): void {
  const isEdge = (element: number): boolean => element % BLOCK_ELEMENTS === 0 || element === elements;
  const isInOrder = within.fromElement <= fromElement && fromElement <= toElement && toElement <= within.toElement;
  if (!isInOrder || !isEdge(fromElement) || !isEdge(toElement)) {
    throw broken(`elements ${fromElement} to ${toElement} of ${within.fromElement} to ${within.toElement}`);
  }
}

function merged(ranges: readonly Fragment[]): Fragment[] {
  const apart: Fragment[] = [];
  for (const range of ranges.toSorted((one, other) => one.fromElement - other.fromElement)) {
    if (range.fromElement === range.toElement) continue;
    const last = apart.at(-1);
    if (last && range.fromElement <= last.toElement) {
      apart[apart.length - 1] = { ...last, toElement: Math.max(last.toElement, range.toElement) };
    } else {
      apart.push(range);
    }
  }
  return apart;
}
