import { expect, test } from "vitest";
import { randomFor, Sampler } from "../../shared/sampler.ts";
import { Random } from "../../shared/random.ts";

function drawn(sampler: Sampler, batch: number, batches: number): number[] {
  return Array.from({ length: batches }, () => [...sampler.draw(batch)]).flat();
}

function sorted(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}

function drawnFor(seed: number, replica: string): number[] {
  const sampler = new Sampler(randomFor(seed, replica));
  sampler.add({ first: 0, count: 100 });
  return [...sampler.draw(20)];
}

const HUNDRED = Array.from({ length: 100 }, (_, index) => index);

test("Each example comes once per epoch, in another order each time, also where batches do not divide the epoch", () => {
  const sampler = new Sampler(new Random(1));
  sampler.add({ first: 0, count: 100 });
  const stream = drawn(sampler, 7, 100);
  const epochs = [0, 1, 2, 3, 4, 5, 6].map((epoch) => stream.slice(100 * epoch, 100 * (epoch + 1)));
  for (const epoch of epochs) expect(sorted(epoch)).toEqual(HUNDRED);
  expect(new Set(epochs.map(String)).size).toBe(epochs.length);
});

test("Shards that arrive during an epoch are shuffled into the rest of it", () => {
  const sampler = new Sampler(new Random(2));
  sampler.add({ first: 60, count: 40 });
  const before = drawn(sampler, 5, 3);
  sampler.add({ first: 0, count: 60 });
  expect(sampler.examples).toBe(100);
  const after = drawn(sampler, 5, 17);
  expect(sorted([...before, ...after])).toEqual(HUNDRED);
  // The new ones do not wait for the old ones to end.
  expect(after.slice(0, 25).some((example) => example < 60)).toBe(true);
});

test("A batch may be larger than what is loaded", () => {
  const sampler = new Sampler(new Random(3));
  sampler.add({ first: 10, count: 3 });
  expect(sorted([...sampler.draw(7)].slice(0, 6))).toEqual([10, 10, 11, 11, 12, 12]);
});

test("A drawn batch keeps its examples while others are drawn", () => {
  const sampler = new Sampler(new Random(4));
  sampler.add({ first: 0, count: 10 });
  const batch = sampler.draw(4);
  const copy = batch.slice();
  for (let epoch = 0; epoch < 5; epoch++) sampler.draw(10);
  expect(batch).toEqual(copy);
});

test("Replicas of one run draw different examples, and the same replica of the same run the same", () => {
  expect(drawnFor(1, "r1")).toEqual(drawnFor(1, "r1"));
  const others = [drawnFor(1, "r1"), drawnFor(1, "r2"), drawnFor(1, "r11"), drawnFor(2, "r1")];
  expect(new Set(others.map(String)).size).toBe(4);
});
