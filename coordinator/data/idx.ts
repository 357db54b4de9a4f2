/**
 * The IDX format of MNIST and its successors: two zero bytes, a type byte, the number of dimensions, each dimension as a
 * big-endian u32, then the values. This is the door for data files: what leaves here has as many bytes as it announces.
 */

import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";

/** A data file or data set that cannot be used: a sentence that names it and says what to do. */
export class DataError extends Error {
  override readonly name = "DataError";
}

export interface Idx {
  readonly dimensions: readonly number[];
  /** A view of the file's bytes, not a copy. */
  readonly values: Uint8Array<ArrayBuffer>;
}

const UNSIGNED_BYTE = 0x08;
const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [0x09, "signed bytes"],
  [0x0b, "16-bit integers"],
  [0x0c, "32-bit integers"],
  [0x0d, "32-bit floats"],
  [0x0e, "64-bit floats"],
]);

/** Reads one file, gzip-compressed or not. */
export async function readIdxFile(path: string): Promise<Idx> {
  return parseIdx(await readBytes(path), path);
}

/** `file` is only for the sentences. */
export function parseIdx(bytes: Uint8Array<ArrayBuffer>, file: string): Idx {
  if (bytes.length < 4) {
    throw new DataError(`${file} holds ${bytes.length} bytes, too few for an IDX file; copy it again from its source.`);
  }
  const [zero0, zero1, type, dimensionCount] = bytes as unknown as [number, number, number, number];
  if (zero0 !== 0 || zero1 !== 0) {
    const magic = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new DataError(`${file} is not an IDX file: it begins with ${magic}, not with 00 00.`);
  }
  if (type !== UNSIGNED_BYTE) {
    const held = OTHER_TYPES.get(type) ?? `values of the unknown type 0x${type.toString(16).padStart(2, "0")}`;
    throw new DataError(`${file} holds ${held}; images and labels must be unsigned bytes (type 0x08).`);
  }
  const headerBytes = 4 + 4 * dimensionCount;
  if (dimensionCount === 0 || bytes.length < headerBytes) {
    throw new DataError(
      `${file} announces ${dimensionCount} dimensions and ends inside its header; copy it again from its source.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const dimensions = Array.from({ length: dimensionCount }, (_, index) => view.getUint32(4 + 4 * index));
  // At most 255 factors of 2^32: no overflow to a wrong small number, at worst infinity.
  const expectedBytes = dimensions.reduce((product, length) => product * length, 1);
  const heldBytes = bytes.length - headerBytes;
  if (heldBytes < expectedBytes) {
    throw new DataError(
      `${file} is truncated: it announces ${dimensions.join("x")} = ${expectedBytes} bytes and holds ${heldBytes}; copy it again from its source.`,
    );
  }
  if (heldBytes > expectedBytes) {
    throw new DataError(
      `${file} holds ${heldBytes - expectedBytes} bytes more than the ${dimensions.join("x")} that it announces; copy it again from its source.`,
    );
  }
  return { dimensions, values: bytes.subarray(headerBytes) };
}

/** What `parseIdx` takes apart: the bytes before the values of a file with these dimensions. */
export function idxHeader(dimensions: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header[2] = UNSIGNED_BYTE;
  header[3] = dimensions.length;
  dimensions.forEach((length, index) => header.writeUInt32BE(length, 4 + 4 * index));
  return header;
}

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}); check that it exists and may be read.`,
    );
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes);
  } catch {
    throw new DataError(`${path} is a damaged gzip file; copy it again from its source.`);
  }
}
