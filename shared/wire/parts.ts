/**
 * Frames <-> the short messages of a data channel (SPEC T4). A frame is cut into parts without being copied; whoever joins them
 * knows from the frame's first 16 bytes how long it is, and puts each part where it belongs, once. `channel_link.ts` sends them.
 */

import type { RefusalCode } from "./codes.ts";
import { announcedBytes } from "./frame.ts";

/**
 * What everybody takes who says nothing of it (RFC 8841, 6). Between Chromium and Node 1.7 MB take as long in parts of 16, 32, 64 and
 * 128 KiB (94, 103, 89 and 91 ms up), but a worker that computes looks at its messages only between two steps: one exchange of
 * 0.9 MB took 65 to 80 steps of 3 ms in parts of 16 KiB, and 36 to 48 in these (Chromium 156, busy 2-core Xeon, 2026-11-21).
 */
export const PART_BYTES = 64 * 1024;
const FRAME_ALIGNMENT_BYTES = 16;
/** A frame is sent in a head and pieces, each of which ends in a part that is not full. */
const MAX_SHORT_PARTS = 64;

/** In order; each is a view of a piece. */
export function* partsOf(pieces: Iterable<Uint8Array>): Generator<Uint8Array, undefined> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength; at += PART_BYTES) yield piece.subarray(at, at + PART_BYTES);
  }
}

interface Joining {
  readonly frame: Uint8Array;
  filled: number;
  shortParts: number;
}

export class PartJoiner {
  readonly #longestPayloadBytes: number;
  #joining: Joining | undefined;

  constructor(longestPayloadBytes: number) {
    this.#longestPayloadBytes = longestPayloadBytes;
  }

  /** The frame that this part completes, undefined while some of it is missing, or what is wrong. After that nothing more is taken. */
  take(part: Uint8Array): Uint8Array | undefined | { readonly refusal: RefusalCode } {
    if (part.byteLength > PART_BYTES) return { refusal: "FRAME_TOO_LONG" };
    const joining = this.#joining;
    if (joining) return this.#add(joining, part);
    const frameBytes = announcedBytes(part, this.#longestPayloadBytes);
    if (typeof frameBytes !== "number") return frameBytes;
    // Vectors begin where the frame does, and have to begin where a number may.
    if (part.byteLength === frameBytes) return part.byteOffset % FRAME_ALIGNMENT_BYTES === 0 ? part : part.slice();
    this.#joining = { frame: new Uint8Array(frameBytes), filled: 0, shortParts: 0 };
    return this.#add(this.#joining, part);
  }

  #add(joining: Joining, part: Uint8Array): Uint8Array | undefined | { readonly refusal: RefusalCode } {
    const { frame, filled } = joining;
    if (part.byteLength > frame.byteLength - filled) return { refusal: "FRAME_TOO_LONG" };
    // Crumbs would cost much more than their bytes.
    if (part.byteLength < PART_BYTES && ++joining.shortParts > MAX_SHORT_PARTS) return { refusal: "FRAME_TOO_SHORT" };
    frame.set(part, filled);
    joining.filled += part.byteLength;
    if (joining.filled < frame.byteLength) return undefined;
    this.#joining = undefined;
    return frame;
  }
}
