/**
 * The center as a stream of published versions: what replicas have who take the changes, that nothing accumulates, who may hold what
 * for how long, and pushes from a version that many hold.
 */

import { describe, expect, test } from "vitest";
import type { Center, PublishedVersion, PushJob } from "../../coordinator/center/center.ts";
import { Random } from "../../shared/random.ts";
import {
  BLOCK_ELEMENTS,
  CODEC_NAMES,
  encodedBytes,
  fragmentOf,
  wholeOf,
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
  moved,
  openCenter,
  openCore,
  payloadOf,
  vector,
} from "../support/center_cases.ts";

const ENCODED = CODEC_NAMES.filter((codec) => codec !== "f32");
const none = { kind: "none" } as const;
const UPDATE: PushJob = { content: "update", baseVersion: 0, move: { kind: "update", rate: 1 }, policy: none };

const PLAIN_GRADIENT = {
  kind: "gradient",
  learningRate: 0.5,
  momentum: 0,
  weightDecay: 0,
  delayCompensation: 0,
  isLayerwise: false,
} as const;

function valuesOf(version: PublishedVersion): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint8Array.from(version.values()).buffer);
}

/** A receiver: what it holds after the changes. */
function followed(held: Float32Array, codec: CodecName, deltas: readonly Uint8Array[]): Float32Array<ArrayBuffer> {
  return deltas.reduce((reached, delta) => decoded(reached, decode(codec, delta, held.length)), new Float32Array(held));
}

function scaled(values: Float32Array, factor: number): Float32Array<ArrayBuffer> {
  return new Float32Array(values).map((value) => value * factor);
}

/** Moves the center by something small. */
async function wander(center: Center, seed: number, size = 0.01): Promise<void> {
  const slot = center.openSlot();
  await center.push(slot, payloadOf(scaled(vector(center.elements, seed), size)), UPDATE);
  slot.close();
}

async function newer(center: Center, seed: number): Promise<PublishedVersion> {
  await wander(center, seed);
  return center.versions.publish();
}

function greatest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function apart(one: Float32Array, other: Float32Array): number {
  return greatest(one.map((value, k) => value - other[k]!));
}

/**
 * How far a version may be from a center that wanders by up to 0.01 a publication: half a code of the greatest change, or, where a
 * codec sends a few elements or one magnitude for all, as far as an element gets before its turn comes.
 */
const FARTHEST: Readonly<Record<Exclude<CodecName, "f32">, number>> = {
  f16: 0.0101 * 2 ** -11,
  bf16: 0.0102 * 2 ** -8,
  int8: 0.0101 / 127,
  int4: 0.011 / 7,
  "top-k": 0.01 * (BLOCK_ELEMENTS / 4),
  sign: 0.01 * 8,
};

describe.each(ENCODED)("a stream in %s", (codec) => {
  test("[X18] [C4] after 500 publications of a center that wanders nothing has accumulated, and a receiver has every version", async () => {
    const elements = 333;
    const { core, memory, areaOf, values } = await openCore({ initial: vector(elements, 1) });
    const center = memory.values(memory.layout.center);
    let [previous, next] = [areaOf(center), memory.takeArea()];
    const words = memory.takeArea();
    const receiver = values(previous);
    let farthest = 0;
    for (let turn = 0; turn < 500; turn++) {
      const step = vector(elements, 1000 + turn);
      center.forEach((value, k) => (center[k] = value + 0.01 * step[k]!));
      expect(core.encodeVersion(codec, previous, next, words)).toBe(true);
      const bytes = memory.room(words, encodedBytes(codec, elements)).slice();
      const goal = center.map((value, k) => value - receiver[k]!);
      expect(Buffer.from(bytes).equals(encode(codec, new Float32Array(goal)))).toBe(true);
      decode(codec, bytes, elements).forEach((value, k) => (receiver[k]! += value));
      expect(bitsOf(values(next)).equals(bitsOf(receiver))).toBe(true);
      farthest = Math.max(farthest, apart(values(next), new Float32Array(center)));
      [previous, next] = [next, previous];
    }
    expect(farthest).toBeGreaterThan(0);
    expect(farthest).toBeLessThan(FARTHEST[codec]);
    // A center that rests is reached.
    for (let turn = 0; turn < 400; turn++) {
      core.encodeVersion(codec, previous, next, words);
      [previous, next] = [next, previous];
    }
    expect(apart(values(previous), new Float32Array(center))).toBeLessThan(farthest / 4);
  });
});

describe.each(APPLIERS)("%s", (applier) => {
  test.each(CODEC_NAMES)("[X18] whoever takes the changes in %s has the version, bit for bit", async (codec) => {
    const elements = 700;
    const initial = vector(elements, 1);
    const center = await openCenter({ initial, applier, threads: 2, version: 7, stream: { codec, keep: 4 } });
    const { versions } = center;
    expect(versions.newest).toBeUndefined();
    const first = await versions.publish();
    expect(first.version).toBe(7);
    expect(bitsOf(valuesOf(first)).equals(bitsOf(initial))).toBe(true);
    expect(await versions.publish()).toBe(first);
    expect(versions.deltas(7, 7, wholeOf(elements))).toEqual([]);
    for (let turn = 0; turn < 3; turn++) await newer(center, turn);
    const newest = versions.newest!;
    expect(newest.version).toBe(10);
    expect(versions.at(8)!.version).toBe(8);
    const deltas = versions.deltas(7, 10, wholeOf(elements));
    if (codec === "f32") {
      expect(deltas).toBeUndefined();
      expect(bitsOf(valuesOf(newest)).equals(bitsOf(center.snapshot().parameters))).toBe(true);
      return;
    }
    expect(deltas!.map(({ length }) => length)).toEqual([1, 2, 3].map(() => encodedBytes(codec, elements)));
    expect(bitsOf(followed(initial, codec, deltas!)).equals(bitsOf(valuesOf(newest)))).toBe(true);
    // In fragments, and from between.
    const held = valuesOf(versions.at(8)!);
    for (const index of [0, 1, 2]) {
      const fragment = fragmentOf(elements, 3, index);
      const part = held.slice(fragment.fromElement, fragment.toElement);
      const reached = followed(part, codec, versions.deltas(8, 10, fragment)!);
      expect(Buffer.from(newest.values(fragment)).equals(bitsOf(reached))).toBe(true);
    }
    expect(versions.deltas(10, 7, wholeOf(elements))).toBeUndefined();
    expect(versions.deltas(6, 10, wholeOf(elements))).toBeUndefined();
  });

  test("[X18] publications while others push share one, and the stream goes on from what was published", async () => {
    const elements = 50_000;
    const initial = vector(elements, 1);
    const center = await openCenter({ initial, applier, threads: 2, stream: { codec: "int8", keep: 60 } });
    const { versions } = center;
    const first = await versions.publish();
    const slots = Array.from({ length: 4 }, () => center.openSlot());
    for (let turn = 0; turn < 12; turn++) {
      const payload = payloadOf(scaled(vector(elements, turn), 0.01));
      const pushed = slots.map((slot) => center.push(slot, payload, UPDATE));
      const published = await Promise.all([versions.publish(), versions.publish(), versions.publish()]);
      expect(new Set(published).size).toBeLessThan(3);
      await Promise.all(pushed);
      await versions.publish();
    }
    const newest = versions.newest!;
    expect(newest.version).toBe(48);
    const deltas = versions.deltas(first.version, newest.version, wholeOf(elements))!;
    expect(deltas.length).toBeGreaterThanOrEqual(12);
    expect(bitsOf(followed(initial, "int8", deltas)).equals(bitsOf(valuesOf(newest)))).toBe(true);
    expect(apart(valuesOf(newest), center.snapshot().parameters)).toBeLessThan(0.001);
  });

  test("[X18] whoever has to be told of a move is given a version with it, though another is being published", async () => {
    const center = await openCenter({ initial: vector(50_000, 1), applier, stream: { codec: "f16", keep: 9 } });
    const { versions } = center;
    await versions.publish();
    for (let turn = 0; turn < 5; turn++) {
      const slot = center.openSlot();
      await wander(center, turn);
      // One thread: the publication comes before this push, and both are told of it at almost the same time.
      const before = versions.publish();
      const pushed = await center.push(slot, payloadOf(new Float32Array(50_000).fill(0.01)), UPDATE);
      const version = pushed.verdict === "applied" ? pushed.version : Number.NaN;
      const [earlier, told] = await Promise.all([before, versions.publish(version)]);
      expect(told.version).toBe(version);
      expect(earlier.version).toBeLessThan(version);
      expect(apart(valuesOf(told), center.snapshot().parameters)).toBeLessThan(0.001);
      slot.close();
    }
    await expect(versions.publish(center.version + 1)).rejects.toThrow("invariant violation");
  });

  test("[X18] pushes at once from one version start from it, and write no answer into it", async () => {
    const elements = 1001;
    const initial = vector(elements, 1);
    const center = await openCenter({ initial, applier, threads: 2, stream: { codec: "int8", keep: 4 } });
    const version = await center.versions.publish();
    const payloads = [2, 3, 4, 5, 6, 7].map((seed) => encode("int8", vector(elements, seed)));
    const slots = payloads.map(() => version.open());
    // From one slot, too.
    const pushes = payloads.map((payload, index) => {
      return center.push(slots[index % 2]!, payload, { ...elasticJob(0.1), codec: "int8" });
    });
    const results = await Promise.all(pushes);
    expect(results.map(({ verdict }) => verdict)).toEqual(payloads.map(() => "applied"));
    expect(bitsOf(valuesOf(version)).equals(bitsOf(initial))).toBe(true);
    expect(bitsOf(heldBy(slots[5]!)).equals(bitsOf(initial))).toBe(true);
    if (applier === "locked") {
      const order = results.map((result, index) => ({ index, version: "version" in result ? result.version : 0 }));
      const replayed = order
        .toSorted((one, other) => one.version - other.version)
        .reduce(
          (at, { index }) => moved(at, decoded(initial, decode("int8", payloads[index]!, elements)), 0.1),
          initial,
        );
      expect(bitsOf(center.snapshot().parameters).equals(bitsOf(replayed))).toBe(true);
    }
    const fragment = fragmentOf(elements, 4, 1);
    const before = center.snapshot().parameters;
    const part = vector(fragment.toElement - fragment.fromElement, 8);
    await center.push(slots[0]!, payloadOf(part), { ...elasticJob(0.5), fragment });
    const pushed = new Float32Array(elements);
    pushed.set(part, fragment.fromElement);
    const expected = before.slice();
    const target = moved(before, decoded(initial, pushed), 0.5);
    expected.set(target.subarray(fragment.fromElement, fragment.toElement), fragment.fromElement);
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(expected))).toBe(true);
    expect(bitsOf(valuesOf(version)).equals(bitsOf(initial))).toBe(true);
  });

  test.each(["alone", "in a group"])(
    "a gradient %s is compensated from the version that it was taken at",
    async (how) => {
      const elements = 300;
      const initial = vector(elements, 1);
      const options = { initial, applier, stream: { codec: "sign", keep: 2 } } as const;
      const [center, twin] = [await openCenter(options), await openCenter(options)];
      const [slot, own] = [(await center.versions.publish()).open(), twin.openSlot()];
      const move = { ...PLAIN_GRADIENT, delayCompensation: 3 };
      const job: PushJob = { content: "gradient", baseVersion: 0, move, policy: none };
      const gradient = payloadOf(vector(elements, 3));
      for (const [each, base] of [
        [center, slot],
        [twin, own],
      ] as const) {
        await wander(each, 2, 1);
        if (how === "alone") {
          await each.push(base, gradient, job);
        } else {
          const sum = each.openSum();
          await each.contribute(sum, base, gradient, { content: "gradient", weight: 2 });
          await each.applySum(sum, [base], { ...job, weight: 2, count: 1 });
        }
      }
      const { parameters } = center.snapshot();
      expect(bitsOf(parameters).equals(bitsOf(twin.snapshot().parameters))).toBe(true);
      // The one was answered in its place, the other is as it was.
      expect(bitsOf(heldBy(own)).equals(bitsOf(parameters))).toBe(true);
      expect(bitsOf(heldBy(slot)).equals(bitsOf(initial))).toBe(true);
    },
  );

  test("[X18] the first version after the center was restored is a copy, whenever it was asked for", async () => {
    const elements = 20_000;
    const initial = vector(elements, 1);
    const center = await openCenter({ initial, applier, threads: 2, stream: { codec: "int4", keep: 8 } });
    const { versions } = center;
    const before = await versions.publish();
    await newer(center, 2);
    const state = vector(elements, 3);
    await wander(center, 4);
    // Asked for before, while and after the center is restored.
    const [first, , second] = await Promise.all([
      versions.publish(),
      center.restore({ parameters: state }),
      versions.publish(),
    ]);
    const copy = await versions.publish();
    expect(copy.version).toBe(center.version);
    expect(bitsOf(valuesOf(copy)).equals(bitsOf(state))).toBe(true);
    for (const { version } of [before, first, second]) {
      if (version !== copy.version) expect(versions.deltas(version, copy.version, wholeOf(elements))).toBeUndefined();
    }
    const next = await newer(center, 5);
    const [delta] = versions.deltas(copy.version, next.version, wholeOf(elements))!;
    expect(bitsOf(followed(state, "int4", [delta!])).equals(bitsOf(valuesOf(next)))).toBe(true);
  });
});

test("memory is bounded by the versions kept, while 1,000 replicas open and close them", async () => {
  const elements = 20_000;
  const center = await openCenter({ initial: vector(elements, 1), threads: 2, stream: { codec: "int8", keep: 5 } });
  const { versions } = center;
  const job = { ...elasticJob(0.1), codec: "int8" } as const;
  const payload = encode("int8", scaled(vector(elements, 2), 0.01));
  const held = [];
  let bytesBefore = 0;
  let unknown = 0;
  for (let turn = 0; turn < 1000; turn++) {
    const version = await versions.publish();
    held.push(version.open());
    // Whoever has been there longest comes back, or never does.
    if (turn % 7 > 0 && held.length > 20) held.shift()!.close();
    const slot = held[turn % held.length]!;
    const { verdict } = await center.push(slot, payload, job);
    if (verdict === "unknown-base") {
      unknown++;
      await wander(center, turn);
    }
    if (turn === 20) bytesBefore = center.memoryBytes;
  }
  expect(unknown).toBeGreaterThan(0);
  expect(held.length).toBeGreaterThan(100);
  expect(center.memoryBytes).toBe(bytesBefore);
  // Center, velocity and accumulator; the versions; what is on its way and what is being encoded.
  expect(center.memoryBytes).toBeLessThan((3 + 5 + 4) * (4 * elements + 4096) + 2 * 65_536);
});

test("versions that somebody has open are kept before others, and the newest always", async () => {
  const center = await openCenter({ initial: vector(500, 1), stream: { codec: "int8", keep: 3 } });
  const { versions } = center;
  const published = [await versions.publish()];
  const slot = published[0]!.open();
  for (let turn = 1; turn < 6; turn++) published.push(await newer(center, turn));
  expect(published.map(({ isKept }) => isKept)).toEqual([true, false, false, false, true, true]);
  // Changes of as many publications lead on from versions that are gone.
  expect(versions.deltas(2, 5, wholeOf(500))).toHaveLength(3);
  expect(versions.deltas(1, 5, wholeOf(500))).toBeUndefined();
  const later = [published[4]!.open(), published[5]!.open()];
  published.push(await newer(center, 7));
  // All were held: the oldest went, and its push is told so.
  expect(published.map(({ isKept }) => isKept)).toEqual([false, false, false, false, true, true, true]);
  const before = center.snapshot();
  expect(await center.push(slot, payloadOf(vector(500, 9)), elasticJob(0.5))).toEqual({ verdict: "unknown-base" });
  const sum = center.openSum();
  const contribution = { content: "parameters", weight: 1 } as const;
  const payload = payloadOf(vector(500, 9));
  expect(await center.contribute(sum, slot, payload, contribution)).toEqual({ verdict: "unknown-base" });
  expect(center.snapshot()).toEqual(before);
  expect(() => slot.bytes()).toThrow("invariant violation");
  expect(() => published[0]!.values()).toThrow("invariant violation");
  expect(() => published[0]!.open()).toThrow("invariant violation");
  slot.close();
  later.forEach((each) => each.close());
});

test("a version whose pushes are on their way keeps its memory until they have ended", async () => {
  const elements = 100_000;
  const initial = vector(elements, 1);
  const center = await openCenter({ initial, applier: "locked", stream: { codec: "f16", keep: 1 } });
  const version = await center.versions.publish();
  const slot = version.open();
  await wander(center, 3);
  let expected = center.snapshot().parameters;
  // One thread: the publication, which drops the version, is done before the pushes.
  const published = center.versions.publish();
  const payloads = Array.from({ length: 20 }, (_, index) => vector(elements, 10 + index));
  const pushes = payloads.map((payload) => center.push(slot, payloadOf(payload), elasticJob(0.1)));
  expect((await published).version).toBe(1);
  expect(version.isKept).toBe(false);
  // Whoever comes now gets other memory.
  const newcomers = [center.openSlot(), center.openSlot(), center.openSlot()];
  const results = await Promise.all(pushes);
  expect(results.every(({ verdict }) => verdict === "applied")).toBe(true);
  for (const payload of payloads) expected = moved(expected, decoded(initial, payload), 0.1);
  expect(bitsOf(center.snapshot().parameters).equals(bitsOf(expected))).toBe(true);
  expect(await center.push(slot, payloadOf(payloads[0]!), elasticJob(0.5))).toEqual({ verdict: "unknown-base" });
  newcomers.forEach((newcomer) => newcomer.close());
});

test("a version that could not be encoded finitely is a copy", async () => {
  const elements = 200;
  const center = await openCenter({ initial: new Float32Array(elements), stream: { codec: "f16", keep: 9 } });
  const { versions } = center;
  await versions.publish();
  const slot = center.openSlot();
  // Beyond the greatest half, in steps that are allowed each.
  const far = payloadOf(new Float32Array(elements).fill(9000));
  for (let turn = 0; turn < 8; turn++) await center.push(slot, far, UPDATE);
  const copy = await versions.publish();
  expect(valuesOf(copy)).toEqual(new Float32Array(elements).fill(72_000));
  expect(versions.deltas(0, copy.version, wholeOf(elements))).toBeUndefined();
  const next = await newer(center, 3);
  expect(versions.deltas(copy.version, next.version, wholeOf(elements))).toHaveLength(1);
});

test("without a stream versions are copies", async () => {
  const center = await openCenter({ initial: vector(300, 1) });
  const [first, second] = [await center.versions.publish(), await newer(center, 2)];
  expect(bitsOf(valuesOf(second)).equals(bitsOf(center.snapshot().parameters))).toBe(true);
  expect(center.versions.deltas(first.version, second.version, wholeOf(300))).toBeUndefined();
  expect(first.isKept).toBe(true);
});

test("our own mistakes with versions are called so", async () => {
  const mistake = "invariant violation";
  await expect(openCenter({ initial: vector(16, 1), stream: { codec: "int8", keep: 0 } })).rejects.toThrow(mistake);
  const center = await openCenter({ initial: vector(16, 1), stream: { codec: "int8", keep: 1 } });
  const slot = (await center.versions.publish()).open();
  await expect(center.refresh(slot)).rejects.toThrow(mistake);
  slot.close();
  slot.close();
  await expect(center.push(slot, payloadOf(vector(16, 2)), elasticJob(0.5))).rejects.toThrow(mistake);
});

test.each(APPLIERS)(
  "replicas of all codecs push, publish, leave and are refused at once, %s, and no memory is lost",
  async (applier) => {
    const [elements, replicas] = [3001, 6];
    const stream = { codec: "int4", keep: 3 } as const;
    const center = await openCenter({
      initial: vector(elements, 1),
      trainableElements: 2944,
      applier,
      threads: 2,
      stream,
    });
    const { versions } = center;
    const verdicts = new Map<string, number>();
    await versions.publish();

    async function live(seed: number, exchanges: number): Promise<void> {
      const random = new Random(seed);
      const [own, sum] = [center.openSlot(), center.openSum()];
      let shared = versions.newest!.open();
      for (let exchange = 0; exchange < exchanges; exchange++) {
        const slot = random.uniform() < 0.5 ? own : shared;
        const codec = CODEC_NAMES[Math.floor(random.uniform() * CODEC_NAMES.length)]!;
        const fragment = random.uniform() < 0.5 ? wholeOf(elements) : fragmentOf(elements, 4, exchange % 4);
        const values = scaled(vector(fragment.toElement - fragment.fromElement, seed + exchange), 0.01);
        if (random.uniform() < 0.1) values.fill(Number.NaN, values.length - 1);
        const ranges = random.uniform() < 0.3 ? [1, 2].map((index) => within(fragment, index)) : undefined;
        const job = {
          ...(random.uniform() < 0.5 ? UPDATE : elasticJob(0.2)),
          codec,
          fragment,
          ...(ranges ? { ranges } : {}),
        };
        const { verdict } = await center.push(slot, encode(codec, values), job);
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
        if (random.uniform() < 0.3) await versions.publish();
        if (random.uniform() < 0.1) await center.refresh(own);
        if (random.uniform() < 0.02) await center.restore({ parameters: vector(elements, seed) });
        if (random.uniform() < 0.1) {
          const whole = encode(codec, scaled(vector(elements, exchange), 0.01));
          await center.contribute(sum, slot, whole, { content: "update", weight: 1, codec });
          await center.applySum(sum, [own], { ...UPDATE, weight: 1, count: 1 });
        }
        if (random.uniform() < 0.3) {
          shared.close();
          shared = versions.newest!.open();
        }
      }
      for (const each of [own, sum, shared]) each.close();
    }

    const together = (exchanges: number): Promise<unknown> =>
      Promise.all(Array.from({ length: replicas }, (_, index) => live(100 * index, exchanges)));
    // What all need at once: a slot, a sum and a vector on its way each, and those of a publication.
    const taken = Array.from({ length: 3 * replicas + 5 }, () => center.openSlot());
    taken.forEach((slot) => slot.close());
    const bytesBefore = center.memoryBytes;
    for (let round = 0; round < 4; round++) await together(40);
    expect(center.memoryBytes).toBe(bytesBefore);
    expect([...verdicts.keys()].toSorted()).toEqual(["applied", "not-finite", "unknown-base"]);
    expect(center.snapshot().parameters.every(Number.isFinite)).toBe(true);
    // The stream is whole after all that.
    const from = await newer(center, 7);
    const held = valuesOf(from);
    const to = await newer(center, 8);
    const deltas = versions.deltas(from.version, to.version, wholeOf(elements))!;
    expect(bitsOf(followed(held, "int4", deltas)).equals(bitsOf(valuesOf(to)))).toBe(true);
  },
);

/** A quarter of a fragment. */
function within({ fromElement, toElement }: Fragment, index: number): Fragment {
  const part = fragmentOf(toElement - fromElement, 4, index);
  return { fromElement: fromElement + part.fromElement, toElement: fromElement + part.toElement };
}
