/**
 * Encoded pushes: the center's kernels against the codecs' definition, word for word and bit for bit; then pushes in every codec, of
 * fragments and of what came of them, under every applier, against the same values pushed in f32.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Center, type CenterSlot, type PushJob } from "../../coordinator/center/center.ts";
import { codecNumber, NOT_FINITE, OUT_OF_BOUNDS, SOUND } from "../../coordinator/center/kernels.ts";
import { Random } from "../../shared/random.ts";
import {
  BLOCK_ELEMENTS,
  CODEC_NAMES,
  encodedBytes,
  fragmentOf,
  type CodecName,
  type Fragment,
} from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import {
  APPLIERS,
  bitsOf,
  decoded,
  elasticJob,
  heldBy,
  MAX_MAGNITUDE,
  moved,
  openCenter,
  openCore,
  payloadOf,
  shapeOf,
  vector,
} from "../support/center_cases.ts";

const ENCODED = CODEC_NAMES.filter((codec) => codec !== "f32");
/** Of a layout: shorter than a cache line, whole blocks, cut ones, and cut within a cache line. */
const SIZES = [1, 15, 16, 100, 128, 129, 250, 256, 400, 1001];
const MOST_ELEMENTS = Math.max(...SIZES);

const anyFloat = new DataView(new ArrayBuffer(4));

/** Vectors of different kinds: smooth, over many magnitudes, any bits at all, mostly zeros, with many ties, below the least scale. */
const KINDS: readonly ((random: Random) => number)[] = [
  (random) => random.uniform() * 2 - 1,
  (random) => (random.uniform() * 2 - 1) * 2 ** Math.floor(random.uniform() * 50 - 35),
  (random) => {
    anyFloat.setUint32(0, Math.floor(random.uniform() * 2 ** 32));
    return anyFloat.getFloat32(0);
  },
  (random) => (random.uniform() < 0.7 ? 0 : (random.uniform() * 2 - 1) * 1e-5),
  (random) => Math.floor(random.uniform() * 5) - 2,
  (random) => (random.uniform() - 0.5) * 2 ** -110,
];

function drawn(kind: number, elements: number, random: Random): Float32Array<ArrayBuffer> {
  return new Float32Array(elements).map(() => KINDS[kind]!(random));
}

function verdictOn(values: Float32Array): number {
  if (!values.every(Number.isFinite)) return NOT_FINITE;
  return values.every((value) => Math.abs(value) <= MAX_MAGNITUDE) ? SOUND : OUT_OF_BOUNDS;
}

/** Equal bit for bit, but that one NaN is like another. */
function sameValues(actual: Float32Array, expected: Float32Array): boolean {
  return actual.length === expected.length && actual.every((value, k) => Object.is(value, expected[k]));
}

describe.each(ENCODED)("the kernels of %s", (codec) => {
  const number = codecNumber(codec);

  test("[C1] [C2] decode what the definition does, bit for bit, with the base and without, in place too", async () => {
    const { memory, kernels } = await openCore({ initial: new Float32Array(MOST_ELEMENTS) });
    const [base, area, apart] = [memory.takeArea(), memory.takeArea(), memory.takeArea()];
    const random = new Random(11);
    for (let turn = 0; turn < 600; turn++) {
      const elements = SIZES[turn % SIZES.length]!;
      const paddedElements = Math.ceil(elements / 16) * 16;
      const encoded = encode(codec, drawn(turn % KINDS.length, elements, random));
      // Every other time bytes that no encoder makes.
      const bytes = turn % 2 === 0 ? encoded : encoded.map(() => Math.floor(random.uniform() * 256));
      const roomBytes = 512 * Math.ceil(elements / BLOCK_ELEMENTS);
      const words = turn % 3 === 0 ? apart : area + roomBytes - bytes.length;
      memory.room(words, bytes.length).set(bytes);
      const held = drawn(0, elements, random);
      memory.values(base).fill(0).set(held);
      const behind = memory.room(area + (words === apart ? 4 * paddedElements : roomBytes), 64).fill(0x7e);
      const isDifference = turn % 4 < 2;

      const verdict = kernels.decodeCoded(number, isDifference ? base : 0, words, area, elements, MAX_MAGNITUDE);

      const values = decode(codec, bytes, elements);
      const expected = isDifference ? decoded(held, values) : values;
      expect(sameValues(memory.values(area).slice(0, elements), expected), `turn ${turn}`).toBe(true);
      expect(verdict, `turn ${turn}`).toBe(verdictOn(expected));
      const padding = memory.room(area + 4 * elements, 4 * (paddedElements - elements));
      expect(padding.every((byte) => byte === 0)).toBe(true);
      expect(behind.every((byte) => byte === 0x7e)).toBe(true);
    }
  });

  test("[C1] [C3] encode the definition's words, and stand where they lead", async () => {
    const { memory, kernels } = await openCore({ initial: new Float32Array(MOST_ELEMENTS) });
    const [target, previous, next, words] = Array.from({ length: 4 }, () => memory.takeArea()) as [
      number,
      number,
      number,
      number,
    ];
    const random = new Random(12);
    for (let turn = 0; turn < 600; turn++) {
      const elements = SIZES[turn % SIZES.length]!;
      const length = encodedBytes(codec, elements);
      const goal = drawn(turn % KINDS.length, elements, random);
      const held = turn % 3 === 0 ? new Float32Array(elements) : drawn(0, elements, random);
      memory.values(target).fill(0).set(goal);
      memory.values(previous).fill(0).set(held);
      const behind = memory.room(words + length, 64).fill(0x7e);

      const verdict = kernels.encode(number, target, previous, next, words, elements);

      const way = goal.map((value, k) => value - held[k]!);
      const [bytes, expected] = [memory.room(words, length).slice(), encode(codec, way)];
      // One NaN has other bits than another as f16.
      const areSame = way.every(Number.isFinite) ? Buffer.from(bytes).equals(expected) : true;
      expect(areSame, `turn ${turn}`).toBe(true);
      expect(sameValues(decode(codec, bytes, elements), decode(codec, expected, elements)), `turn ${turn}`).toBe(true);
      const reached = memory.values(next).slice(0, elements);
      expect(sameValues(reached, decoded(held, decode(codec, bytes, elements))), `turn ${turn}`).toBe(true);
      expect(verdict).toBe(reached.every(Number.isFinite) ? SOUND : NOT_FINITE);
      expect(behind.every((byte) => byte === 0x7e)).toBe(true);
    }
  });
});

test("f16 passes all halves and back, and rounds every middle to even", async () => {
  const { memory, kernels } = await openCore({ initial: new Float32Array(1 << 16) });
  const [zeros, area, again, words] = Array.from({ length: 4 }, () => memory.takeArea()) as [
    number,
    number,
    number,
    number,
  ];
  const halves = Uint16Array.from({ length: 1 << 16 }, (_, index) => index);
  memory.room(words, halves.byteLength).set(new Uint8Array(halves.buffer));
  kernels.decodeCoded(codecNumber("f16"), 0, words, area, halves.length, Infinity);
  const values = memory.values(area).slice();
  expect(sameValues(values, Float32Array.from(new Float16Array(halves.buffer)))).toBe(true);
  // And halfway to the next one, and a little to either side.
  for (const nudge of [0, -1, 1]) {
    const between = values.map((value, k) => {
      anyFloat.setFloat32(0, value + ((values[k + 1] ?? value) - value) / 2);
      anyFloat.setInt32(0, anyFloat.getInt32(0) + nudge);
      return anyFloat.getFloat32(0);
    });
    memory.values(area).set(between);
    kernels.encode(codecNumber("f16"), area, zeros, again, words, between.length);
    const made = memory.room(words, 2 * between.length).slice();
    const rounded = new Float16Array(made.buffer);
    expect(sameValues(Float32Array.from(rounded), Float32Array.from(new Float16Array(between)))).toBe(true);
  }
});

const none = { kind: "none" } as const;
const gradient = {
  kind: "gradient",
  learningRate: 0.5,
  momentum: 0,
  weightDecay: 0,
  delayCompensation: 0,
  isLayerwise: false,
} as const;

const UPDATE: PushJob = { content: "update", baseVersion: 0, move: { kind: "update", rate: 0.9 }, policy: none };

const JOBS: readonly PushJob[] = [
  elasticJob(0.4),
  UPDATE,
  { content: "gradient", baseVersion: 0, move: { ...gradient, weightDecay: 0.01 }, policy: none },
  { content: "gradient", baseVersion: 0, move: { ...gradient, momentum: 0.9 }, policy: none },
  { content: "gradient", baseVersion: 0, move: { ...gradient, delayCompensation: 2 }, policy: none },
];

const UNSOUND = [Number.NaN, Infinity, -Infinity, 1.01 * MAX_MAGNITUDE, -1.01 * MAX_MAGNITUDE];

/** A push that is sound but for the block around `place`, and what is found there. */
function unsound(
  codec: CodecName,
  place: number,
  value: number,
): { bytes: Uint8Array; verdict: "not-finite" | "out-of-bounds" } {
  const values = vector(ELEMENTS, 5);
  const { fromElement, toElement } = blockAround(place);
  // Of signs the mean counts: the whole block has the value then, up to the layout's end, and behind it the mean falls.
  if (codec === "sign") values.fill(value * (BLOCK_ELEMENTS / (toElement - fromElement)), fromElement, toElement);
  values[place] = codec === "sign" ? values[place]! : value;
  const verdict = Number.isFinite(value) ? "out-of-bounds" : "not-finite";
  return { bytes: encode(codec, values), verdict };
}

function blockAround(element: number): Fragment {
  const fromElement = element - (element % BLOCK_ELEMENTS);
  return { fromElement, toElement: Math.min(ELEMENTS, fromElement + BLOCK_ELEMENTS) };
}

function without(values: Float32Array, ranges: readonly Fragment[]): Float32Array {
  const rest = values.slice();
  for (const { fromElement, toElement } of ranges) rest.fill(0, fromElement, toElement);
  return rest;
}

/** `after` in the ranges, `before` elsewhere. */
function patched(before: Float32Array, after: Float32Array, ranges: readonly Fragment[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(before);
  for (const { fromElement, toElement } of ranges) all.set(after.subarray(fromElement, toElement), fromElement);
  return all;
}

function partOf(values: Float32Array, { fromElement, toElement }: Fragment): Float32Array<ArrayBuffer> {
  return new Float32Array(values.subarray(fromElement, toElement));
}

const [ELEMENTS, TRAINABLE] = [1001, 944];

describe.each(APPLIERS)("%s", (applier) => {
  const initial = vector(ELEMENTS, 1);
  let center: Center;
  /** Gets the same in f32. */
  let twin: Center;

  beforeAll(async () => {
    const layout = shapeOf(ELEMENTS, TRAINABLE);
    const options = { layout, initial, applier, threads: 2, maxMagnitude: MAX_MAGNITUDE };
    [center, twin] = [await Center.create(options), await Center.create(options)];
  });
  afterAll(async () => {
    await Promise.all([center.close(), twin.close()]);
  });
  beforeEach(() => restart(initial));

  async function restart(parameters: Float32Array, velocity?: Float32Array): Promise<void> {
    for (const each of [center, twin]) await each.restore({ parameters, ...(velocity ? { velocity } : {}) });
  }

  function openBoth(): [CenterSlot, CenterSlot] {
    const slots: [CenterSlot, CenterSlot] = [center.openSlot(), twin.openSlot()];
    onTestFinished(() => slots.forEach((slot) => slot.close()));
    return slots;
  }

  test.each(CODEC_NAMES)("a push in %s moves the center as its values in f32 would, bit for bit", async (codec) => {
    const [slot, other] = openBoth();
    for (const [turn, job] of JOBS.entries()) {
      const bytes = encode(codec, vector(ELEMENTS, 10 + turn));
      // At an odd address, as the wire may have it.
      const payload = new Uint8Array(bytes.length + 3).subarray(3);
      payload.set(bytes);
      const baseVersion = center.version;
      expect(await center.push(slot, payload, { ...job, baseVersion, codec })).toMatchObject({ verdict: "applied" });
      await twin.push(other, payloadOf(decode(codec, bytes, ELEMENTS)), { ...job, baseVersion });
      expect(bitsOf(center.snapshot().parameters).equals(bitsOf(twin.snapshot().parameters))).toBe(true);
      expect(bitsOf(center.snapshot().velocity).equals(bitsOf(twin.snapshot().velocity))).toBe(true);
      expect(bitsOf(heldBy(slot)).equals(bitsOf(heldBy(other)))).toBe(true);
    }
  });

  test.each(CODEC_NAMES)(
    "[X17] a fragment in %s moves only itself; its slot keeps its base elsewhere",
    async (codec) => {
      const [slot] = openBoth();
      // The center is no longer what the slot holds.
      await center.push(center.openSlot(), payloadOf(vector(ELEMENTS, 2)), elasticJob(0.5));
      let held = heldBy(slot);
      for (let index = 0; index < 4; index++) {
        const before = center.snapshot().parameters;
        const fragment = fragmentOf(ELEMENTS, 3, index % 3);
        const part = vector(fragment.toElement - fragment.fromElement, 20 + index);
        const bytes = encode(codec, part);
        const pushed = new Float32Array(ELEMENTS);
        pushed.set(decode(codec, bytes, part.length), fragment.fromElement);
        const result = await center.push(slot, bytes, { ...elasticJob(0.3), codec, fragment });
        expect(result).toMatchObject({ verdict: "applied" });
        const expected = patched(before, moved(before, decoded(held, pushed), 0.3), [fragment]);
        expect(bitsOf(center.snapshot().parameters).equals(bitsOf(expected))).toBe(true);
        held = patched(held, before, [fragment]);
        expect(bitsOf(heldBy(slot)).equals(bitsOf(held))).toBe(true);
      }
    },
  );

  test.each(CODEC_NAMES)(
    "[T6] [E9] of a push in %s what came moves, by whatever rule, and nothing else",
    async (codec) => {
      const velocity = vector(ELEMENTS, 3);
      const ranges = [
        { fromElement: 768, toElement: 1001 },
        { fromElement: 128, toElement: 384 },
        { fromElement: 256, toElement: 512 },
        { fromElement: 0, toElement: 0 },
      ];
      for (const [turn, job] of JOBS.entries()) {
        await restart(initial, velocity);
        const [slot, other] = openBoth();
        const baseVersion = center.version;
        const bytes = encode(codec, vector(ELEMENTS, 30 + turn));
        await twin.push(other, bytes, { ...job, baseVersion, codec });
        // What did not come holds whatever was there.
        const arrived = bytes.map((byte, at) => (isWithin(codec, at, ranges) ? byte : 0xff));
        const result = await center.push(slot, arrived, { ...job, baseVersion, codec, ranges });
        expect(result).toMatchObject({ verdict: "applied" });
        const [after, afterTwin] = [center.snapshot(), twin.snapshot()];
        expect(bitsOf(after.parameters).equals(bitsOf(patched(initial, afterTwin.parameters, ranges)))).toBe(true);
        expect(bitsOf(heldBy(slot)).equals(bitsOf(patched(initial, heldBy(other), ranges)))).toBe(true);
        // A step without momentum forgets all velocity.
        const rest = job.move.kind === "gradient" && job.move.momentum === 0 ? new Float32Array(ELEMENTS) : velocity;
        expect(bitsOf(after.velocity).equals(bitsOf(patched(rest, afterTwin.velocity, ranges)))).toBe(true);
      }
    },
  );

  test.each(CODEC_NAMES)("[L3] [C5] an unsound push in %s is refused before any element moves", async (codec) => {
    const [[slot], sum, before] = [openBoth(), center.openSum(), center.version];
    onTestFinished(() => sum.close());
    for (const [turn, place] of [0, 640, 1000, 0, 640].entries()) {
      const { bytes, verdict } = unsound(codec, place, UNSOUND[turn]!);
      for (const job of [elasticJob(0.5), UPDATE]) {
        expect(await center.push(slot, bytes, { ...job, codec })).toEqual({ verdict });
      }
      const contribution = { content: "parameters", weight: 1, codec } as const;
      expect(await center.contribute(sum, slot, bytes, contribution)).toEqual({ verdict });
      const ranges = [{ fromElement: 128, toElement: 256 }, blockAround(place)];
      expect(await center.push(slot, bytes, { ...UPDATE, codec, ranges })).toEqual({ verdict });
    }
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(initial))).toBe(true);
    expect(bitsOf(heldBy(slot)).equals(bitsOf(initial))).toBe(true);
    expect(center.version).toBe(before);
    const sound = encode(codec, vector(ELEMENTS, 6));
    expect(await center.push(slot, sound, { ...elasticJob(0.5), codec })).toMatchObject({ verdict: "applied" });
  });

  test("contributions in several codecs add up to what they say", async () => {
    const sums = [center.openSum(), twin.openSum()] as const;
    const [slot, other] = openBoth();
    for (const [index, codec] of CODEC_NAMES.entries()) {
      const bytes = encode(codec, vector(ELEMENTS, 40 + index));
      const contribution = { content: "parameters", weight: 1 + index } as const;
      await center.contribute(sums[0], slot, bytes, { ...contribution, codec });
      await twin.contribute(sums[1], other, payloadOf(decode(codec, bytes, ELEMENTS)), contribution);
    }
    const move = { kind: "elastic-mean", movingRate: 0.3 } as const;
    const job = { content: "parameters", baseVersion: 0, move, policy: none, weight: 28, count: 7 } as const;
    await center.applySum(sums[0], [slot], job);
    await twin.applySum(sums[1], [other], job);
    sums.forEach((sum) => sum.close());
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(initial))).toBe(false);
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(twin.snapshot().parameters))).toBe(true);
    expect(bitsOf(heldBy(slot)).equals(bitsOf(heldBy(other)))).toBe(true);
  });
});

/** Whether the byte belongs to a block of one of the ranges. */
function isWithin(codec: CodecName, byte: number, ranges: readonly Fragment[]): boolean {
  const block = Math.floor(byte / encodedBytes(codec, BLOCK_ELEMENTS)) * BLOCK_ELEMENTS;
  return ranges.some(({ fromElement, toElement }) => block >= fromElement && block < toElement);
}

test("the rates of LARS come from what came of a tensor", async () => {
  const [elements, ranges] = [512, [{ fromElement: 128, toElement: 384 }]];
  const tensor = { name: "dense.weights", offset: 0, elements, shape: [16, 32], initial: { center: 0, bound: 1 } };
  const options = { initial: vector(elements, 1), layout: { ...shapeOf(elements), tensors: [tensor] } };
  const [center, twin] = [await openCenter(options), await openCenter(options)];
  const pushed = vector(elements, 2);
  const move = { ...gradient, isLayerwise: true, weightDecay: 0.01 } as const;
  const job = { content: "gradient", baseVersion: 0, move, policy: none } as const;
  const [slot, other]: CenterSlot[] = [center.openSlot(), twin.openSlot()];
  // An area that is taken again holds what its last user left.
  await center.push(center.openSlot(), payloadOf(vector(elements, 3)), {
    ...job,
    move: { ...gradient, learningRate: 0 },
  });
  await center.push(slot!, payloadOf(pushed), { ...job, ranges });
  const zeroElsewhere = pushed.map((value, k) => value - without(pushed, ranges)[k]!);
  await twin.push(other!, payloadOf(zeroElsewhere), job);
  const after = partOf(center.snapshot().parameters, ranges[0]!);
  expect(bitsOf(after).equals(bitsOf(partOf(twin.snapshot().parameters, ranges[0]!)))).toBe(true);
  expect(bitsOf(after).equals(bitsOf(partOf(options.initial, ranges[0]!)))).toBe(false);
});

test("our own mistakes with codecs and ranges are called so", async () => {
  const center = await openCenter({ initial: vector(1001, 1) });
  const slot = center.openSlot();
  const mistake = "invariant violation";
  const push = (payload: Uint8Array, changes: Partial<PushJob>): Promise<unknown> =>
    center.push(slot, payload, { ...elasticJob(0.5), ...changes });
  const bytes = encode("int8", vector(1001, 2));
  await expect(push(bytes, {})).rejects.toThrow(mistake);
  await expect(push(bytes.subarray(4), { codec: "int8" })).rejects.toThrow(mistake);
  await expect(push(bytes, { codec: "int4" })).rejects.toThrow(mistake);
  for (const [fromElement, toElement] of [
    [0, 1002],
    [0, 100],
    [64, 128],
    [256, 128],
    [-128, 128],
    [0.5, 128],
  ] as const) {
    const range = { fromElement, toElement };
    await expect(push(bytes, { codec: "int8", ranges: [range] })).rejects.toThrow(mistake);
    await expect(push(bytes, { codec: "int8", fragment: range })).rejects.toThrow(mistake);
  }
  const fragment = { fromElement: 128, toElement: 256 };
  const part = encode("int8", vector(128, 3));
  const outside = [{ fromElement: 0, toElement: 256 }];
  await expect(push(part, { codec: "int8", fragment, ranges: outside })).rejects.toThrow(mistake);
  await expect(push(part, { codec: "int8", fragment })).resolves.toMatchObject({ verdict: "applied" });
});
