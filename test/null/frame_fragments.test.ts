/** SPEC F: a frame whose head and payload come apart is the same frame, and is refused for the same reasons. */

import { expect, test } from "vitest";
import { encodeHead, frameIn, lengthOf } from "../../shared/wire/frame.ts";
import { readFromReplica, TYPE, type FromReplica } from "../../shared/wire/messages.ts";
import { plainVectors } from "../../shared/wire/vectors.ts";
import { Random } from "../../shared/random.ts";

const PAYLOAD = Uint8Array.from({ length: 64 }, (_, index) => index);
const VECTORS = plainVectors(PAYLOAD.byteLength / 4);
const PUSH = {
  exchange: 3,
  incarnation: 1,
  baseVersion: 17,
  content: "parameters",
  steps: 10,
  samples: 640,
  meanLoss: 0.25,
} as const;
const HEAD = encodeHead(TYPE.push, PUSH, PAYLOAD.byteLength);
const WHOLE = Uint8Array.from([...HEAD, ...PAYLOAD]);

function read(fragments: readonly Uint8Array[]): FromReplica | string {
  const message = readFromReplica(frameIn(fragments), VECTORS);
  return "refusal" in message ? message.refusal : message;
}

/** In so many pieces, at these places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...places.toSorted((a, b) => a - b), bytes.byteLength];
  return edges.slice(1).map((to, index) => bytes.slice(edges[index], to));
}

test("[F1] Head and payload that come apart are read without being copied", () => {
  const message = read([HEAD, PAYLOAD]);
  expect(message).toMatchObject({ kind: "push", header: PUSH });
  expect((message as FromReplica).payload).toBe(PAYLOAD);
  expect(lengthOf(frameIn([HEAD, PAYLOAD]))).toBe(WHOLE.byteLength);
});

test("[F1] A frame that is cut anywhere, into two pieces or more, is the frame it was", () => {
  const whole = read([WHOLE]) as FromReplica;
  const random = new Random(7);
  for (let place = 0; place <= WHOLE.byteLength; place++) {
    const other = random.below(WHOLE.byteLength);
    for (const places of [[place], [place, other]]) {
      const message = read(cut(WHOLE, places)) as FromReplica;
      expect(message).toMatchObject({ kind: "push", header: PUSH });
      expect([...message.payload]).toEqual([...whole.payload]);
    }
  }
});

test("[F2] A payload of another length than the head says is refused, whole or apart", () => {
  expect(read([HEAD, PAYLOAD.subarray(4)])).toBe("FRAME_TOO_SHORT");
  expect(read([HEAD, Uint8Array.from([...PAYLOAD, 0])])).toBe("FRAME_TOO_LONG");
  expect(read([HEAD])).toBe("FRAME_TOO_SHORT");
  expect(read([])).toBe("FRAME_TOO_SHORT");
  expect(read([new Uint8Array(0), new Uint8Array(0)])).toBe("FRAME_TOO_SHORT");
});

test("[F6] No bytes make reading them in pieces throw, nor mean something else than in one", () => {
  const random = new Random(11);
  for (let round = 0; round < 5000; round++) {
    const bytes = WHOLE.slice();
    for (let change = random.below(4); change > 0; change--) {
      bytes[random.below(bytes.byteLength)] = random.below(256);
    }
    const apart = read(cut(bytes, [random.below(bytes.byteLength + 1)]));
    const atHead = read(cut(bytes, [HEAD.byteLength]));
    const whole = read([bytes]);
    for (const found of [apart, atHead]) {
      if (typeof whole === "string") expect(found).toBe(whole);
      else expect(found).toMatchObject({ kind: whole.kind, header: whole.header });
    }
  }
});
