/**
 * How far a correct f32 kernel may be from the double-precision reference. Derived, not guessed.
 *
 * A sum of n products in f32, in any order, with or without fused multiply-add, is off by at most
 * gamma(n) * sum |a||b|, gamma(n) = n*u / (1 - n*u), u = 2^-24 (Higham, Accuracy and Stability, 3.1). That is reached only
 * when all roundings point the same way. Taking them as independent with mean zero, the error stays below
 * lambda * sqrt(n) * u * sum |a||b| except with probability 2*n*exp(-lambda^2 / 2) (Higham and Mary 2019, Theorem 2.4);
 * lambda = 7 makes that 2e-7 for n = 5000. The smaller of the two is the bound, so short sums get the certain one.
 */

import type { Numbers } from "./convolution.ts";

/** Unit roundoff of f32. */
export const UNIT_ROUNDOFF = 2 ** -24;
const LAMBDA = 7;
/** The bias, the final scaling and the rounding of the stored result are operations too. */
const EXTRA_ROUNDINGS = 3;

/**
 * The largest allowed |kernel - reference| for an element that sums `sumLength` products with `operandMagnitude` = the sum
 * of |a||b| over them (the reference, run on absolute values, gives just that).
 */
export function tolerance(sumLength: number, operandMagnitude: number): number {
  const roundings = sumLength + EXTRA_ROUNDINGS;
  const certain = (roundings * UNIT_ROUNDOFF) / (1 - roundings * UNIT_ROUNDOFF);
  const likely = LAMBDA * Math.sqrt(roundings) * UNIT_ROUNDOFF;
  return Math.min(certain, likely) * operandMagnitude;
}

/**
 * The first element that is further from `expected` than `allowed` says, as a sentence, or undefined when none is. NaN is always
 * outside, so outputs filled with NaN beforehand show an element that nobody wrote.
 */
export function firstOutside(actual: Numbers, expected: Numbers, allowed: Numbers): string | undefined {
  if (actual.length !== expected.length) return `length ${actual.length} instead of ${expected.length}`;
  for (let index = 0; index < actual.length; index++) {
    if (!(Math.abs(actual[index]! - expected[index]!) <= allowed[index]!)) {
      return `element ${index} of ${actual.length} is ${actual[index]} instead of ${expected[index]} (tolerance ${allowed[index]})`;
    }
  }
  return undefined;
}
