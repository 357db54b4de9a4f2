/** What a replica does with its leases (SPEC K): client/replica, on a stage where the test is the coordinator. */

import { expect, test } from "vitest";
import type { Lease } from "../../shared/lease.ts";
import { orderOf } from "../../shared/lease_order.ts";
import type { Header } from "../../shared/wire/messages.ts";
import { filled, ReplicaStage, spareProgram, TAU } from "../support/replica_stage.ts";
import { TINY_SETTINGS } from "../support/tiny_run.ts";

/** Of three steps of four. */
const PERIOD = 12;
const LEASE: Lease = { id: 5, epoch: 1, ranges: [{ first: 0, count: 20 }], seed: 3, from: 2 };
const NEXT: Lease = { id: 6, epoch: 1, ranges: [{ first: 4, count: 10 }], seed: 4, from: 0 };
const DATA = {
  ...TINY_SETTINGS.data,
  shards: [
    { url: "data/0.bin", examples: 8 },
    { url: "data/1.bin", examples: 12 },
  ],
};

async function joined(leases: readonly Lease[], changes: Header<"welcome"> | object = {}): Promise<ReplicaStage> {
  const stage = new ReplicaStage();
  await stage.join(filled(0), { leases, ...changes });
  return stage;
}

function drawn({ program }: ReplicaStage, from = 0, steps = TAU): number[] {
  return program.drawn.slice(from, from + steps).flatMap((batch) => Array.from(batch));
}

test("[K3] [K4] A replica trains on its lease in order, and its push says how far, of the steps before it alone", async () => {
  const stage = await joined([LEASE, NEXT]);
  const push = await stage.nextPush();
  expect(drawn(stage)).toEqual([...orderOf(LEASE).subarray(2, 2 + PERIOD)]);
  expect(push.header.leased).toEqual([{ lease: 5, upTo: 2 + PERIOD }]);
  // It trains on while the answer is under way.
  await stage.trainTo(TAU + 2);
  await stage.answer(1, filled(0.5));
  const second = await stage.nextPush();
  expect(second.header.leased).toEqual([
    { lease: 5, upTo: 20 },
    { lease: 6, upTo: 2 * PERIOD - 18 },
  ]);
});

test("[K2] Leases that an answer brings are used after those before; without any the push claims nothing", async () => {
  const stage = await joined([]);
  expect((await stage.nextPush()).header).not.toHaveProperty("leased");
  await stage.answer(1, filled(0.5), { leases: [LEASE] });
  const before = stage.program.steps;
  const push = await stage.nextPush();
  expect(drawn(stage, before, 1)).toEqual([...orderOf(LEASE).subarray(2, 6)]);
  const [claim] = push.header.leased ?? [];
  expect(claim?.lease).toBe(5);
  expect(claim?.upTo).toBeGreaterThan(2);
  expect(claim?.upTo).toBeLessThanOrEqual(2 + 4 * (stage.program.steps - before));
});

test("[K4] After TOO_STALE the examples of the refused push are used again, and claimed by the next one", async () => {
  const stage = await joined([LEASE]);
  const refused = await stage.nextPush();
  await stage.trainTo(TAU + 1);
  await stage.refuse("TOO_STALE", filled(0.25), { exchange: 1, version: 40 });
  const before = stage.program.steps;
  const push = await stage.nextPush();
  expect(drawn(stage, before)).toEqual([...orderOf(LEASE).subarray(2, 2 + PERIOD)]);
  expect(push.header.leased).toEqual(refused.header.leased);
});

test("[K4] After UNKNOWN_BASE the work goes on, and the next push claims that of both", async () => {
  const stage = await joined([LEASE]);
  await stage.nextPush();
  await stage.refuse("UNKNOWN_BASE", filled(0.25), { exchange: 1, version: 40 });
  const push = await stage.nextPush();
  expect(push.header).toMatchObject({ samples: 2 * PERIOD, leased: [{ lease: 5, upTo: 20 }] });
});

test("[K4] [X12] A retry after a resumed welcome says the same, and leases that the welcome does not name are forgotten", async () => {
  const stage = await joined([LEASE, NEXT]);
  const push = await stage.nextPush();
  stage.pair.cut();
  await stage.reconnected();
  await stage.welcome(undefined, { resumed: true, leases: [{ ...LEASE, from: 2 }] });
  expect((await stage.nextPush()).header).toEqual(push.header);
  await stage.answer(1, filled(0.5));
  const next = await stage.nextPush();
  expect(next.header.leased).toEqual([{ lease: 5, upTo: 20 }]);
});

test("[H5] [K5] Who comes back without its base forgets its leases, and tells of work without claims", async () => {
  const stage = await joined([LEASE]);
  await stage.nextPush();
  stage.pair.cut();
  await stage.reconnected();
  await stage.welcome(filled(0.5), { incarnation: 2, version: 3, lastExchange: 0, leases: [NEXT] });
  const push = await stage.nextPush();
  expect(push.header.samples).toBeGreaterThanOrEqual(PERIOD);
  expect(push.header.leased?.find(({ lease }) => lease === 5)).toBeUndefined();
  await stage.answer(push.header.exchange, filled(0.5), { version: 4 });
  expect((await stage.nextPush()).header.leased).toEqual([{ lease: 6, upTo: 10 }]);
});

test("[K2] Shards of leases are asked for in the order in which they are needed, and used when they are there", async () => {
  const stage = new ReplicaStage({ data: DATA });
  stage.loaded.splice(0, 1, { first: 0, count: 8 });
  const far: Lease = { id: 7, epoch: 1, ranges: [{ first: 8, count: 6 }], seed: 1, from: 0 };
  const near: Lease = { id: 8, epoch: 1, ranges: [{ first: 0, count: 8 }], seed: 1, from: 0 };
  const hello = await stage.join(filled(0), { leases: [far, near] });
  expect(hello.header.shards).toEqual([0]);
  expect(stage.wanted).toEqual(far.ranges);
  const push = await stage.nextPush();
  // Eight examples of the one that is loaded, and four that count for no epoch.
  expect(push.header.leased).toEqual([{ lease: 8, upTo: 8 }]);
  for (const example of drawn(stage)) expect(example).toBeLessThan(8);
  stage.loaded.push({ first: 8, count: 12 });
  await stage.answer(1, filled(0.5));
  expect((await stage.nextPush()).header.leased).toEqual([{ lease: 7, upTo: 6 }]);
});

test("[H5] With another device the replica begins with the leases of the next welcome, and still names shards that it had", async () => {
  const stage = new ReplicaStage({ data: DATA });
  stage.spares.push(spareProgram());
  await stage.join(filled(0), { leases: [LEASE] });
  await stage.nextPush();
  stage.loaded.splice(0, 1, { first: 0, count: 8 }, { first: 8, count: 12 });
  await stage.answer(1, filled(0.5));
  stage.loaded.splice(1, 1);
  stage.loseDevice("The GPU device was lost.");
  await stage.reconnected();
  stage.pair.open();
  const hello = stage.receive("hello");
  expect(hello.header.shards).toEqual([0]);
  await stage.say("welcome", { ...stage.welcomeHeader, version: 30, lastExchange: 1, leases: [NEXT] }, filled(0));
  const push = await stage.nextPush();
  expect(stage.wanted).toEqual(NEXT.ranges);
  expect(push.header).not.toHaveProperty("leased");
});
