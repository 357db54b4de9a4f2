/** SPEC X17 from the replica's side: exchanges that carry a fragment each, in turn. */

import { describe, expect, test } from "vitest";
import { encodedBytes } from "../../shared/wire/codec/codec.ts";
import { encode } from "../../shared/wire/codec/naive.ts";
import type { Codecs } from "../../shared/wire/vectors.ts";
import { PlainCenter } from "../support/plain_center.ts";
import { BLOCKS_MODEL, filled, ReplicaStage, TAU, vectorIn } from "../support/replica_stage.ts";

/** Of the 448 elements in three fragments: one block, one block, and one and a half. */
const EDGES = [0, 128, 256, 448];
const F32: Codecs = { up: "f32", down: "f32" };

async function joined(fragments: number, codecs = F32, model = BLOCKS_MODEL): Promise<ReplicaStage> {
  const stage = new ReplicaStage({ fragments }, { codecs, model });
  await stage.join(wholeOf(stage, 0));
  return stage;
}

function wholeOf({ vectors }: ReplicaStage, value: number): Float32Array<ArrayBuffer> {
  return filled(value, vectors);
}

function part(index: number, value: number): Float32Array<ArrayBuffer> {
  return new Float32Array(EDGES[index + 1]! - EDGES[index]!).fill(value);
}

describe("Fragments", () => {
  test("[X17] Exchanges carry one after the other, each with its own base version, every so many steps as are assigned", async () => {
    const stage = await joined(3);
    const versions = new Map([0, 1, 2].map((index) => [index, 10]));
    for (let exchange = 1; exchange <= 7; exchange++) {
      const index = (exchange - 1) % 3;
      const push = await stage.nextPush();
      expect(push.header).toMatchObject({ exchange, fragment: index, baseVersion: versions.get(index), steps: TAU });
      expect(push.payload.byteLength).toBe(4 * (EDGES[index + 1]! - EDGES[index]!));
      versions.set(index, 100 + exchange);
      await stage.answer(exchange, part(index, 0.5), { fragment: index, version: 100 + exchange });
    }
  });

  test("[X4] [X17] An answer moves base and parameters in its fragment alone", async () => {
    const stage = await joined(3);
    await stage.nextPush();
    const at = stage.program.parameters[0]!;
    stage.assignment = { ...stage.assignment, learningRate: 0 };
    await stage.answer(1, part(0, 0.5), { fragment: 0, pull: 0.25 });
    await stage.turn();
    const moved = at - 0.25 * (0.875 - 0.5);
    expect([...stage.program.base]).toEqual([...part(0, 0.5), ...new Float32Array(320)]);
    expect([...stage.program.parameters]).toEqual([...part(0, moved), ...new Float32Array(320).fill(at)]);
    const push = await stage.nextPush();
    expect(push.header.fragment).toBe(1);
    expect(vectorIn(push)).toEqual(part(1, at));
  });

  test("[X17] An answer for another fragment than the push's is not what was promised: the center is pulled", async () => {
    const stage = await joined(3);
    await stage.nextPush();
    await stage.answer(1, part(1, 0.5), { fragment: 1 });
    await stage.turn();
    stage.receive("pull");
    expect(stage.program.base).toEqual(wholeOf(stage, 0));
    await stage.give(wholeOf(stage, 0.5), { version: 40 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 2, fragment: 1, baseVersion: 40 });
  });

  test("[X11] [X17] A refusal's center is the base of every fragment", async () => {
    const stage = await joined(3);
    await stage.nextPush();
    await stage.answer(1, part(0, 0.5), { fragment: 0, version: 12 });
    await stage.nextPush();
    await stage.refuse("UNKNOWN_BASE", wholeOf(stage, 0.25), { exchange: 2, version: 40 });
    for (const [exchange, fragment] of [
      [3, 2],
      [4, 0],
      [5, 1],
    ] as const) {
      const push = await stage.nextPush();
      expect(push.header).toMatchObject({ exchange, fragment, baseVersion: 40 });
      await stage.answer(exchange, part(fragment, 0.25), { fragment, version: 40 });
    }
  });

  test("[H6] [X17] So is the center of a restarted coordinator, and a restart of all begins each of them anew", async () => {
    const stage = await joined(3);
    await stage.nextPush();
    stage.pair.cut();
    await stage.reconnected();
    await stage.welcome(wholeOf(stage, 0.125), { incarnation: 2, version: 7, lastExchange: 4 });
    expect((await stage.nextPush()).header).toMatchObject({ exchange: 5, fragment: 1, incarnation: 2, baseVersion: 7 });
    await stage.refuse("RESTARTED", wholeOf(stage, 0.5), { exchange: 5, version: 50, incarnation: 2 });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ exchange: 6, fragment: 2, baseVersion: 50, steps: TAU });
    expect(vectorIn(push)).toEqual(part(2, 0.5 * 0.875));
  });

  test("[X12] [X17] A retry carries the same fragment in the same bytes", async () => {
    const stage = await joined(3, { up: "int8", down: "int8" });
    await stage.trainTo(TAU);
    await stage.turn();
    const [first] = stage.pair.toFar;
    stage.pair.cut();
    await stage.reconnected();
    await stage.welcome(undefined, { resumed: true });
    await stage.turn();
    expect(stage.pair.toFar[0]).toEqual(first);
    expect(stage.receive("push").payload).toEqual(encode("int8", part(0, 0.875)));
  });

  test("[X17] Fragments that would be empty get no turn", async () => {
    // 448 elements are four blocks: of five fragments the first is empty.
    const stage = await joined(5);
    const seen: (number | undefined)[] = [];
    for (let exchange = 1; exchange <= 5; exchange++) {
      const push = await stage.nextPush();
      const { fragment } = push.header;
      seen.push(fragment);
      await stage.answer(exchange, vectorIn(push), fragment === undefined ? {} : { fragment });
    }
    expect(seen).toEqual([1, 2, 3, 4, 1]);
  });

  test("[X18] [X17] Each fragment gets the changes since its own last exchange, and holds what the coordinator says that it holds", async () => {
    const stage = await joined(3, { up: "int8", down: "int4" });
    const center = new PlainCenter(stage.vectors, wholeOf(stage, 0));
    for (let exchange = 1; exchange <= 12; exchange++) {
      const push = await stage.nextPush();
      const fragment = push.header.fragment ?? 0;
      expect(push.header.baseVersion).toBe(center.baseVersions[fragment]);
      if (exchange % 4 === 0) center.wander((index) => ((index % 5) - 2) / 64);
      const { payload, version, deltas } = center.push(push);
      // A first turn has missed what was published for the fragments before; later ones what was for all.
      expect(deltas).toBe(Math.min(exchange, 3));
      expect(payload.byteLength).toBe(deltas! * encodedBytes("int4", EDGES[fragment + 1]! - EDGES[fragment]!));
      await stage.answer(exchange, payload, { fragment, version, ...(deltas === undefined ? {} : { deltas }) });
      await stage.turn();
      expect(stage.program.base).toEqual(center.base);
    }
  });
});
