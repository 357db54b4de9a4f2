/**
 * Bytes <-> frame (SPEC F). A frame is
 *
 *     u32 magic "DROV" | u8 protocol | u8 type | u16 zero | u32 headerBytes | u32 payloadBytes
 *     | msgpack header | zeros up to a multiple of 16 | payload
 *
 * little-endian. Its length is known from the first 16 bytes, the payload is raw and 16-byte aligned, and head and
 * payload travel as two fragments of one message, so that a tensor is never copied to be packed.
 */

import { Packr } from "msgpackr";
import { LIMITS, type RefusalCode } from "./codes.ts";

export const PROTOCOL_VERSION = 4;
/** "DROV" read as a little-endian u32. */
const MAGIC = 0x564f5244;
const PREFIX_BYTES = 16;
const PAYLOAD_ALIGNMENT_BYTES = 16;

export interface Frame {
  readonly type: number;
  /** Decoded, not yet checked: `messages.ts` does that. */
  readonly header: unknown;
  /** A view of the received bytes; empty where the type has no payload. */
  readonly payload: Uint8Array;
}

/** A frame as it came: in one piece, or as it was sent, its payload apart from all before it. */
export type FrameBytes = Uint8Array | readonly [head: Uint8Array, payload: Uint8Array];

/** What is wrong with the bytes: always the sender's fault. */
export interface FrameRefusal {
  readonly refusal: RefusalCode;
}

// Plain msgpack maps, no record extension: any msgpack library can speak to a coordinator.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });

/** Everything of a frame but its payload, which follows it on the wire. */
export function encodeHead(type: number, header: object, payloadBytes: number): Uint8Array<ArrayBuffer> {
  const packed = packr.pack(header);
  if (packed.byteLength > LIMITS.headerBytes) {
    throw new Error(`invariant violation: a header of ${packed.byteLength} bytes (type ${type})`);
  }
  const head = new Uint8Array(alignedHeadBytes(packed.byteLength));
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, PROTOCOL_VERSION);
  view.setUint8(5, type);
  view.setUint32(8, packed.byteLength, true);
  view.setUint32(12, payloadBytes, true);
  head.set(packed, PREFIX_BYTES);
  return head;
}

/** The longest frame that carries `payloadBytes`: what a socket is told to accept at most. */
export function longestFrameBytes(payloadBytes: number): number {
  return alignedHeadBytes(LIMITS.headerBytes) + payloadBytes;
}

/** The length of the frame that begins with these bytes, of which the first 16 are needed (SPEC F2). */
export function announcedBytes(bytes: Uint8Array, longestPayloadBytes: number): number | FrameRefusal {
  if (bytes.byteLength < PREFIX_BYTES) return { refusal: "FRAME_TOO_SHORT" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return { refusal: "NOT_A_FRAME" };
  if (view.getUint8(4) !== PROTOCOL_VERSION) return { refusal: "WRONG_PROTOCOL" };
  if (view.getUint16(6, true) !== 0) return { refusal: "NOT_A_FRAME" };
  const headerBytes = view.getUint32(8, true);
  const payloadBytes = view.getUint32(12, true);
  if (headerBytes > LIMITS.headerBytes || payloadBytes > longestPayloadBytes) return { refusal: "FRAME_TOO_LONG" };
  return alignedHeadBytes(headerBytes) + payloadBytes;
}

/** The frame that a message's fragments make. Head and payload stay apart where they came so: a tensor is not copied to be read either. */
export function frameIn(fragments: readonly Uint8Array[]): FrameBytes {
  const [head, payload] = fragments;
  if (!head) return new Uint8Array(0);
  if (!payload) return head;
  if (fragments.length === 2 && isWholeHead(head)) return [head, payload];
  const whole = new Uint8Array(fragments.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const fragment of fragments) {
    whole.set(fragment, at);
    at += fragment.byteLength;
  }
  return whole;
}

export function lengthOf(frame: FrameBytes): number {
  return frame instanceof Uint8Array ? frame.byteLength : frame[0].byteLength + frame[1].byteLength;
}

/** One frame from one message; `longestPayloadBytes` is what this run's parameters take. */
export function decodeFrame(frame: FrameBytes, longestPayloadBytes: number): Frame | FrameRefusal {
  const bytes = frame instanceof Uint8Array ? frame : frame[0];
  const announced = announcedBytes(bytes, longestPayloadBytes);
  if (typeof announced !== "number") return announced;
  if (lengthOf(frame) < announced) return { refusal: "FRAME_TOO_SHORT" };
  if (lengthOf(frame) > announced) return { refusal: "FRAME_TOO_LONG" };
  if (frame !== bytes && !isWholeHead(bytes)) return { refusal: "NOT_A_FRAME" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES);
  const headerBytes = view.getUint32(8, true);
  // A copy, because msgpackr's fast paths may look beyond the end of a view.
  const packed = bytes.slice(PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  let header: unknown;
  try {
    header = packr.unpack(packed);
  } catch {
    return { refusal: "BAD_HEADER" };
  }
  const payload = frame instanceof Uint8Array ? frame.subarray(alignedHeadBytes(headerBytes)) : frame[1];
  return { type: view.getUint8(5), header, payload };
}

function isWholeHead(bytes: Uint8Array): boolean {
  if (bytes.byteLength < PREFIX_BYTES) return false;
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES).getUint32(8, true);
  return bytes.byteLength === alignedHeadBytes(headerBytes);
}

function alignedHeadBytes(headerBytes: number): number {
  return Math.ceil((PREFIX_BYTES + headerBytes) / PAYLOAD_ALIGNMENT_BYTES) * PAYLOAD_ALIGNMENT_BYTES;
}
