/** The slices of a lossy push: whatever arrives of them, it is known what of the vector it is. */

import { describe, expect, test } from "vitest";
import { BLOCK_ELEMENTS, CODEC_NAMES, encodedBytes } from "../../shared/wire/codec/codec.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { decodeSlice, encodeSlice, longestSliceBytes, slicePlanOf, sliceRange } from "../../shared/wire/slices.ts";
import { Random } from "../../shared/random.ts";

const ELEMENTS = [1, 128, 129, 4096, 54_912, 431_080, 25_000_000];

describe.each(CODEC_NAMES)("Slices of %s", (codec) => {
  test.each(ELEMENTS)(
    "[T6] %i elements: whole blocks, one behind the other, no more slices than a header can list",
    (elements) => {
      const plan = slicePlanOf(codec, elements);
      expect(plan.slices).toBeGreaterThan(0);
      expect(plan.slices).toBeLessThanOrEqual(LIMITS.lossyParts);
      let at = 0;
      for (let index = 0; index < plan.slices; index++) {
        const { fromElement, toElement } = sliceRange(plan, index);
        expect(fromElement).toBe(at);
        expect(toElement).toBeGreaterThan(fromElement);
        expect(toElement % BLOCK_ELEMENTS === 0 || toElement === elements).toBe(true);
        at = toElement;
      }
      expect(at).toBe(elements);
      // One packet each, unless there would be too many.
      if (encodedBytes(codec, elements) < 1000 * LIMITS.lossyParts) {
        expect(longestSliceBytes(plan)).toBeLessThanOrEqual(1136);
      }
    },
  );

  test("[T6] Slices in any order make the vector again", () => {
    const elements = 10_000;
    const random = new Random(3);
    const encoded = Uint8Array.from({ length: encodedBytes(codec, elements) }, () => random.below(256));
    const plan = slicePlanOf(codec, elements);
    const messages = Array.from({ length: plan.slices }, (_, index) => encodeSlice(plan, 7, index, encoded));
    const again = new Uint8Array(encoded.length);
    for (const message of messages.toReversed()) {
      const slice = decodeSlice(plan, message);
      if (!slice) throw new Error("a slice was not understood");
      expect(slice.exchange).toBe(7);
      again.set(slice.payload, encodedBytes(codec, sliceRange(plan, slice.index).fromElement));
    }
    expect(again).toEqual(encoded);
  });
});

test("[T6] What is no slice of this plan is none: cut, too long, another magic, an index beyond the end, a false length", () => {
  const plan = slicePlanOf("int4", 10_000);
  const encoded = new Uint8Array(encodedBytes("int4", 10_000));
  const good = encodeSlice(plan, 1, plan.slices - 1, encoded);
  expect(decodeSlice(plan, good)?.index).toBe(plan.slices - 1);
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  for (const bad of [
    new Uint8Array(0),
    good.subarray(0, 15),
    good.subarray(0, good.length - 1),
    new Uint8Array([...good, 0]),
    changed(0, 0),
    changed(8, plan.slices),
    changed(11, 255),
    changed(12, 1),
  ]) {
    expect(decodeSlice(plan, bad)).toBeUndefined();
  }
  const random = new Random(11);
  for (let round = 0; round < 2000; round++) {
    const noise = good.slice(0, random.below(good.length + 1));
    for (let flips = random.below(8); flips >= 0 && noise.length > 0; flips--)
      noise[random.below(noise.length)] = random.below(256);
    const slice = decodeSlice(plan, noise);
    if (slice) expect(slice.index).toBeLessThan(plan.slices);
  }
});
