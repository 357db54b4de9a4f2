/**
 * Many replicas that move the center together, and the center that goes back: weighted sums of groups and of a barrier's
 * rounds, what they refuse, who may leave when, and a restored state.
 */

import { describe, expect, test } from "vitest";
import type { Center, CenterSlot, PushJob, SumJob } from "../../coordinator/center/center.ts";
import type { CenterMove } from "../../shared/solver/center_rule.ts";
import { ReferenceCenter } from "../reference/center.ts";
import {
  APPLIERS,
  bitsOf,
  decoded,
  elasticJob,
  heldBy,
  largestError,
  MAX_MAGNITUDE,
  openCenter,
  payloadOf,
  shapeOf,
  vector,
} from "../support/center_cases.ts";

const gradient = {
  kind: "gradient",
  learningRate: 0.1,
  momentum: 0.9,
  weightDecay: 0,
  delayCompensation: 0,
  isLayerwise: false,
} as const;

const none = { policy: { kind: "none" } } as const;

/** A barrier's step: `count` gradients of equal weight. */
function step(baseVersion: number, count: number, move: CenterMove = gradient): SumJob {
  return { content: "gradient", baseVersion, move, ...none, weight: count, count };
}

/** Twice as many operations as a single push has, on values below 4, for three members. */
const TOLERANCE = 3 * 20 * 4 * 2 ** -24;

describe.each(APPLIERS)("%s", (applier) => {
  test("[X15] a step moves by the mean of the round's gradients with momentum, bit for bit, and forgets them", async () => {
    let weights = vector(1001, 21);
    let velocity = vector(1001, 22);
    const center = await openCenter({ initial: weights, velocity, applier, threads: 2 });
    const sum = center.openSum();
    const slots = [0, 1, 2].map(() => center.openSlot());
    for (const [round, seed] of [23, 26].entries()) {
      const gradients = [vector(1001, seed), vector(1001, seed + 1), vector(1001, seed + 2)];
      const contributed = await Promise.all(
        gradients.map((pushed, index) =>
          center.contribute(sum, slots[index]!, payloadOf(pushed, 1), { content: "gradient", weight: 1 }),
        ),
      );
      expect(contributed).toEqual(gradients.map(() => ({ verdict: "accumulated" })));
      const total = gradients.reduce(decoded, new Float32Array(1001));
      const [rate, momentum] = [Math.fround(0.1), Math.fround(0.9)];
      velocity = velocity.map((v, k) => Math.fround(momentum * v) - Math.fround(rate * Math.fround(total[k]! / 3)));
      weights = decoded(weights, velocity);
      const result = await center.applySum(sum, slots, step(round, 3));
      expect(result).toMatchObject({ verdict: "applied", staleness: 0, pull: 1, version: round + 1 });
      for (const slot of slots) expect(bitsOf(heldBy(slot)).equals(bitsOf(weights))).toBe(true);
    }
    const { version, ...snapshot } = center.snapshot();
    expect(version).toBe(2);
    expect(bitsOf(snapshot.parameters).equals(bitsOf(weights))).toBe(true);
    expect(bitsOf(snapshot.velocity).equals(bitsOf(velocity))).toBe(true);
  });

  test("[E9] [X15] running statistics become the mean of the replicas', without rate, momentum or velocity", async () => {
    const [elements, trainableElements] = [1001, 944];
    const initial = vector(elements, 41);
    const center = await openCenter({ initial, trainableElements, applier });
    const sum = center.openSum();
    const slots = [center.openSlot(), center.openSlot()];
    for (const round of [1, 2]) {
      const before = center.snapshot().parameters;
      const replicas = [vector(elements, 41 + round), vector(elements, 51 + round)];
      for (const [index, replica] of replicas.entries()) {
        const pushed = before.map((value, k) => value - replica[k]!);
        await center.contribute(sum, slots[index]!, payloadOf(pushed, 1), { content: "gradient", weight: 1 });
      }
      await center.applySum(sum, slots, step(round - 1, 2));
      const after = center.snapshot();
      for (let k = trainableElements; k < elements; k++) {
        expect(after.parameters[k]).toBeCloseTo((replicas[0]![k]! + replicas[1]![k]!) / 2, 4);
        expect(after.velocity[k]).toBe(0);
      }
      const moved = (before[0]! - (replicas[0]![0]! + replicas[1]![0]!) / 2) * 0.1;
      if (round === 1) expect(after.parameters[0]).toBeCloseTo(before[0]! - moved, 4);
    }
  });

  test("[E9] an update's statistics, r - base, are added as their mean over the group", async () => {
    const initial = vector(1001, 61);
    const center = await openCenter({ initial, trainableElements: 944, applier });
    const [slots, sum] = [[center.openSlot(), center.openSlot()], center.openSum()];
    const replicas = [vector(1001, 62), vector(1001, 63)];
    for (const [index, replica] of replicas.entries()) {
      const update = payloadOf(replica.map((value, k) => value - initial[k]!));
      await center.contribute(sum, slots[index]!, update, { content: "update", weight: 1 });
    }
    const move = { kind: "nesterov", learningRate: 0.7, momentum: 0.9 } as const;
    await center.applySum(sum, slots, { content: "update", baseVersion: 0, move, ...none, weight: 2, count: 2 });
    const { parameters, velocity } = center.snapshot();
    for (let k = 944; k < 1001; k++) {
      expect(parameters[k]).toBeCloseTo((replicas[0]![k]! + replicas[1]![k]!) / 2, 5);
      expect(velocity[k]).toBe(0);
    }
  });

  test.each([
    { kind: "elastic-mean", movingRate: 0.4 },
    { kind: "elastic-sum", movingRate: 0.2 },
  ] as const)(
    "a group's weighted mean of parameters moves the center by $kind, from bases of its own",
    async (move) => {
      const shape = shapeOf(1001);
      const initial = vector(1001, 1);
      const center = await openCenter({ initial, applier, threads: 2 });
      const reference = new ReferenceCenter(shape, initial);
      const slots = [0, 1, 2].map(() => center.openSlot());
      const weights = [1, 2.5, 0.5];
      // One member's base is another: it was answered later than the others.
      await center.push(center.openSlot(), payloadOf(vector(1001, 2)), elasticJob(0.3));
      await center.refresh(slots[1]!);
      reference.center.set(center.snapshot().parameters);
      const sum = center.openSum();
      const mean = new Float64Array(1001);
      for (const [index, slot] of slots.entries()) {
        const payload = vector(1001, 10 + index);
        const base = heldBy(slot);
        decoded(base, payload).forEach((x, k) => (mean[k]! += (weights[index]! * x) / 4));
        await center.contribute(sum, slot, payloadOf(payload), { content: "parameters", weight: weights[index]! });
      }
      const answer = reference.apply(move, { vector: mean, staleness: 1, base: mean, count: 3 });
      const job: SumJob = { content: "parameters", baseVersion: 0, move, ...none, weight: 4, count: 3 };
      const pull = move.kind === "elastic-sum" ? 0.2 : 1;
      expect(await center.applySum(sum, slots, job)).toMatchObject({
        verdict: "applied",
        staleness: 1,
        pull,
        version: 2,
      });
      expect(largestError(center.snapshot().parameters, reference.center)).toBeLessThan(TOLERANCE);
      for (const slot of slots) expect(largestError(heldBy(slot), answer)).toBeLessThan(TOLERANCE);
    },
  );

  test("[S3] a sum that is too stale moves nothing and is empty afterwards", async () => {
    const initial = vector(100, 1);
    const center = await openCenter({ initial, applier, version: 6 });
    const [slot, sum] = [center.openSlot(), center.openSum()];
    const pushed = vector(100, 2);
    await center.contribute(sum, slot, payloadOf(pushed), { content: "gradient", weight: 1 });
    const bound = { kind: "bound", limit: 5 } as const;
    const refused = await center.applySum(sum, [slot], { ...step(0, 1), policy: bound });
    expect(refused).toEqual({ verdict: "too-stale", staleness: 6 });
    expect(bitsOf(center.snapshot().parameters).equals(bitsOf(initial))).toBe(true);
    expect(bitsOf(heldBy(slot)).equals(bitsOf(initial))).toBe(true);
    await center.contribute(sum, slot, payloadOf(pushed), { content: "gradient", weight: 1 });
    await center.applySum(sum, [slot], step(6, 1, { ...gradient, learningRate: 1, momentum: 0 }));
    expect(center.snapshot().parameters).toEqual(initial.map((c, k) => c - pushed[k]!));
  });

  test("[L3] an unsound contribution is not added", async () => {
    const initial = vector(33, 29);
    const center = await openCenter({ initial, applier });
    const [slot, sum] = [center.openSlot(), center.openSum()];
    const pushed = vector(33, 30);
    const contribution = { content: "gradient", weight: 1 } as const;
    await center.contribute(sum, slot, payloadOf(pushed), contribution);
    for (const [value, verdict] of [
      [Number.NaN, "not-finite"],
      [Infinity, "not-finite"],
      [MAX_MAGNITUDE * 1.001, "out-of-bounds"],
    ] as const) {
      const unsound = payloadOf(pushed.with(32, value));
      expect(await center.contribute(sum, slot, unsound, contribution)).toEqual({ verdict });
      const asParameters = { content: "parameters", weight: 1 } as const;
      expect(await center.contribute(sum, slot, unsound, asParameters)).toEqual({ verdict });
    }
    await center.applySum(sum, [], step(0, 1, { ...gradient, learningRate: 1, momentum: 0 }));
    expect(center.snapshot().parameters).toEqual(initial.map((w, k) => w - pushed[k]!));
  });

  test("sums of several groups do not mix, and return their areas", async () => {
    const center = await openCenter({ initial: new Float32Array(5000), applier, threads: 2 });
    const groups = Array.from({ length: 6 }, (_, index) => ({
      sum: center.openSum(),
      slots: [center.openSlot(), center.openSlot(), center.openSlot()],
      pushed: new Float32Array(5000).fill(index + 1),
    }));
    const move = { kind: "update", rate: 1 } as const;
    await Promise.all(
      groups.map(async ({ sum, slots, pushed }) => {
        const contribution = { content: "update", weight: 2 } as const;
        await Promise.all(slots.map((slot) => center.contribute(sum, slot, payloadOf(pushed), contribution)));
        await center.applySum(sum, slots, { content: "update", baseVersion: 0, move, ...none, weight: 6, count: 3 });
        sum.close();
      }),
    );
    const { version, parameters } = center.snapshot();
    expect(version).toBe(6);
    // Lock-free, an element may lose whole moves, and gains nothing of another sum.
    const least = applier === "lock-free" ? 1 : 21;
    expect(parameters.every((value) => Number.isInteger(value) && value >= least && value <= 21)).toBe(true);
    const again = center.openSum();
    const slot = groups[0]!.slots[0]!;
    await center.contribute(again, slot, payloadOf(groups[0]!.pushed), { content: "update", weight: 1 });
    await center.applySum(again, [slot], { content: "update", baseVersion: 6, move, ...none, weight: 1, count: 1 });
    expect(center.snapshot().parameters).toEqual(parameters.map((value) => value + 1));
  });

  test("a group dissolves and a member leaves while its contribution is on the way", async () => {
    const center = await openCenter({ initial: vector(5000, 1), applier });
    const [slot, sum] = [center.openSlot(), center.openSum()];
    const contributed = center.contribute(sum, slot, payloadOf(vector(5000, 2)), { content: "gradient", weight: 1 });
    slot.close();
    sum.close();
    expect(await contributed).toEqual({ verdict: "accumulated" });
    await expect(center.applySum(sum, [], step(0, 1))).rejects.toThrow("invariant violation");
    // Their areas are free again: a new sum is empty.
    const [newcomer, fresh] = [center.openSlot(), center.openSum()];
    const zeros = payloadOf(new Float32Array(5000));
    const before = center.snapshot().parameters;
    await center.contribute(fresh, newcomer, zeros, { content: "gradient", weight: 1 });
    await center.applySum(fresh, [newcomer], step(0, 1));
    expect(center.snapshot().parameters).toEqual(before);
  });

  test("a restored state comes between two applies, with all momentum begun anew", async () => {
    const elements = 50_000;
    const [initial, state] = [vector(elements, 1), vector(elements, 2)];
    const center = await openCenter({ initial, applier, threads: 2 });
    const slots = Array.from({ length: 6 }, () => center.openSlot());
    const move = { kind: "delayed-nesterov", learningRate: 0.7, momentum: 0.9, delay: 4 } as const;
    const job: PushJob = { content: "update", baseVersion: 0, move, ...none };
    const payload = vector(elements, 3);
    const before = slots.map((slot) => center.push(slot, payloadOf(payload), job));
    const restored = center.restore({ parameters: state });
    const after = slots.map(async (slot, index) => {
      await before[index];
      return center.push(slot, payloadOf(payload), { ...job, baseVersion: 7 });
    });
    expect(await restored).toEqual({ version: 7 });
    await Promise.all(after);
    const reference = new ReferenceCenter(shapeOf(elements), state);
    const pushed = { vector: Float64Array.from(payload), staleness: 0, base: Float64Array.from(state), count: 1 };
    for (let turn = 0; turn < 6; turn++) reference.apply(move, pushed);
    expect(largestError(center.snapshot().parameters, reference.center)).toBeLessThan(3 * TOLERANCE);
    expect(center.version).toBe(13);
    expect(center.statistics().applies).toBe(12);

    const velocity = vector(elements, 4);
    expect(await center.restore({ parameters: initial, velocity })).toEqual({ version: 14 });
    expect(center.snapshot()).toEqual({ version: 14, parameters: initial, velocity });
  });
});

test("our own mistakes with sums are called so", async () => {
  const center = await openCenter({ initial: vector(16, 1) });
  const [slot, sum, payload] = [center.openSlot(), center.openSum(), payloadOf(vector(16, 2))];
  const mistake = "invariant violation";
  const contribute = (weight: number): Promise<unknown> =>
    center.contribute(sum, slot, payload, { content: "gradient", weight });
  for (const weight of [0, -1, Number.NaN, Infinity]) await expect(contribute(weight)).rejects.toThrow(mistake);
  await expect(center.applySum(sum, [slot], step(0, 0))).rejects.toThrow(mistake);
  await expect(center.applySum(sum, [slot], step(0, 1, { kind: "elastic-mean", movingRate: 0.1 }))).rejects.toThrow(
    mistake,
  );
  await expect(
    center.applySum(sum, [slot], {
      ...step(0, 1, { kind: "delayed-nesterov", learningRate: 1, momentum: 0, delay: 0 }),
    }),
  ).rejects.toThrow(mistake);
  await expect(center.applySum(sum, [slot, slot], step(0, 1))).rejects.toThrow(mistake);
  await expect(center.applySum({ close: () => undefined }, [], step(0, 1))).rejects.toThrow(mistake);
  await expect(center.restore({ parameters: vector(15, 1) })).rejects.toThrow(mistake);
  await expect(contribute(1)).resolves.toEqual({ verdict: "accumulated" });
  const closed: CenterSlot = center.openSlot();
  closed.close();
  await expect(center.applySum(sum, [slot, closed], step(0, 1))).rejects.toThrow(mistake);
  // A slot that was claimed with one that could not be is free again.
  await expect(center.refresh(slot)).resolves.toEqual({ version: 0 });
});

test("a crashed thread lets nobody wait for a restored state", async () => {
  const center: Center = await openCenter({ initial: vector(1000, 1), threads: 2 });
  const slot = center.openSlot();
  const crashing = { ...elasticJob(0.3), policy: null as unknown as PushJob["policy"] };
  const [pushed, restored] = await Promise.allSettled([
    center.push(slot, payloadOf(vector(1000, 2)), crashing),
    center.restore({ parameters: vector(1000, 3) }),
  ]);
  for (const result of [pushed, restored]) {
    expect(result).toMatchObject({
      status: "rejected",
      reason: { message: expect.stringContaining("Applier thread") },
    });
  }
  await center.close();
});
