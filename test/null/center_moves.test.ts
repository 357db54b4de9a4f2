/**
 * What each move does to the center and what it answers, against plain loops in double precision; with and without running
 * statistics, with every applier; and the same moves torn into ranges, as the simulator applies them.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Center, type CenterSlot, type PushJob } from "../../coordinator/center/center.ts";
import type { CenterShape } from "../../coordinator/center/center_memory.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { pullOf, type CenterMove } from "../../shared/solver/center_rule.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import { ReferenceCenter } from "../reference/center.ts";
import {
  APPLIERS,
  bitsOf,
  decoded,
  heldBy,
  largestError,
  MAX_MAGNITUDE,
  openCenter,
  openCore,
  payloadOf,
  shapeOf,
  vector,
} from "../support/center_cases.ts";
import { optimizerPlan } from "../support/optimizer_cases.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

interface MoveCase {
  readonly title: string;
  readonly content: PushContent;
  readonly move: CenterMove;
}

const plain = {
  kind: "gradient",
  learningRate: 0.1,
  momentum: 0,
  weightDecay: 0,
  delayCompensation: 0,
  isLayerwise: false,
} as const;

const delayed = { kind: "delayed-nesterov", learningRate: 0.7, momentum: 0.9, delay: 3 } as const;

const MOVES: readonly MoveCase[] = [
  { title: "elastic", content: "parameters", move: { kind: "elastic", movingRate: 0.3 } },
  { title: "elastic-mean", content: "parameters", move: { kind: "elastic-mean", movingRate: 0.3 } },
  { title: "elastic-sum", content: "parameters", move: { kind: "elastic-sum", movingRate: 0.3 } },
  { title: "difference", content: "difference", move: { kind: "difference", rate: 0.7 } },
  { title: "update", content: "update", move: { kind: "update", rate: 0.7 } },
  { title: "gradient", content: "gradient", move: plain },
  { title: "gradient with decay", content: "gradient", move: { ...plain, weightDecay: 0.05 } },
  { title: "gradient with momentum", content: "gradient", move: { ...plain, momentum: 0.9, weightDecay: 0.05 } },
  { title: "gradient with negative momentum", content: "gradient", move: { ...plain, momentum: -0.4 } },
  { title: "compensated gradient", content: "gradient", move: { ...plain, delayCompensation: 2 } },
  {
    title: "compensated gradient, momentum",
    content: "gradient",
    move: { ...plain, momentum: 0.5, delayCompensation: 2 },
  },
  { title: "nesterov", content: "update", move: { kind: "nesterov", learningRate: 0.7, momentum: 0.9 } },
  { title: "delayed-nesterov", content: "update", move: delayed },
];

/** Gradient moves with a rate of their own for each tensor need tensors. */
const LAYERWISE: readonly MoveCase[] = [
  { title: "lars", content: "gradient", move: { ...plain, learningRate: 5, weightDecay: 0.05, isLayerwise: true } },
  {
    title: "lars, momentum, compensated",
    content: "gradient",
    move: { ...plain, learningRate: 2, momentum: 0.5, delayCompensation: 0.05, isLayerwise: true },
  },
];

const { layout } = optimizerPlan({ kind: "lars" });

const SHAPES: readonly (readonly [name: string, shape: CenterShape, moves: readonly MoveCase[]])[] = [
  ["1 element", shapeOf(1), MOVES],
  ["17 elements", shapeOf(17), MOVES],
  ["1001 elements", shapeOf(1001), MOVES],
  ["944 elements and 57 statistics", shapeOf(1001, 944), MOVES],
  ["a model's tensors", layout, [...MOVES, ...LAYERWISE]],
];

const PUSHES = 7;
/**
 * A push is at most 10 operations, each off by 2^-24 of the largest value, twice as much through sums of squares; errors of
 * earlier pushes live on in center and velocity, multiplied by less than 2 all in all.
 */
const RELATIVE_TOLERANCE = 2 * PUSHES * 10 * 2 ** -24;

function expectClose(actual: Float32Array, expected: Float64Array): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 4);
  expect(largestError(actual, expected)).toBeLessThan(RELATIVE_TOLERANCE * largest);
}

/** Zero in the gaps, where a model's gradients are zero too. */
function within(shape: CenterShape, values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  if (shape.tensors.length === 0) return values;
  const inside = new Float32Array(shape.elements);
  for (const { offset, elements } of shape.tensors) inside.set(values.subarray(offset, offset + elements), offset);
  return inside;
}

/** What one push of `payload` puts into the center's hands. */
function pushedBy(content: PushContent, base: Float32Array, payload: Float32Array): Float64Array {
  return Float64Array.from(content === "parameters" ? decoded(base, payload) : payload);
}

describe.each(APPLIERS)("%s", (applier) => {
  describe.each(SHAPES)("%s", (_name, shape, moves) => {
    const initial = within(shape, vector(shape.elements, 1));
    let center: Center;

    beforeAll(async () => {
      const options = { layout: shape, initial, applier, threads: 1, maxMagnitude: MAX_MAGNITUDE };
      center = await Center.create(options);
    });
    afterAll(() => center.close());

    /** The same center anew for every test, but for its version. */
    beforeEach(async () => {
      await center.restore({ parameters: initial });
    });

    function placeAt(baseVersion: number): { slot: CenterSlot; baseVersion: number } {
      const slot = center.openSlot();
      onTestFinished(() => slot.close());
      return { slot, baseVersion };
    }

    test.each(moves)("[X3] [E9] pushes of two replicas move the center by $title", async ({ content, move }) => {
      const reference = new ReferenceCenter(shape, initial);
      const places = [placeAt(center.version), placeAt(center.version)] as const;
      for (let turn = 0; turn < PUSHES; turn++) {
        // The second replica pushes every third time only: what it pushes is stale.
        const place = places[turn % 3 === 2 ? 1 : 0];
        const base = heldBy(place.slot);
        const staleness = center.version - place.baseVersion;
        const payload = within(shape, vector(shape.elements, 100 + turn));
        const vectorPushed = pushedBy(content, base, payload);
        const pushed = { vector: vectorPushed, staleness, base: Float64Array.from(base), count: 1 };
        const answer = reference.apply(move, pushed);
        const job: PushJob = { content, baseVersion: place.baseVersion, move, policy: { kind: "none" } };
        const result = await center.push(place.slot, payloadOf(payload, turn % 4), job);
        expect(result).toMatchObject({ verdict: "applied", staleness, version: center.version });
        place.baseVersion = center.version;
        expectClose(heldBy(place.slot), answer);
        expectClose(center.snapshot().parameters, reference.center);
      }
      expectClose(center.snapshot().velocity, reference.velocity);
    });

    test.each(moves)("[S2] [S3] a stale $title is scaled, or refused and moves nothing", async ({ content, move }) => {
      const baseVersion = center.version - 6;
      const { slot } = placeAt(baseVersion);
      const payload = within(shape, vector(shape.elements, 2));
      const bound: PushJob = { content, baseVersion, move, policy: { kind: "bound", limit: 5 } };
      expect(await center.push(slot, payloadOf(payload), bound)).toEqual({ verdict: "too-stale", staleness: 6 });
      expectUntouched(slot);

      // At staleness 6 and s0 = 2 the rate is a quarter.
      const reference = new ReferenceCenter(shape, initial);
      const base = Float64Array.from(initial);
      reference.apply(quartered(move), { vector: pushedBy(content, initial, payload), staleness: 6, base, count: 1 });
      const scale: PushJob = { ...bound, policy: { kind: "scale", halfRateStaleness: 2 } };
      const result = await center.push(slot, payloadOf(payload), scale);
      expect(result).toMatchObject({ verdict: "applied", staleness: 6, pull: pullOf(quartered(move)) });
      expectClose(center.snapshot().parameters, reference.center);
    });

    test.each(moves)("[L3] an unsound $title is refused and moves nothing", async ({ content, move }) => {
      const baseVersion = center.version;
      const { slot } = placeAt(baseVersion);
      const sound = within(shape, vector(shape.elements, 2));
      const job: PushJob = { content, baseVersion, move, policy: { kind: "none" } };
      for (const [value, verdict] of [
        [Number.NaN, "not-finite"],
        [-Infinity, "not-finite"],
        [MAX_MAGNITUDE * 1.01, "out-of-bounds"],
      ] as const) {
        const payload = payloadOf(sound.with(shape.elements - 1, value));
        expect(await center.push(slot, payload, job)).toEqual({ verdict });
      }
      expectUntouched(slot);
      expect(center.version).toBe(baseVersion);
    });

    function expectUntouched(slot: CenterSlot): void {
      const { parameters, velocity } = center.snapshot();
      expect(bitsOf(parameters).equals(bitsOf(initial))).toBe(true);
      expect(bitsOf(heldBy(slot)).equals(bitsOf(initial))).toBe(true);
      expect(velocity.every((value) => value === 0)).toBe(true);
    }
  });
});

function quartered(move: CenterMove): CenterMove {
  if ("movingRate" in move) return { ...move, movingRate: move.movingRate / 4 };
  if ("rate" in move) return { ...move, rate: move.rate / 4 };
  return { ...move, learningRate: move.learningRate / 4 };
}

test("a velocity is forgotten by a step without momentum, and does not come back", async () => {
  const initial = vector(100, 1);
  const center = await openCenter({ initial, velocity: vector(100, 2), applier: "locked" });
  const slot = center.openSlot();
  const zeros = payloadOf(new Float32Array(100));
  const job: PushJob = { content: "gradient", baseVersion: 0, move: plain, policy: { kind: "none" } };
  await center.push(slot, zeros, job);
  expect(center.snapshot().velocity).toEqual(new Float32Array(100));
  await center.push(slot, zeros, { ...job, move: { ...plain, momentum: 0.9 } });
  expect(center.snapshot().parameters).toEqual(initial);
});

test("a velocity that dies away becomes zero and not a denormal", async () => {
  const center = await openCenter({ initial: vector(100, 1), velocity: vector(100, 2), applier: "locked" });
  const slot = center.openSlot();
  const zeros = payloadOf(new Float32Array(100));
  const move = { ...plain, momentum: 0.25 };
  for (let step = 0; step < 60; step++) {
    await center.push(slot, zeros, { content: "gradient", baseVersion: step, move, policy: { kind: "none" } });
  }
  expect(center.snapshot().velocity.map(Math.abs)).toEqual(new Float32Array(100));
});

const MODEL: ModelDescription = {
  name: "small",
  input: { height: 6, width: 6, channels: 1 },
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 5, padding: 1 },
    { kind: "batch-norm", name: "norm" },
    { kind: "relu", name: "relu" },
    { kind: "dense", name: "out", units: 3 },
  ],
};

test("[E9] [X15] steps of LARS at the center equal the engine's own, statistics included", async () => {
  const random = new Random(12);
  const images = Uint8Array.from({ length: 12 * 36 }, () => random.below(256));
  const labels = Uint8Array.from({ length: 12 }, () => random.below(3));
  const settings = { learningRate: 5, momentum: 0.8, weightDecay: 0.01 };
  const normalisation = { mean: [0.5], deviation: [0.25] };
  const plan = compilePlan(MODEL, { batch: 4, datasetExamples: 12, normalisation, optimizer: { kind: "lars" } });
  const start = initialParameters(plan.layout, 9);
  const backend = await createWasmBackend(WASM_MODULES);
  const [local, remote] = await Promise.all([backend.compile(plan), backend.compile(plan)]);
  for (const program of [local, remote]) {
    program.loadExamples(0, images, labels);
    program.writeParameters(start);
  }
  const center = await openCenter({ initial: start, layout: plan.layout, applier: "locked" });
  const slot = center.openSlot();
  for (let step = 0; step < 5; step++) {
    const batch = Uint32Array.from({ length: 4 }, () => random.below(12));
    local.step(batch, settings);
    remote.gradientStep(batch);
    const gradient = (await remote.takeGradient()).values;
    const move = { ...plain, ...settings, isLayerwise: true };
    await center.push(slot, payloadOf(gradient), {
      content: "gradient",
      baseVersion: step,
      move,
      policy: { kind: "none" },
    });
    remote.rebase(heldBy(slot), false);
    const expected = await local.readParameters();
    // Fused multiply-adds and another order of sums, in values up to 2; a step moves them by 1e-3 and more.
    expect(largestError(heldBy(slot), Float64Array.from(expected))).toBeLessThan(2e-5);
    expect(largestError(start, Float64Array.from(expected))).toBeGreaterThan(1e-3);
  }
  backend.close();
});

describe("without threads", () => {
  test.each([...MOVES, ...LAYERWISE])("$title in torn ranges is the same as at once", async ({ move }) => {
    const initial = within(layout, vector(layout.elements, 1));
    const job = { move, baseVersion: 0, policy: { kind: "none" } } as const;
    const whole = await openCore({ initial, layout });
    const torn = await openCore({ initial, layout });
    for (let turn = 0; turn < 4; turn++) {
      const pushed = within(layout, vector(layout.elements, 10 + turn));
      const [atOnce, inParts] = [whole.areaOf(pushed), torn.areaOf(pushed)];
      const expected = whole.core.applyTo(atOnce, { ...job, base: whole.areaOf(initial) });
      const pass = torn.core.beginApply(inParts, { ...job, base: torn.areaOf(initial) });
      if ("verdict" in pass) throw new Error("an apply was refused");
      const { paddedElements } = torn.memory.layout;
      const cuts = [0, 16, 160, Math.floor(paddedElements / 32) * 16, paddedElements];
      for (const from of [3, 0, 2, 1]) torn.core.applyRange(pass, cuts[from]!, cuts[from + 1]!);
      expect(torn.core.completeApply(pass)).toEqual(expected);
      expect(bitsOf(torn.values(inParts)).equals(bitsOf(whole.values(atOnce)))).toBe(true);
      expect(bitsOf(torn.center()).equals(bitsOf(whole.center()))).toBe(true);
    }
  });

  test("[X6] [S1] two applies that overlap see each other's ranges, and count as overlapped", async () => {
    const { core, areaOf, values, center, memory } = await openCore({ initial: new Float32Array(64) });
    const job = { move: { kind: "elastic", movingRate: 0.5 }, baseVersion: 0, policy: { kind: "none" } } as const;
    const [first, second] = [areaOf(new Float32Array(64).fill(2)), areaOf(new Float32Array(64).fill(4))];
    const one = core.beginApply(first, job);
    const other = core.beginApply(second, job);
    if ("verdict" in one || "verdict" in other) throw new Error("an apply was refused");
    core.applyRange(one, 0, 32);
    core.applyRange(other, 0, memory.layout.paddedElements);
    core.applyRange(one, 32, memory.layout.paddedElements);
    // The second found 1 in the first half, the first 2 in the second half.
    expect(center()).toEqual(Float32Array.from({ length: 64 }, (_, k) => (k < 32 ? 2.5 : 2)));
    expect(values(first)).toEqual(Float32Array.from({ length: 64 }, (_, k) => (k < 32 ? 0 : 2)));
    expect(values(second)).toEqual(Float32Array.from({ length: 64 }, (_, k) => (k < 32 ? 1 : 0)));
    expect(core.completeApply(other)).toMatchObject({ staleness: 0, version: 1, overlapped: true });
    expect(core.completeApply(one)).toMatchObject({ staleness: 0, version: 2, overlapped: true });
    expect(core.applyTo(second, job)).toMatchObject({ staleness: 2, centerVersion: 2, overlapped: false });
  });

  test("a weighted mean is made and applied without threads too", async () => {
    const { core, areaOf, values, center } = await openCore({ initial: new Float32Array(20) });
    const sum = areaOf(new Float32Array(20));
    core.addToSum(sum, areaOf(new Float32Array(20).fill(1)), 1);
    core.addToSum(sum, areaOf(new Float32Array(20).fill(5)), 3);
    const move = { kind: "elastic-mean", movingRate: 0.25 } as const;
    core.applySum(sum, { move, baseVersion: 0, policy: { kind: "none" }, weight: 4, count: 2 });
    expect(center()).toEqual(new Float32Array(20).fill(1));
    expect(values(sum)).toEqual(new Float32Array(20).fill(3));
    core.clear(sum);
    expect(values(sum)).toEqual(new Float32Array(20));
  });
});
