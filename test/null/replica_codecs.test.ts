/** SPEC C, H8 and X18 from the replica's side: what it encodes, what counts as sent, and what changes of the center do to its base. */

import { describe, expect, test } from "vitest";
import { CODEC_NAMES, encodedBytes, type CodecName } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import type { Codecs } from "../../shared/wire/vectors.ts";
import { PlainCenter } from "../support/plain_center.ts";
import { filled, ReplicaStage, spareProgram, TAU, vectorIn } from "../support/replica_stage.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

const { elements: ELEMENTS } = TINY_LAYOUT;
const BLOCK_CODECS = CODEC_NAMES.filter((codec) => codec !== "f32");

type Targets = (index: number) => number;

/** In 1/1024: one block's worth of values that all differ. */
const RAMP: Targets = (index) => (index + 1) / 1024;

async function joined(
  codecs: Codecs,
  settings: ConstructorParameters<typeof ReplicaStage>[0] = {},
  target: Targets = () => 1,
): Promise<ReplicaStage> {
  const stage = new ReplicaStage(settings, { codecs });
  stage.program.target.forEach((_, index, targets) => (targets[index] = target(index)));
  await stage.join();
  return stage;
}

/** Three steps half the way to them from 0 lead to `moved`. */
function aimedAt(moved: Targets): Targets {
  return (index) => (moved(index) * 8) / 7;
}

/** From now on steps lead nowhere, so that only exchanges are seen. */
function standStill(stage: ReplicaStage): void {
  stage.assignment = { ...stage.assignment, learningRate: 0 };
}

/** A step half the way to 8/7 of it. */
function afterOneMore(value: number): number {
  return value + ((value * 8) / 7 - value) / 2;
}

/** Exchanges until every parameter that came down is close to where training leads. */
async function exchangesToTarget(up: CodecName, down: CodecName): Promise<number> {
  const stage = await joined({ up, down }, { learningRate: 0.25 }, (index) => ((index * 37) % 128) / 128 - 0.5);
  const rate = 0.25;
  // With a sign of every element up and 4 of 128 elements down the one stirs up more than the other settles.
  const distance = up === "sign" && down === "top-k" ? 0.2 : 0.02;
  const center = new PlainCenter(stage.vectors, filled(0), { rate });
  for (let exchange = 1; exchange <= 800; exchange++) {
    // Else it would hold back (SPEC L2).
    stage.clock.pass(10);
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange, baseVersion: center.baseVersions[0] });
    const { payload, version, deltas } = center.push(push);
    await stage.answer(exchange, payload, { version, pull: rate, ...(deltas === undefined ? {} : { deltas }) });
    await stage.turn();
    expect(stage.program.base).toEqual(center.base);
    if (center.base.every((value, index) => Math.abs(value - stage.program.target[index]!) < distance)) return exchange;
  }
  return Infinity;
}

describe("Up", () => {
  test("[H8] [C1] The welcome's codec encodes the pushes; nothing else changes", async () => {
    for (const codec of CODEC_NAMES) {
      const stage = await joined({ up: codec, down: "f32" });
      const push = await stage.nextPush();
      expect(push.payload.byteLength).toBe(encodedBytes(codec, ELEMENTS));
      expect(push.payload).toEqual(encode(codec, filled(0.875)));
      expect(push.header).toEqual({
        exchange: 1,
        incarnation: 1,
        baseVersion: 10,
        content: "parameters",
        steps: TAU,
        samples: 4 * TAU,
        meanLoss: (64 + 16 + 4) / 3,
      });
    }
  });

  test("[C3] [X4] What counts as sent is the base and what was encoded: int8 by hand", async () => {
    // The scale is 127/128 / 127 = 1/128: half codes go to even ones, so that 1.5 is said as 2 and 2.5 too.
    const moved = [127, 1.5, 2.5].map((value) => value / 128);
    const target = aimedAt((index) => moved[index] ?? -3 / 128);
    const stage = await joined({ up: "int8", down: "f32" }, {}, target);
    const push = await stage.nextPush();
    expect([...decode("int8", push.payload, 4)].map((value) => 128 * value)).toEqual([127, 2, 2, -3]);
    standStill(stage);
    await stage.answer(1, filled(1 / 128), { pull: 0.5 });
    await stage.turn();
    // Half of (127 - 1), (2 - 1), (2 - 1) and (-3 - 1) away from where training was, one step after the push.
    const [a, b, c, d] = [...stage.program.parameters].map((value) => 128 * value);
    expect(a).toBeCloseTo(afterOneMore(127) - 63, 3);
    expect(b).toBeCloseTo(afterOneMore(1.5) - 0.5, 3);
    expect(c).toBeCloseTo(afterOneMore(2.5) - 0.5, 3);
    expect(d).toBeCloseTo(afterOneMore(-3) + 2, 3);
  });

  test("[C3] What top-k leaves out stays in the parameters, and is pushed later until nothing is left", async () => {
    const stage = await joined({ up: "top-k", down: "f32" }, {}, RAMP);
    await stage.trainTo(TAU);
    standStill(stage);
    const center = new PlainCenter(stage.vectors, filled(0), { rate: 1 });
    const first = await stage.nextPush();
    expect([...decode("top-k", first.payload, ELEMENTS)].filter((value) => value !== 0)).toHaveLength(4);
    let push = first;
    for (let exchange = 1; exchange < 40; exchange++) {
      const { payload, version } = center.push(push);
      // A pull of 0: the replica stays, and base becomes what the center was told of.
      await stage.answer(exchange, payload, { version, pull: 0 });
      push = await stage.nextPush();
    }
    // One step came before the learning rate was 0, and nothing after it.
    expect(center.values).toEqual(stage.program.parameters.map((value) => Math.fround(value)));
    expect(decode("top-k", push.payload, ELEMENTS)).toEqual(filled(0));
  });

  test("[C3] What encoded gradients leave out is added to the next one, over every answer", async () => {
    const stage = await joined({ up: "top-k", down: "f32" }, { solver: "sync-sgd" }, (index) => -(index + 1) / 128);
    const first = stage.receive("push");
    expect([...decode("top-k", first.payload, ELEMENTS)].slice(122)).toEqual(
      [0, 0, 125, 126, 127, 128].map((n) => n / 128),
    );
    await stage.answer(1, filled(0), { pull: 1 });
    const second = stage.receive("push");
    // Those that were told of are n/128 again, the others twice as much: 124, the greatest of them, is now 248/128.
    expect([...decode("top-k", second.payload, ELEMENTS)].slice(118)).toEqual(
      [0, 0, 242, 244, 246, 248, 0, 0, 0, 0].map((n) => n / 128),
    );
  });

  test("[C5] [L3] Nothing is pushed that is not finite, in any codec, and the replica restarts from the center", async () => {
    for (const up of BLOCK_CODECS) {
      const stage = await joined({ up, down: "f32" });
      await stage.trainTo(TAU);
      stage.program.parameters[77] = Number.POSITIVE_INFINITY;
      await stage.turn();
      await stage.turn();
      expect(stage.receive("pull").header).toEqual({});
      await stage.give(filled(0.5), { version: 20 });
      const push = await stage.nextPush();
      expect(push.header).toMatchObject({ exchange: 1, baseVersion: 20 });
      expect(push.payload).toEqual(encode(up, filled(0.5 * 0.875)));
    }
  });
});

describe("Down", () => {
  test("[X18] Changes of the center are added to the base one after the other, and the replica moves towards what that makes", async () => {
    const stage = await joined({ up: "f32", down: "int8" });
    await stage.nextPush();
    standStill(stage);
    const changes = [encode("int8", filled(127 / 256)), encode("int8", filled(-127 / 512))];
    await stage.answer(1, new Uint8Array(Buffer.concat(changes)), { deltas: 2, pull: 0.25 });
    await stage.turn();
    const base = 127 / 512;
    expect(stage.program.base).toEqual(filled(base));
    // One step came after the push, half the way from 0.875 to 1.
    expect(stage.program.parameters).toEqual(filled(0.9375 - 0.25 * (0.875 - base)));
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 11 });
    expect(vectorIn(push)).toEqual(filled(stage.program.parameters[0]! - base));
  });

  test("[X18] Values in place of changes are a whole base again", async () => {
    const stage = await joined({ up: "int4", down: "int4" });
    await stage.nextPush();
    await stage.answer(1, filled(0.25), { version: 40 });
    const push = await stage.nextPush();
    expect(stage.program.base).toEqual(filled(0.25));
    expect(push.header).toMatchObject({ exchange: 2, baseVersion: 40 });
  });

  test("[X18] An answer without a change leaves the base as it is; one without anything has the center pulled", async () => {
    const stage = await joined({ up: "f32", down: "int8" });
    await stage.nextPush();
    await stage.answer(1, undefined, { deltas: 0, version: 12 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 2, baseVersion: 12 });
    expect(stage.program.base).toEqual(filled(0));
    await stage.answer(2, undefined, { version: 13 });
    await stage.turn();
    stage.receive("pull");
    await stage.give(filled(0.5), { version: 14 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 3, baseVersion: 14 });
  });

  test("[X10] [X18] Two round trips: changes come with the pulled center, and the difference to it goes up in f32", async () => {
    const stage = await joined({ up: "f32", down: "int8" }, { exchange: "two-round-trip" });
    await stage.trainTo(TAU);
    await stage.turn();
    stage.receive("pull");
    standStill(stage);
    const at = stage.program.parameters[0]!;
    await stage.give(encode("int8", filled(127 / 256)), { deltas: 1 });
    const push = await stage.nextPush();
    const difference = 0.25 * (at - 127 / 256);
    expect(vectorIn(push)).toEqual(filled(difference));
    await stage.answer(1, undefined, { pull: 1 });
    await stage.turn();
    expect(stage.program.parameters).toEqual(filled(at - difference));
    expect(stage.program.base).toEqual(filled(127 / 256));
  });

  test("[X4] [X18] A gradient's answer makes base and parameters the same, by changes too", async () => {
    const stage = await joined({ up: "f32", down: "bf16" }, { solver: "sync-sgd" });
    stage.receive("push");
    await stage.answer(1, encode("bf16", filled(0.5)), { deltas: 1, pull: 1 });
    expect(vectorIn(stage.receive("push"))).toEqual(filled(-0.5));
    expect(stage.program.base).toEqual(filled(0.5));
    expect(stage.program.parameters).toEqual(filled(0.5));
  });
});

describe("Connections", () => {
  const codecs: Codecs = { up: "int4", down: "int8" };

  test("[X12] [C3] A retry is the same bytes: nothing is encoded again, whatever training did meanwhile", async () => {
    const stage = await joined(codecs);
    await stage.trainTo(TAU);
    await stage.turn();
    const [first] = stage.pair.toFar;
    const { sent } = stage.program;
    stage.pair.cut();
    await stage.reconnected();
    expect(stage.program.steps).toBeGreaterThan(TAU);
    await stage.welcome(undefined, { resumed: true });
    await stage.turn();
    expect(stage.pair.toFar.shift()).toEqual(first);
    expect(stage.program.sent).toEqual(sent);
  });

  test("[H6] [X11] After a restart of the coordinator with other codecs pushes are encoded in those, from the new base", async () => {
    const stage = await joined(codecs);
    await stage.nextPush();
    stage.pair.cut();
    await stage.reconnected();
    stage.vectors = { ...stage.vectors, codecs: { up: "bf16", down: "f32" } };
    standStill(stage);
    const at = stage.program.parameters.slice();
    await stage.welcome(filled(0.125), { incarnation: 2, version: 7, lastExchange: 4 });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 5, incarnation: 2, baseVersion: 7 });
    expect(push.payload).toEqual(
      encode(
        "bf16",
        at.map((value) => value - 0.125),
      ),
    );
  });

  test("[H8] A resumed welcome with other codecs is none: the replica comes back without a base", async () => {
    const stage = await joined(codecs);
    await stage.nextPush();
    stage.pair.cut();
    await stage.reconnected();
    stage.vectors = { ...stage.vectors, codecs: { up: "sign", down: "f32" } };
    await stage.welcome(undefined, { resumed: true });
    await stage.reconnected();
    const hello = await stage.welcome(filled(0.5), { version: 30 });
    expect(hello.header.resume?.incarnation).toBe(0);
    expect((await stage.nextPush()).header.baseVersion).toBe(30);
  });

  test("[X11] Refusals bring the center as values, whatever the codecs", async () => {
    const stage = await joined(codecs);
    await stage.nextPush();
    await stage.refuse("UNKNOWN_BASE", filled(0.25), { exchange: 1, version: 40 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 2, baseVersion: 40, steps: 2 * TAU });
    expect(stage.program.base).toEqual(filled(0.25));
    await stage.refuse("TOO_STALE", filled(0.5), { exchange: 2, version: 50 });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 3, baseVersion: 50, steps: TAU });
    expect(push.payload).toEqual(encode("int4", filled(0.5 * 0.875)));
  });

  test("[X16] An update is carried onto a new base with all that was not said of it", async () => {
    const stage = await joined({ up: "top-k", down: "f32" }, { solver: "downpour" }, RAMP);
    await stage.nextPush();
    const before = stage.program.parameters.slice();
    await stage.refuse("UNKNOWN_BASE", filled(0.5), { exchange: 1, version: 40 });
    await stage.turn();
    expect(stage.program.base).toEqual(filled(0.5));
    // One step, half the way, comes after the carrying.
    const carried = before.map((value) => value + 0.5);
    expect(stage.program.parameters).toEqual(carried.map((value, index) => value + (RAMP(index) - value) / 2));
  });

  test("A device that is lost in the middle of an exchange is replaced by one that begins at the center", async () => {
    const stage = await joined(codecs);
    const center = new PlainCenter(stage.vectors, filled(0));
    const { payload, version, deltas } = center.push(await stage.nextPush());
    await stage.answer(1, payload, { version, deltas });
    await stage.nextPush();
    const spare = spareProgram();
    stage.spares.push(spare);
    stage.program.isBroken = true;
    stage.loseDevice("gone");
    await stage.turn();
    await stage.reconnected();
    const given = center.give();
    await stage.welcome(given.payload, { version: given.version, lastExchange: 2 });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 3, baseVersion: given.version, steps: TAU });
    expect(spare.base).toEqual(center.base);
  });
});

describe("Convergence", () => {
  for (const up of CODEC_NAMES) {
    test(`[C2] [C4] A replica that pushes in ${up} brings the center to the target, whatever comes down, and both hold the same base`, async () => {
      for (const down of CODEC_NAMES) expect(await exchangesToTarget(up, down), down).toBeLessThan(800);
    });
  }
});
