/** Training sets that are sorted by class: coordinator/data/mixing.ts. */

import { expect, test } from "vitest";
import type { Examples } from "../../coordinator/data/dataset.ts";
import { loadDataset } from "../../coordinator/data/library.ts";
import { isMixed, mix } from "../../coordinator/data/mixing.ts";
import { cutShards } from "../../coordinator/data/shards.ts";

function copyOf({ images, labels, count }: Examples, order: readonly number[]): Examples {
  const bytes = images.length / count;
  const sorted = {
    images: new Uint8Array(order.length * bytes),
    labels: new Uint8Array(order.length),
    count: order.length,
  };
  for (const [place, example] of order.entries()) {
    sorted.images.set(images.subarray(example * bytes, (example + 1) * bytes), place * bytes);
    sorted.labels[place] = labels[example]!;
  }
  return sorted;
}

/** Pixel sums with their labels, to know examples by. */
function fingerprints({ images, labels, count }: Examples): string[] {
  const bytes = images.length / count;
  return Array.from({ length: count }, (_, example) => {
    const image = images.subarray(example * bytes, (example + 1) * bytes);
    return `${labels[example]} ${image.reduce((sum, pixel, at) => (sum * 31 + pixel + at) % 1_000_003, 7)}`;
  });
}

test("MNIST is mixed as it is, and keeps the addresses of its shards", async () => {
  const mnist = await loadDataset("unused", "mnist");
  const before = cutShards(mnist).map(({ path }) => path);
  expect(isMixed(mnist.train.labels)).toBe(true);
  mix(mnist.train);
  expect(cutShards(mnist).map(({ path }) => path)).toEqual(before);
});

test("A set that is sorted by class is mixed: the same order each time, every image with its label", async () => {
  const { train } = await loadDataset("unused", "mnist");
  const byClass = [...Array(6000).keys()].toSorted((a, b) => train.labels[a]! - train.labels[b]! || a - b);
  const [once, twice] = [copyOf(train, byClass), copyOf(train, byClass)];
  const before = fingerprints(once);
  expect(isMixed(once.labels)).toBe(false);
  mix(once);
  mix(twice);
  expect(isMixed(once.labels)).toBe(true);
  expect(fingerprints(once)).toEqual(fingerprints(twice));
  expect(fingerprints(once)).not.toEqual(before);
  expect(fingerprints(once).toSorted()).toEqual(before.toSorted());
  // Once it is mixed it stays as it is.
  mix(once);
  expect(fingerprints(once)).toEqual(fingerprints(twice));
});

test("Halves of different classes are not mixed, whatever the order within them; one class is", () => {
  const halves = Uint8Array.from({ length: 4000 }, (_, at) => (at < 2000 ? at % 2 : 2 + (at % 2)));
  expect(isMixed(halves)).toBe(false);
  expect(isMixed(new Uint8Array(4000).fill(3))).toBe(true);
});
