/**
 * The center under one push at a time: what an apply gives, what the answer is, what is refused and leaves the center bit
 * for bit as it was, and what a slot may do.
 */

import { describe, expect, test } from "vitest";
import { Center } from "../../coordinator/center/center.ts";
import { CenterMemory } from "../../coordinator/center/center_memory.ts";
import { compileKernels } from "../../coordinator/center/kernels.ts";
import {
  APPLIERS,
  bitsOf,
  decoded,
  differenceJob,
  elasticJob,
  heldBy,
  MAX_MAGNITUDE,
  moved,
  openCenter,
  payloadOf,
  shapeOf,
  vector,
} from "../support/center_cases.ts";

const elastic = elasticJob(0.3);

/** Every way to be unsound. */
const UNSOUND = [
  [Number.NaN, "not-finite"],
  [Infinity, "not-finite"],
  [-Infinity, "not-finite"],
  [MAX_MAGNITUDE * 1.001, "out-of-bounds"],
  [-MAX_MAGNITUDE * 1.001, "out-of-bounds"],
] as const;

describe.each(APPLIERS)("%s", (applier) => {
  test.each([1, 15, 16, 17, 1000, 431_080])("[X5] one apply of %i elements is c + rate * (x - c)", async (elements) => {
    const initial = vector(elements, 1);
    const center = await openCenter({ initial, applier, threads: 2 });
    const slot = center.openSlot();
    const payload = vector(elements, 2);
    const result = await center.push(slot, payloadOf(payload), elastic);
    expect(result).toEqual({
      verdict: "applied",
      staleness: 0,
      pull: 0.3,
      centerVersion: 0,
      version: 1,
      overlapped: false,
    });
    const first = moved(initial, decoded(initial, payload), 0.3);
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(first))).toBe(true);

    // While the first thread refreshes another slot, the second one applies, from its own first element.
    const [, second] = await Promise.all([
      center.refresh(center.openSlot()),
      center.push(slot, payloadOf(payload), elastic),
    ]);
    expect(second).toMatchObject({ verdict: "applied", version: 2 });
    const expected = moved(first, decoded(initial, payload), 0.3);
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(expected))).toBe(true);
    expect(bitsOf(heldBy(slot)).equals(bitsOf(first))).toBe(true);
  });

  test("[X6] the answer is the center that was used, and the base of the next push", async () => {
    const initial = vector(1000, 3);
    const center = await openCenter({ initial, applier });
    const [near, far] = [center.openSlot(), center.openSlot()];
    expect(heldBy(far)).toEqual(initial);
    await center.push(near, payloadOf(vector(1000, 4)), elastic);
    const used = center.snapshot().parameters;
    const payload = vector(1000, 5);
    await center.push(far, payloadOf(payload), elastic);
    expect(bitsOf(heldBy(far)).equals(bitsOf(used))).toBe(true);

    const before = center.snapshot().parameters;
    await center.push(far, payloadOf(payload), elastic);
    const expected = moved(before, decoded(used, payload), 0.3);
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(expected))).toBe(true);
  });

  test("[X7] the version counts completed applies, from where the center was restored", async () => {
    const center = await openCenter({ initial: vector(20, 6), applier, version: 41 });
    const slot = center.openSlot();
    for (const version of [42, 43, 44]) {
      expect(await center.push(slot, payloadOf(vector(20, version)), elastic)).toMatchObject({ version });
    }
    expect(await center.refresh(slot)).toEqual({ version: 44 });
    expect(center.snapshot().version).toBe(44);
    expect(center.statistics()).toEqual({ applies: 3, overlappedApplies: 0 });
  });

  test("[X10] a difference is added as it is", async () => {
    const initial = vector(17, 7);
    const center = await openCenter({ initial, applier });
    const slot = center.openSlot();
    const difference = vector(17, 8);
    await center.push(slot, payloadOf(difference), differenceJob());
    expect(center.snapshot().parameters).toEqual(decoded(initial, difference));
    expect(heldBy(slot)).toEqual(initial);
  });

  test("[S1] staleness is the versions completed since the base", async () => {
    const center = await openCenter({ initial: vector(20, 9), applier, version: 5 });
    const slot = center.openSlot();
    const payload = payloadOf(vector(20, 10));
    expect(await center.push(slot, payload, { ...elastic, baseVersion: 2 })).toMatchObject({ staleness: 3 });
    expect(await center.push(slot, payload, { ...elastic, baseVersion: 6 })).toMatchObject({ staleness: 0 });
    expect(await center.push(slot, payload, { ...elastic, baseVersion: 99 })).toMatchObject({ staleness: 0 });
  });

  test("[S2] scale divides the moving rate by 1 + s/s0", async () => {
    const initial = vector(20, 11);
    const center = await openCenter({ initial, applier, version: 6 });
    const payload = vector(20, 12);
    const job = elasticJob(0.3, { policy: { kind: "scale", halfRateStaleness: 2 } });
    const result = await center.push(center.openSlot(), payloadOf(payload), job);
    expect(result).toMatchObject({ staleness: 6, pull: 0.3 / 4 });
    expect(center.snapshot().parameters).toEqual(moved(initial, decoded(initial, payload), 0.3 / 4));
  });

  test.each(["elastic", "difference"] as const)("[S3] bound refuses a stale %s, nothing moves", async (kind) => {
    const initial = vector(1000, 13);
    const center = await openCenter({ initial, applier, version: 6 });
    const slot = center.openSlot();
    const bound = { policy: { kind: "bound", limit: 5 } } as const;
    const job = kind === "elastic" ? elasticJob(0.3, bound) : differenceJob(bound);
    const payload = payloadOf(vector(1000, 14));
    expect(await center.push(slot, payload, job)).toEqual({ verdict: "too-stale", staleness: 6 });
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(initial))).toBe(true);
    expect(bitsOf(heldBy(slot)).equals(bitsOf(initial))).toBe(true);
    expect(center.version).toBe(6);
    expect(await center.push(slot, payload, { ...job, baseVersion: 1 })).toMatchObject({ verdict: "applied" });
  });

  test("[L3] NaN, an infinity or an excess anywhere refuses the push, nothing moves", async () => {
    const initial = vector(131, 15);
    const center = await openCenter({ initial, applier });
    const slot = center.openSlot();
    for (const [value, verdict] of UNSOUND) {
      for (let k = 0; k < initial.length; k++) {
        const payload = payloadOf(new Float32Array(131).with(k, value));
        expect(await center.push(slot, payload, elastic)).toEqual({ verdict });
        expect(await center.push(slot, payload, differenceJob())).toEqual({ verdict });
      }
    }
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(initial))).toBe(true);
    expect(bitsOf(heldBy(slot)).equals(bitsOf(initial))).toBe(true);
    expect(center.version).toBe(0);
    const sound = vector(131, 16);
    expect(await center.push(slot, payloadOf(sound), elastic)).toMatchObject({ verdict: "applied" });
    expect(center.snapshot().parameters).toEqual(moved(initial, decoded(initial, sound), 0.3));
  });

  test("[L3] what counts is the reconstructed parameter: the bound itself passes, a sum beyond it does not", async () => {
    const initial = Float32Array.of(1, 1, 1);
    const center = await openCenter({ initial, applier });
    const slot = center.openSlot();
    const atBound = payloadOf(Float32Array.of(0, MAX_MAGNITUDE - 1, -MAX_MAGNITUDE - 1));
    expect(await center.push(slot, atBound, elasticJob(0))).toMatchObject({ verdict: "applied" });
    const beyond = payloadOf(Float32Array.of(0, MAX_MAGNITUDE, 0));
    expect(await center.push(slot, beyond, elastic)).toEqual({ verdict: "out-of-bounds" });
    const overflow = await openCenter({ initial: Float32Array.of(1e38), applier, maxMagnitude: 1e38 });
    const most = payloadOf(Float32Array.of(3.4e38));
    expect(await overflow.push(overflow.openSlot(), most, elastic)).toEqual({ verdict: "not-finite" });
  });

  test("a payload at any alignment is the same payload", async () => {
    const initial = vector(100, 17);
    const center = await openCenter({ initial, applier });
    const slots = [0, 1, 2, 3].map(() => center.openSlot());
    const payload = vector(100, 18);
    let expected = initial;
    for (const [offsetBytes, slot] of slots.entries()) {
      await center.push(slot, payloadOf(payload, offsetBytes), elastic);
      expected = moved(expected, decoded(initial, payload), 0.3);
      expect(bitsOf(center.snapshot().parameters).equals(bitsOf(expected))).toBe(true);
    }
  });

  test("slots keep their values while the memory grows many times, and pushes go on", async () => {
    const initial = vector(50_000, 19);
    const center = await openCenter({ initial, applier });
    const first = center.openSlot();
    const held = first.bytes();
    const slots = Array.from({ length: 40 }, () => center.openSlot());
    expect(Buffer.compare(held, first.bytes())).toBe(0);
    const payload = vector(50_000, 20);
    await center.push(first, payloadOf(payload), elastic);
    const last = slots.at(-1)!;
    await center.push(last, payloadOf(payload), elastic);
    const x = decoded(initial, payload);
    const used = moved(initial, x, 0.3);
    expect(bitsOf(heldBy(last)).equals(bitsOf(used))).toBe(true);
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(moved(used, x, 0.3)))).toBe(true);
    expect(bitsOf(heldBy(slots[0]!)).equals(bitsOf(initial))).toBe(true);
  });

  test("a snapshot is a copy", async () => {
    const center = await openCenter({ initial: vector(64, 31), applier });
    const { parameters } = center.snapshot();
    expect(parameters.buffer).toBeInstanceOf(ArrayBuffer);
    const before = parameters.slice();
    await center.push(center.openSlot(), payloadOf(vector(64, 32)), elastic);
    expect(parameters).toEqual(before);
    expect(center.snapshot().parameters).not.toEqual(before);
  });

  test("refresh gives a slot the newest center", async () => {
    const center = await openCenter({ initial: vector(100, 33), applier });
    const [quiet, busy] = [center.openSlot(), center.openSlot()];
    await center.push(busy, payloadOf(vector(100, 34)), elastic);
    expect(heldBy(quiet)).not.toEqual(center.snapshot().parameters);
    await center.refresh(quiet);
    expect(heldBy(quiet)).toEqual(center.snapshot().parameters);
  });
});

test("areas are used again, so that the memory grows with the replicas and not with the exchanges", () => {
  const memory = new CenterMemory(shapeOf(50_000_000));
  const held = Array.from({ length: 10 }, () => memory.takeArea());
  const sizeBytes = memory.memory.buffer.byteLength;
  for (const area of held) memory.returnArea(area);
  expect(new Set(held)).toEqual(new Set(held.map(() => memory.takeArea())));
  expect(memory.memory.buffer.byteLength).toBe(sizeBytes);
  memory.returnArea(held[3]!);
  expect(() => memory.returnArea(held[3]!)).toThrow("invariant violation");
});

test("a memory that has no room for another replica, or for the model, says what to do", () => {
  const memory = new CenterMemory(shapeOf(150_000_000));
  const fill = (): void => {
    for (let replica = 0; replica < 8; replica++) memory.takeArea();
  };
  expect(fill).toThrow("admit fewer replicas or train a smaller model");
  expect(() => new CenterMemory(shapeOf(500_000_000))).toThrow("train a smaller model");
});

test("a missing WebAssembly file names the command that builds it", async () => {
  const nowhere = new URL("./nowhere.wasm", import.meta.url);
  await expect(compileKernels(nowhere)).rejects.toThrow("run `npm run build:wasm`");
});

test("our own mistakes are called so", async () => {
  const initial = vector(16, 35);
  const center = await openCenter({ initial });
  const slot = center.openSlot();
  const payload = payloadOf(vector(16, 36));
  const mistake = "invariant violation";
  await expect(center.push(slot, payload.subarray(1), elastic)).rejects.toThrow(mistake);
  await expect(center.push(slot, payload, elasticJob(1.1))).rejects.toThrow(mistake);
  await expect(center.push(slot, payload, elasticJob(Number.NaN))).rejects.toThrow(mistake);
  await expect(center.push(slot, payload, { ...elastic, content: "gradient" })).rejects.toThrow(mistake);
  await expect(center.push(slot, payload, { ...differenceJob(), content: "parameters" })).rejects.toThrow(mistake);
  const [, second] = await Promise.allSettled([center.push(slot, payload, elastic), center.refresh(slot)]);
  expect(second).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining(mistake) } });
  slot.close();
  await expect(center.refresh(slot)).rejects.toThrow(mistake);
  const options = { layout: shapeOf(16), initial, applier: "locked", threads: 2, maxMagnitude: 1 } as const;
  await expect(Center.create({ ...options, layout: shapeOf(15) })).rejects.toThrow(mistake);
  await expect(Center.create({ ...options, threads: 0 })).rejects.toThrow(mistake);
  await expect(Center.create({ ...options, initial: initial.with(3, Number.NaN) })).rejects.toThrow(mistake);
});
