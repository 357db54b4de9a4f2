/**
 * Reads TensorBoard's event files by the words of their formats alone: TensorFlow's records with checksums computed bit by bit, and
 * protocol buffers taken apart tag by tag. Nothing of Drove's and no library: what it understands, others do.
 */

export interface TensorboardEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion: string | undefined;
  readonly values: readonly {
    readonly tag: string;
    readonly simpleValue: number | undefined;
    readonly histogram: TensorboardHistogram | undefined;
  }[];
}

interface TensorboardHistogram {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  readonly bucketLimits: readonly number[];
  readonly buckets: readonly number[];
}

/** Throws where a checksum or a length is wrong. */
export function readEventFile(bytes: Uint8Array<ArrayBuffer>): TensorboardEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: TensorboardEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    requireChecksum(bytes.subarray(at, at + 8), view.getUint32(at + 8, true), at);
    const data = bytes.subarray(at + 12, at + 12 + length);
    requireChecksum(data, view.getUint32(at + 12 + length, true), at);
    events.push(eventOf(data));
    at += 16 + length;
  }
  return events;
}

function requireChecksum(data: Uint8Array, found: number, at: number): void {
  let crc = ~0;
  for (const byte of data) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc ^ (byte >> bit)) & 1;
      crc = (crc >>> 1) ^ (carry ? 0x82f63b78 : 0);
    }
  }
  crc = ~crc >>> 0;
  const rotated = ((crc >>> 15) | (crc << 17)) >>> 0;
  const masked = (rotated + 0xa282ead8) % 2 ** 32;
  if (masked !== found) throw new Error(`The record at ${at} has the checksum ${found}, not ${masked}.`);
}

/** A message's fields by number: raw bits of 4 and 8 bytes and of varints as bytes or numbers. */
function fieldsOf(data: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = data[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Uint8Array => data.subarray(at, (at += length));
  while (at < data.length) {
    const key = varint();
    const wire = key & 7;
    if (wire !== 0 && wire !== 1 && wire !== 2 && wire !== 5) throw new Error(`There is no wire type ${wire}.`);
    const value = wire === 0 ? varint() : take(wire === 1 ? 8 : wire === 5 ? 4 : varint());
    fields.set(key >>> 3, [...(fields.get(key >>> 3) ?? []), value]);
  }
  return fields;
}

type Fields = ReturnType<typeof fieldsOf>;

function bytesIn(fields: Fields, number: number): Uint8Array | undefined {
  const value = fields.get(number)?.[0];
  return typeof value === "number" ? undefined : value;
}

function textIn(fields: Fields, number: number): string | undefined {
  const bytes = bytesIn(fields, number);
  return bytes && new TextDecoder().decode(bytes);
}

function doublesIn(fields: Fields, number: number): number[] {
  const bytes = bytesIn(fields, number) ?? new Uint8Array();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, index) => view.getFloat64(8 * index, true));
}

function eventOf(data: Uint8Array): TensorboardEvent {
  const fields = fieldsOf(data);
  const step = fields.get(2)?.[0];
  const summary = bytesIn(fields, 5);
  return {
    wallTime: doublesIn(fields, 1)[0] ?? 0,
    step: typeof step === "number" ? step : 0,
    fileVersion: textIn(fields, 3),
    values: summary ? (fieldsOf(summary).get(1) ?? []).map((value) => valueOf(value)) : [],
  };
}

function valueOf(value: number | Uint8Array): TensorboardEvent["values"][number] {
  if (typeof value === "number") throw new Error("A value is a message.");
  const fields = fieldsOf(value);
  const simple = bytesIn(fields, 2);
  const histogram = bytesIn(fields, 5);
  return {
    tag: textIn(fields, 1) ?? "",
    simpleValue: simple && new DataView(simple.buffer, simple.byteOffset).getFloat32(0, true),
    histogram: histogram && histogramOf(fieldsOf(histogram)),
  };
}

function histogramOf(fields: Fields): TensorboardHistogram {
  const one = (number: number): number => doublesIn(fields, number)[0] ?? 0;
  return {
    min: one(1),
    max: one(2),
    num: one(3),
    sum: one(4),
    sumSquares: one(5),
    bucketLimits: doublesIn(fields, 6),
    buckets: doublesIn(fields, 7),
  };
}
