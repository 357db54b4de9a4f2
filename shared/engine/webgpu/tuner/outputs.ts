/** Whether two kernels wrote the same numbers: a compiler's or a driver's mistake must not win for being fast. */

import type { Candidate } from "../choice/candidate.ts";

/**
 * How far a candidate's numbers may be from the rule's, as a part of the largest of them. Sums of thousands of products in
 * another order, and Winograd's, stay well below in f32; operands in f16 have 11 bits.
 */
export function toleranceOf({ storage }: Pick<Candidate, "storage">): number {
  return storage === "f16" ? 2e-2 : 1e-3;
}

/** As a part of the largest expected; NaN where one of them is no number. */
export function largestDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.NaN;
  let largest = 0;
  let difference = 0;
  for (let at = 0; at < expected.length; at++) {
    const off = Math.abs(actual[at]! - expected[at]!);
    if (Number.isNaN(off)) return Number.NaN;
    difference = Math.max(difference, off);
    largest = Math.max(largest, Math.abs(expected[at]!));
  }
  return largest === 0 ? difference : difference / largest;
}
