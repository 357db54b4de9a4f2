/**
 * A push over a channel that may lose messages (SPEC T6): each slice stands for itself. It is a header of 16 bytes, little-endian,
 *
 *     u32 magic "DSLC" | u32 exchange | u32 index | u32 payload bytes
 *
 * and then whole blocks of the encoded vector: slice i has the blocks from i * B on, with the same B on both sides.
 */

import { BLOCK_ELEMENTS, BLOCK_WORDS, encodedBytes, type CodecName, type Fragment } from "./codec/codec.ts";
import { LIMITS } from "./codes.ts";

/** "DSLC" read as a little-endian u32. */
const MAGIC = 0x434c5344;
const SLICE_HEADER_BYTES = 16;
/** With the headers of slice, SCTP, DTLS and UDP below what every path takes as one packet (RFC 8831: 1,200 bytes). */
const PACKET_PAYLOAD_BYTES = 1120;

export interface SlicePlan {
  readonly codec: CodecName;
  /** Of the layout. */
  readonly elements: number;
  /** In every slice but the last. */
  readonly blocksPerSlice: number;
  /** At most `LIMITS.lossyParts`. */
  readonly slices: number;
}

/** One received slice; `payload` is a view. */
export interface Slice {
  readonly exchange: number;
  readonly index: number;
  readonly payload: Uint8Array;
}

/** How a whole vector is cut: one packet a slice, or, where that would be too many slices, as many blocks more as are needed. */
export function slicePlanOf(codec: CodecName, elements: number): SlicePlan {
  const blocks = Math.ceil(elements / BLOCK_ELEMENTS);
  const inOnePacket = Math.max(1, Math.floor(PACKET_PAYLOAD_BYTES / (4 * BLOCK_WORDS[codec])));
  const blocksPerSlice = Math.max(inOnePacket, Math.ceil(blocks / LIMITS.lossyParts));
  return { codec, elements, blocksPerSlice, slices: Math.ceil(blocks / blocksPerSlice) };
}

/** The elements of slice `index`, which is below `plan.slices`: its range of the layout. */
export function sliceRange({ elements, blocksPerSlice }: SlicePlan, index: number): Fragment {
  const step = blocksPerSlice * BLOCK_ELEMENTS;
  return { fromElement: Math.min(elements, index * step), toElement: Math.min(elements, (index + 1) * step) };
}

/** Where slice `index` lies in the encoded vector. */
export function sliceBytes(plan: SlicePlan, index: number): { readonly from: number; readonly to: number } {
  const { fromElement, toElement } = sliceRange(plan, index);
  return { from: encodedBytes(plan.codec, fromElement), to: encodedBytes(plan.codec, toElement) };
}

/** The longest message of this plan. */
export function longestSliceBytes(plan: SlicePlan): number {
  const { from, to } = sliceBytes(plan, 0);
  return SLICE_HEADER_BYTES + to - from;
}

/** One message: slice `index` of what `encoded` is, a whole vector as `encodedBytes` says. A copy. */
export function encodeSlice(
  plan: SlicePlan,
  exchange: number,
  index: number,
  encoded: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { from, to } = sliceBytes(plan, index);
  const message = new Uint8Array(SLICE_HEADER_BYTES + to - from);
  const view = new DataView(message.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, exchange, true);
  view.setUint32(8, index, true);
  view.setUint32(12, to - from, true);
  message.set(encoded.subarray(from, to), SLICE_HEADER_BYTES);
  return message;
}

/** The slice in one message, or undefined where it is none of this plan: whatever the bytes, nothing is thrown. */
export function decodeSlice(plan: SlicePlan, message: Uint8Array): Slice | undefined {
  if (message.byteLength < SLICE_HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  const index = view.getUint32(8, true);
  if (index >= plan.slices) return undefined;
  const payload = message.subarray(SLICE_HEADER_BYTES);
  const { from, to } = sliceBytes(plan, index);
  if (view.getUint32(12, true) !== payload.byteLength || payload.byteLength !== to - from) return undefined;
  return { exchange: view.getUint32(4, true), index, payload };
}
