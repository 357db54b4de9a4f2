/** What a replica draws while leases and shards come, and pushes are answered or refused: shared/leased_sampler.ts. */

import { expect, test } from "vitest";
import type { Lease } from "../../shared/lease.ts";
import { orderOf } from "../../shared/lease_order.ts";
import { LeasedSampler } from "../../shared/leased_sampler.ts";
import { Random } from "../../shared/random.ts";

const SHARD = { first: 0, count: 100 };
const OTHER_SHARD = { first: 100, count: 100 };

function lease(id: number, first: number, count: number, from = 0): Lease {
  return { id, epoch: 1, ranges: [{ first, count }], seed: id, from };
}

function sampler(...leases: readonly Lease[]): LeasedSampler {
  const made = new LeasedSampler(new Random(1), 200);
  made.add(SHARD);
  made.give(leases);
  return made;
}

test("[K3] Leases are used one after the other, each in its order from its place on", () => {
  const [first, second] = [lease(1, 0, 10, 4), lease(2, 50, 10)];
  const drawing = sampler(first, second);
  expect([...drawing.draw(8)]).toEqual([...orderOf(first).subarray(4), ...orderOf(second).subarray(0, 2)]);
  expect(drawing.claims).toEqual([
    { lease: 1, upTo: 10 },
    { lease: 2, upTo: 2 },
  ]);
  expect([...drawing.draw(3)]).toEqual([...orderOf(second).subarray(2, 5)]);
});

test("[K3] Where no lease is loaded, other examples are drawn, and nothing is claimed for them", () => {
  const waiting = lease(1, 100, 10);
  const drawing = sampler(waiting);
  expect(drawing.missing).toEqual([{ first: 100, count: 10 }]);
  for (const example of drawing.draw(20)) expect(example).toBeLessThan(100);
  expect(drawing.claims).toEqual([]);
  drawing.give([lease(2, 20, 5)]);
  // The loaded one does not wait for the other.
  expect([...drawing.draw(5)]).toEqual([...orderOf(lease(2, 20, 5))]);
  drawing.add(OTHER_SHARD);
  expect(drawing.missing).toEqual([]);
  const batch = [...drawing.draw(12)];
  expect(batch.slice(0, 10)).toEqual([...orderOf(waiting)]);
  expect(drawing.claims).toEqual([
    { lease: 1, upTo: 10 },
    { lease: 2, upTo: 5 },
  ]);
});

test("[K4] An answer settles what its push said, and no more; a used lease is forgotten", () => {
  const drawing = sampler(lease(1, 0, 10), lease(2, 50, 10));
  drawing.draw(10);
  const pushed = drawing.claims;
  // Trained meanwhile.
  drawing.draw(4);
  drawing.settle(pushed);
  expect(drawing.claims).toEqual([{ lease: 2, upTo: 4 }]);
  drawing.settle(drawing.claims);
  expect(drawing.claims).toEqual([]);
  // An answer that comes again changes nothing.
  drawing.settle(pushed);
  expect([...drawing.draw(6)]).toEqual([...orderOf(lease(2, 50, 10)).subarray(4)]);
});

test("[K4] After a restart from the center the same examples are used again", () => {
  const only = lease(1, 0, 30);
  const drawing = sampler(only);
  drawing.draw(8);
  drawing.settle(drawing.claims);
  const given = [...drawing.draw(12)];
  drawing.rollBack();
  expect(drawing.claims).toEqual([]);
  expect([...drawing.draw(12)]).toEqual(given);
  expect(drawing.claims).toEqual([{ lease: 1, upTo: 20 }]);
});

test("[K2] A welcome's leases are all that count: those that it names go on where they were, the others are forgotten", () => {
  const [kept, lost, added] = [lease(1, 0, 30), lease(2, 40, 30), lease(3, 80, 10)];
  const drawing = sampler(kept, lost);
  drawing.draw(35);
  drawing.rollBack();
  drawing.draw(8);
  drawing.keep([{ ...kept, from: 5 }, added]);
  expect(drawing.claims).toEqual([{ lease: 1, upTo: 8 }]);
  expect([...drawing.draw(24)]).toEqual([...orderOf(kept).subarray(8), ...orderOf(added).subarray(0, 2)]);
});

test("Leases that no such data set has are passed over, and many that nobody uses are forgotten", () => {
  const drawing = sampler(lease(1, 150, 60), { ...lease(2, 0, 10), from: 10 }, lease(3, 0, 2 ** 40));
  drawing.draw(5);
  expect(drawing.claims).toEqual([]);
  for (let id = 10; id < 100; id++) drawing.give([lease(id, 100, 10)]);
  expect(drawing.missing).toHaveLength(32);
  drawing.give([lease(100, 0, 10)]);
  drawing.draw(5);
  expect(drawing.claims).toEqual([{ lease: 100, upTo: 5 }]);
});
