/** SPEC F: bytes in, message or refusal out. */

import { describe, expect, test } from "vitest";
import { LIMITS } from "../../shared/wire/codes.ts";
import { encodeHead, longestFrameBytes, PROTOCOL_VERSION } from "../../shared/wire/frame.ts";
import { readFromCoordinator, readFromReplica, TYPE } from "../../shared/wire/messages.ts";
import { plainVectors } from "../../shared/wire/vectors.ts";
import { Random } from "../../shared/random.ts";

const PAYLOAD_BYTES = 64;
const VECTORS = plainVectors(PAYLOAD_BYTES / 4);

const push = {
  exchange: 3,
  incarnation: 1,
  baseVersion: 17,
  content: "parameters",
  steps: 10,
  samples: 640,
  meanLoss: 0.25,
} as const;

function frame(type: number, header: object, payload = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const head = encodeHead(type, header, payload.byteLength);
  const bytes = new Uint8Array(head.byteLength + payload.byteLength);
  bytes.set(head);
  bytes.set(payload, head.byteLength);
  return bytes;
}

function pushFrame(): Uint8Array<ArrayBuffer> {
  return frame(
    TYPE.push,
    push,
    Uint8Array.from({ length: PAYLOAD_BYTES }, (_, index) => index),
  );
}

function changed(at: number, value: number): Uint8Array<ArrayBuffer> {
  const bytes = pushFrame();
  bytes[at] = value;
  return bytes;
}

function refusalOf(bytes: Uint8Array): string | undefined {
  const message = readFromReplica(bytes, VECTORS);
  return "refusal" in message ? message.refusal : undefined;
}

test("[F1] A frame begins with DROV, the protocol version and the type, and its payload is 16-byte aligned", () => {
  const head = encodeHead(TYPE.push, push, PAYLOAD_BYTES);
  expect(new TextDecoder().decode(head.subarray(0, 4))).toBe("DROV");
  expect([head[4], head[5]]).toEqual([PROTOCOL_VERSION, TYPE.push]);
  expect(head.byteLength % 16).toBe(0);
});

test("[F1] What is encoded is decoded, at any alignment of the received bytes", () => {
  const sent = pushFrame();
  for (let shift = 0; shift < 5; shift++) {
    const shifted = new Uint8Array(sent.byteLength + shift).subarray(shift);
    shifted.set(sent);
    const message = readFromReplica(shifted, VECTORS);
    expect(message).toMatchObject({ kind: "push", header: push });
    if ("refusal" in message) throw new Error(message.refusal);
    expect([...message.payload]).toEqual([...sent.subarray(-PAYLOAD_BYTES)]);
  }
});

describe("[F2] The length follows from the first 16 bytes", () => {
  test.each([0, 1, 15, 16])("%i bytes are too short", (length) => {
    expect(refusalOf(pushFrame().subarray(0, length))).toBe("FRAME_TOO_SHORT");
  });
  test("One byte less is too short, one more too long", () => {
    const whole = pushFrame();
    const longer = new Uint8Array(whole.byteLength + 1);
    longer.set(whole);
    expect(refusalOf(whole.subarray(0, -1))).toBe("FRAME_TOO_SHORT");
    expect(refusalOf(longer)).toBe("FRAME_TOO_LONG");
    expect(refusalOf(whole)).toBeUndefined();
  });
  test("A payload beyond this run's parameters and a header beyond 4,096 bytes are too long before they are read", () => {
    expect(refusalOf(frame(TYPE.push, push, new Uint8Array(PAYLOAD_BYTES + 4)))).toBe("FRAME_TOO_LONG");
    const bytes = pushFrame();
    new DataView(bytes.buffer).setUint32(8, LIMITS.headerBytes + 1, true);
    expect(refusalOf(bytes)).toBe("FRAME_TOO_LONG");
    new DataView(bytes.buffer).setUint32(8, 0xffffffff, true);
    expect(refusalOf(bytes)).toBe("FRAME_TOO_LONG");
  });
  test("The longest legal frame is what a socket is told to accept", () => {
    expect(longestFrameBytes(PAYLOAD_BYTES)).toBe(16 + LIMITS.headerBytes + PAYLOAD_BYTES);
  });
});

test("[F3] Another magic, protocol version, type or a set reserved bit is refused by name", () => {
  expect(refusalOf(changed(0, 0))).toBe("NOT_A_FRAME");
  expect(refusalOf(changed(6, 1))).toBe("NOT_A_FRAME");
  expect(refusalOf(changed(4, PROTOCOL_VERSION + 1))).toBe("WRONG_PROTOCOL");
  expect(refusalOf(changed(5, 200))).toBe("UNKNOWN_TYPE");
});

test("[F3] A replica's frame is no coordinator's, and the other way round", () => {
  expect(readFromCoordinator(pushFrame(), VECTORS)).toEqual({ refusal: "UNKNOWN_TYPE" });
  expect(refusalOf(frame(TYPE.finished, { reason: "over" }))).toBe("UNKNOWN_TYPE");
});

describe("[F4] The header is checked field by field", () => {
  const wrong: [string, object][] = [
    ["a missing field", { ...push, exchange: undefined }],
    ["an additional field", { ...push, admin: true }],
    ["a string for a number", { ...push, exchange: "3" }],
    ["exchange 0", { ...push, exchange: 0 }],
    ["a fraction", { ...push, baseVersion: 1.5 }],
    ["a negative count", { ...push, samples: -1 }],
    ["a NaN", { ...push, meanLoss: Number.NaN }],
    ["an infinity", { ...push, meanLoss: Number.POSITIVE_INFINITY }],
    ["a number beyond 2^53", { ...push, exchange: 2 ** 60 }],
    ["an unknown content", { ...push, content: "weights" }],
    ["an array", [1, 2, 3]],
    ["__proto__ as a key", JSON.parse('{"__proto__": {"exchange": 1}}') as object],
  ];
  test.each(wrong)("%s is refused", (_, header) => {
    expect(refusalOf(frame(TYPE.push, header, new Uint8Array(PAYLOAD_BYTES)))).toBe("BAD_HEADER");
  });
  test("A text longer than 200 characters is refused", () => {
    const hello = { layoutHash: "0".repeat(201), backend: "none", device: "", samplesPerSecond: 0 };
    expect(refusalOf(frame(TYPE.hello, hello))).toBe("BAD_HEADER");
    expect(refusalOf(frame(TYPE.hello, { ...hello, layoutHash: "0".repeat(200) }))).toBeUndefined();
  });
});

test("[F5] A payload is whole or absent, as the type says", () => {
  expect(refusalOf(frame(TYPE.push, push))).toBe("WRONG_PAYLOAD");
  expect(refusalOf(frame(TYPE.push, push, new Uint8Array(PAYLOAD_BYTES - 4)))).toBe("WRONG_PAYLOAD");
  expect(refusalOf(frame(TYPE.leave, {}, new Uint8Array(PAYLOAD_BYTES)))).toBe("WRONG_PAYLOAD");
  expect(refusalOf(frame(TYPE.leave, {}))).toBeUndefined();
});

test("[F6] No bytes make decoding throw", () => {
  const seed = 20261121;
  const random = new Random(seed);
  const start = pushFrame();
  for (let round = 0; round < 20_000; round++) {
    const bytes = start.slice(0, random.below(4) === 0 ? random.below(start.length) : start.length);
    for (let flips = 1 + random.below(6); flips > 0; flips--) bytes[random.below(bytes.length)] = random.below(256);
    expect(() => readFromReplica(bytes, VECTORS), `seed ${seed}, round ${round}`).not.toThrow();
  }
});

test.each([
  ["an array that declares 20 million entries", [0xdd, 0x01, 0x31, 0x2d, 0x00]],
  ["arrays nested 1,000 deep", Array.from({ length: 3000 }, (_, index) => [0xdc, 0x00, 0x01][index % 3]!)],
  ["a lone reserved byte", [0xc1]],
])("[F6] A header of %s costs nothing and is refused", (_, packed) => {
  const bytes = new Uint8Array(Math.ceil((16 + packed.length) / 16) * 16);
  bytes.set(encodeHead(TYPE.leave, {}, 0).subarray(0, 16));
  new DataView(bytes.buffer).setUint32(8, packed.length, true);
  bytes.set(packed, 16);
  expect(refusalOf(bytes)).toBe("BAD_HEADER");
});
