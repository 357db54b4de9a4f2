/**
 * The center under many pushes at once: the locked twin equals its log bit for bit, the lock-free one stays within a
 * bound that follows from its rule, and neither a crashed thread nor a close leaves a push unanswered.
 */

import { describe, expect, test } from "vitest";
import type { Center, CenterSlot, PushJob, PushResult } from "../../coordinator/center/center.ts";
import type { StalenessPolicy } from "../../shared/solver/staleness.ts";
import {
  APPLIERS,
  bitsOf,
  decoded,
  differenceJob,
  elasticJob,
  heldBy,
  largestError,
  moved,
  openCenter,
  payloadOf,
  vector,
} from "../support/center_cases.ts";

const job = elasticJob(0.3);
const descent = { learningRate: 1, momentum: 0, weightDecay: 0, delayCompensation: 0, isLayerwise: false };

interface Applied {
  readonly result: Extract<PushResult, { verdict: "applied" }>;
  readonly base: Float32Array;
  readonly payload: Float32Array;
  readonly answer: Float32Array;
}

function applied(result: PushResult): Applied["result"] {
  if (result.verdict !== "applied") throw new Error(`a push was ${result.verdict}`);
  return result;
}

/** Pushes of one replica, one after the other, with everything that a replay needs. */
async function pushInTurn(center: Center, pushes: number, seed: number, policy: StalenessPolicy): Promise<Applied[]> {
  const slot = center.openSlot();
  const log: Applied[] = [];
  let baseVersion = 0;
  for (let turn = 0; turn < pushes; turn++) {
    const base = heldBy(slot);
    const payload = vector(center.elements, seed * 1000 + turn);
    const result = applied(await center.push(slot, payloadOf(payload, turn % 4), { ...job, baseVersion, policy }));
    baseVersion = result.centerVersion;
    log.push({ result, base, payload, answer: heldBy(slot) });
  }
  return log;
}

test("[X8] the locked center equals the log of concurrent pushes replayed in order of version, bit for bit", async () => {
  const initial = vector(2011, 1);
  const center = await openCenter({ initial, applier: "locked", threads: 3 });
  const policy: StalenessPolicy = { kind: "scale", halfRateStaleness: 2 };
  const logs = await Promise.all([2, 3, 4, 5, 6, 7].map((seed) => pushInTurn(center, 50, seed, policy)));
  const log = logs.flat().toSorted((one, other) => one.result.version - other.result.version);

  let replayed = initial;
  for (const [index, { result, base, payload, answer }] of log.entries()) {
    expect(result).toMatchObject({ centerVersion: index, version: index + 1, overlapped: false });
    expect(bitsOf(answer).equals(bitsOf(replayed))).toBe(true);
    replayed = moved(replayed, decoded(base, payload), result.pull);
  }
  expect(log.some(({ result }) => result.staleness > 0)).toBe(true);
  const { version, parameters } = center.snapshot();
  expect(version).toBe(300);
  expect(bitsOf(parameters).equals(bitsOf(replayed))).toBe(true);
  expect(center.statistics()).toEqual({ applies: 300, overlappedApplies: 0 });
});

test("[X8] so does it under concurrent gradients with momentum, and every answer is the center after its own step", async () => {
  const initial = vector(2011, 1);
  const center = await openCenter({ initial, applier: "locked", threads: 3 });
  const move = { kind: "gradient", ...descent, learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 } as const;
  const stepping: PushJob = { content: "gradient", baseVersion: 0, move, policy: { kind: "none" } };
  const logs = await Promise.all(
    [2, 3, 4, 5, 6, 7].map(async (seed) => {
      const slot = center.openSlot();
      const log: { version: number; gradient: Float32Array; answer: Float32Array }[] = [];
      for (let turn = 0; turn < 20; turn++) {
        const gradient = vector(2011, seed * 1000 + turn);
        const { version } = applied(await center.push(slot, payloadOf(gradient), stepping));
        log.push({ version, gradient, answer: heldBy(slot) });
      }
      return log;
    }),
  );
  const [replayed, velocity] = [initial.slice(), new Float32Array(2011)];
  const [rate, keep, decay] = [Math.fround(0.1), Math.fround(0.9), Math.fround(0.01)];
  for (const { gradient, answer } of logs.flat().toSorted((one, other) => one.version - other.version)) {
    for (let k = 0; k < 2011; k++) {
      const slope = Math.fround(gradient[k]! + Math.fround(decay * replayed[k]!));
      const step = Math.fround(Math.fround(keep * velocity[k]!) - Math.fround(rate * slope));
      velocity[k] = step;
      replayed[k]! += step;
    }
    expect(bitsOf(answer).equals(bitsOf(replayed))).toBe(true);
  }
  expect(center.version).toBe(120);
  expect(bitsOf(center.snapshot().velocity).equals(bitsOf(velocity))).toBe(true);
});

interface Volley {
  readonly slot: CenterSlot;
  readonly payload: Uint8Array;
  readonly push: PushJob;
}

/** Volleys of pushes at once, at least `least` of them, until passes really ran at the same time (or never did). */
async function pushTogether(center: Center, volley: () => readonly Volley[], least: number): Promise<number> {
  let pushes = 0;
  for (let round = 0; round < least || (round < 400 && center.statistics().overlappedApplies === 0); round++) {
    const shots = volley();
    const results = await Promise.all(shots.map(({ slot, payload, push }) => center.push(slot, payload, push)));
    pushes += results.map(applied).length;
  }
  return pushes;
}

test("[X9] lock-free, every element stays between the extremes of its initial value and of what was pushed", async () => {
  const elements = 50_003;
  const initial = vector(elements, 1);
  const center = await openCenter({ initial, applier: "lock-free", threads: 2 });
  const slots = [2, 3, 4, 5].map(() => center.openSlot());
  const targets = [2, 3, 4, 5].map((seed) => vector(elements, seed));
  const [low, high] = [initial.slice(), initial.slice()];
  const volley = (): Volley[] =>
    slots.map((slot, index) => {
      const base = heldBy(slot);
      const payload = targets[index]!.map((target, k) => target - base[k]!);
      // What was pushed is the reconstruction, a rounding away from the target.
      for (const [k, x] of decoded(base, payload).entries()) {
        if (x < low[k]!) low[k] = x;
        if (x > high[k]!) high[k] = x;
      }
      return { slot, payload: payloadOf(payload), push: elasticJob(index === 0 ? 1 : 0.4) };
    });
  await pushTogether(center, volley, 8);
  expect(center.statistics().overlappedApplies).toBeGreaterThan(0);
  // Each write is a mean of x and of a value that was once in the center, whatever was lost between, so it cannot leave
  // the hull but by rounding: three operations of at most 2^-24 relative on values up to 2, for each apply.
  const rounding = center.version * 3 * 2 ** -23;
  const { parameters } = center.snapshot();
  const outside = parameters.findIndex((value, k) => value < low[k]! - rounding || value > high[k]! + rounding);
  expect(outside).toBe(-1);
});

test("[X9] lock-free, under one in a hundred element updates is lost and none is applied twice", async () => {
  const elements = 431_080;
  const center = await openCenter({ initial: new Float32Array(elements), applier: "lock-free", threads: 2 });
  const slots = Array.from({ length: 4 }, () => center.openSlot());
  const ones = payloadOf(new Float32Array(elements).fill(1));
  const push = differenceJob();
  const pushes = await pushTogether(center, () => slots.map((slot) => ({ slot, payload: ones, push })), 25);
  expect(center.statistics().applies).toBe(pushes);
  expect(center.version).toBe(pushes);
  expect(center.statistics().overlappedApplies).toBeGreaterThan(0);
  const { parameters } = center.snapshot();
  expect(parameters.every((count) => Number.isInteger(count) && count >= 1 && count <= pushes)).toBe(true);
  const arrived = parameters.reduce((sum, count) => sum + count, 0);
  // Only what one thread holds in registers, sixteen elements, can be lost to the other at a time; threads start apart.
  expect(1 - arrived / (pushes * elements)).toBeLessThan(0.01);
});

/** Every one of these adds one to each element of the center. */
const ADDING_ONE = [
  { title: "differences", sign: 1, job: differenceJob() },
  { title: "updates", sign: 1, job: differenceJob({ content: "update", move: { kind: "update", rate: 1 } }) },
  { title: "gradients", sign: -1, job: differenceJob({ content: "gradient", move: { kind: "gradient", ...descent } }) },
] as const;

test.each(ADDING_ONE)("[X9] compare-and-swap, no element update of $title is lost", async ({ sign, job: push }) => {
  const elements = 100_003;
  const initial = new Float32Array(elements);
  const center = await openCenter({ initial, applier: "compare-and-swap", threads: 2 });
  const slots = Array.from({ length: 4 }, () => center.openSlot());
  const ones = payloadOf(initial.map(() => sign));
  const pushes = await pushTogether(center, () => slots.map((slot) => ({ slot, payload: ones, push })), 25);
  expect(center.statistics().overlappedApplies).toBeGreaterThan(0);
  expect(center.snapshot().parameters).toEqual(initial.map(() => pushes));
});

test("[X6] compare-and-swap, every answer is of the moment of its own move", async () => {
  const elements = 100_003;
  const center = await openCenter({ initial: new Float32Array(elements), applier: "compare-and-swap", threads: 2 });
  const slots = Array.from({ length: 4 }, () => center.openSlot());
  const ones = payloadOf(new Float32Array(elements).fill(1));
  const push = differenceJob({ content: "update", move: { kind: "update", rate: 1 } });
  const answers = new Float64Array(elements);
  let pushes = 0;
  while (center.statistics().overlappedApplies === 0 || pushes < 40) {
    await Promise.all(slots.map((slot) => center.push(slot, ones, push)));
    for (const slot of slots) heldBy(slot).forEach((value, k) => (answers[k]! += value));
    pushes += slots.length;
  }
  // What an element was answered with are the numbers from 1 to `pushes`, each once.
  expect(answers.every((sum) => sum === (pushes * (pushes + 1)) / 2)).toBe(true);
});

test("[X4] compare-and-swap, the center moves by the sum of the elastic differences of all answers", async () => {
  const elements = 50_003;
  const initial = vector(elements, 1);
  const center = await openCenter({ initial, applier: "compare-and-swap", threads: 2 });
  const slots = [2, 3, 4, 5].map(() => center.openSlot());
  const expected = Float64Array.from(initial);
  const payload = vector(elements, 6);
  let pushes = 0;
  while (center.statistics().overlappedApplies === 0 || pushes < 32) {
    const bases = slots.map(heldBy);
    await Promise.all(slots.map((slot) => center.push(slot, payloadOf(payload), job)));
    for (const [index, slot] of slots.entries()) {
      const [x, used] = [decoded(bases[index]!, payload), heldBy(slot)];
      for (let k = 0; k < elements; k++) expected[k]! += Math.fround(0.3) * (x[k]! - used[k]!);
    }
    pushes += slots.length;
  }
  // Three operations for each push, each off by 2^-24 of values below 8; a lost move would be off by 0.01 and more.
  expect(largestError(center.snapshot().parameters, expected)).toBeLessThan(pushes * 3 * 8 * 2 ** -24);
});

describe.each(APPLIERS)("%s", (applier) => {
  test("a replica that leaves in the middle of a push does not disturb it", async () => {
    const initial = vector(5000, 1);
    const center = await openCenter({ initial, applier, threads: 2 });
    const slot = center.openSlot();
    const payload = vector(5000, 2);
    const pushed = center.push(slot, payloadOf(payload), job);
    slot.close();
    expect(await pushed).toMatchObject({ verdict: "applied" });
    const after = center.snapshot().parameters;
    expect(bitsOf(after).equals(bitsOf(moved(initial, decoded(initial, payload), 0.3)))).toBe(true);
    expect(() => slot.bytes()).toThrow("invariant violation");
    // Both areas are free again, and filled anew.
    for (const newcomer of [center.openSlot(), center.openSlot()]) {
      expect(bitsOf(heldBy(newcomer)).equals(bitsOf(after))).toBe(true);
    }
  });

  test("close finishes the pushes in flight and takes no later ones", async () => {
    const center = await openCenter({ initial: vector(431_080, 1), applier, threads: 2 });
    const payload = payloadOf(vector(431_080, 2));
    const pushed = Promise.all(Array.from({ length: 12 }, () => center.push(center.openSlot(), payload, job)));
    const closed = center.close();
    await expect(center.push(center.openSlot(), payload, job)).rejects.toThrow("after its close");
    await closed;
    expect((await pushed).map(({ verdict }) => verdict)).toEqual(Array.from({ length: 12 }, () => "applied"));
    expect(center.version).toBe(12);
    expect(center.snapshot().version).toBe(12);
  });

  test("a crashed thread answers every open push with an error, and later ones too", async () => {
    const center = await openCenter({ initial: vector(1000, 1), applier, threads: 2 });
    const slots = Array.from({ length: 8 }, () => center.openSlot());
    const payload = payloadOf(vector(1000, 2));
    // No policy has this shape: reading its kind throws inside the thread, under the lock where there is one.
    const crashing = { ...job, policy: null as unknown as StalenessPolicy };
    const results = await Promise.allSettled(slots.map((slot) => center.push(slot, payload, crashing)));
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: {
          message: expect.stringMatching(/^Applier thread \d of the center ended: .*Restart the coordinator/u),
        },
      });
    }
    await expect(center.push(slots[0]!, payload, job)).rejects.toThrow("Applier thread");
    await expect(center.refresh(slots[0]!)).rejects.toThrow("Applier thread");
    expect(center.snapshot().version).toBe(0);
    await center.close();
  });
});
