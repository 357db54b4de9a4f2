/**
 * The safetensors format, as far as Drove needs it: u64 header length, a JSON header padded to 8 bytes, then the tensors
 * without a hole. Readable by every framework; reading follows the reference reader's rules (offsets tile the data exactly).
 */

import * as v from "valibot";
import { StoreError } from "./durable_file.ts";

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface TensorFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** A view of the file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The reference reader's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const entrySchema = v.object({ dtype: v.string(), shape: v.array(count), data_offsets: v.tuple([count, count]) });
const headerSchema = v.objectWithRest({ __metadata__: v.optional(v.record(v.string(), v.string())) }, entrySchema);

const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

/** The file as a list of pieces: the header, then views of the tensors themselves. */
export function encodeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): readonly Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const start = Buffer.alloc(8 + headerBytes, " ");
  start.writeBigUInt64LE(BigInt(headerBytes));
  text.copy(start, 8);
  return [start, ...tensors.map(({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength))];
}

/** Takes a file apart, or throws a `StoreError` that says what is wrong with it. `file` is only for the sentence. */
export function parseSafetensors(bytes: Uint8Array<ArrayBuffer>, file: string): TensorFile {
  const refuse = (reason: string): never => {
    throw new StoreError(`${file} is not a whole safetensors file: ${reason}.`);
  };
  if (bytes.length < 8) refuse(`it holds only ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const announced = view.getBigUint64(0, true);
  if (announced > BigInt(Math.min(MAX_HEADER_BYTES, bytes.length - 8))) {
    refuse(`its header announces ${announced} bytes and the file holds ${bytes.length}`);
  }
  const dataBegin = 8 + Number(announced);
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + 8, Number(announced)).toString("utf8"));
  } catch {
    refuse("its header is not JSON");
  }
  const checked = v.safeParse(headerSchema, parsed);
  if (!checked.success) return refuse(`its header has a wrong field "${v.getDotPath(checked.issues[0]) ?? ""}"`);
  const { __metadata__: metadata = {}, ...entries } = checked.output;

  const tensors = new Map<string, StoredTensor>();
  let end = 0;
  const inOrder = Object.entries(entries).toSorted(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [first, last],
    },
  ] of inOrder) {
    const elementBytes = ELEMENT_BYTES[dtype] ?? refuse(`its tensor "${name}" has the unknown type ${dtype}`);
    if (first !== end) refuse(`its tensor "${name}" begins at ${first} instead of ${end}`);
    const shapedBytes = shape.reduce((product, length) => product * length, elementBytes);
    if (last - first !== shapedBytes) {
      refuse(`its tensor "${name}" of shape ${shape.join("x")} takes ${last - first} bytes instead of ${shapedBytes}`);
    }
    tensors.set(name, { dtype, shape, bytes: bytes.subarray(dataBegin + first, dataBegin + last) });
    end = last;
  }
  if (dataBegin + end !== bytes.length)
    refuse(`its tensors take ${end} bytes and it holds ${bytes.length - dataBegin}`);
  return { metadata, tensors };
}
