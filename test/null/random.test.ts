import { expect, test } from "vitest";
import { Random } from "../../shared/random.ts";

function draw(seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: 8 }, () => random.bits());
}

test("Equal seeds give equal sequences, other seeds others", () => {
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("A shuffle keeps every value once", () => {
  const values = Uint32Array.from({ length: 1000 }, (_, index) => index);
  new Random(3).shuffle(values);
  expect(values.every((value, index) => value === index)).toBe(false);
  expect(values.toSorted()).toEqual(Uint32Array.from({ length: 1000 }, (_, index) => index));
});

test("Uniform numbers fill [0, 1) evenly and normal ones have mean 0 and variance 1", () => {
  const random = new Random(11);
  const count = 100_000;
  let uniformSum = 0;
  let normalSum = 0;
  let squareSum = 0;
  for (let index = 0; index < count; index++) {
    const uniform = random.uniform();
    expect(uniform >= 0 && uniform < 1).toBe(true);
    uniformSum += uniform;
    const normal = random.normal();
    normalSum += normal;
    squareSum += normal * normal;
  }
  // Five standard errors: 0.29/sqrt(n), 1/sqrt(n) and sqrt(2/n).
  expect(Math.abs(uniformSum / count - 0.5)).toBeLessThan((5 * 0.2887) / Math.sqrt(count));
  expect(Math.abs(normalSum / count)).toBeLessThan(5 / Math.sqrt(count));
  expect(Math.abs(squareSum / count - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
});
