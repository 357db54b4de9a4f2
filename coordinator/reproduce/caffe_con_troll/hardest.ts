/** A claim about each of several comparisons, of which the one that is hardest on it is shown even where all agree. */

import { worstOf } from "../findings.ts";
import type { Finding } from "../paper.ts";

/** What makes a measured value hard on the claim. */
export type Hardness = "large" | "small" | "far-from-0";

export function hardestOf(id: string, findings: readonly Finding[], hardness: Hardness, note?: string): Finding {
  // `worstOf` takes the first of equals.
  return worstOf(
    id,
    findings.toSorted((one, other) => degreeOf(other, hardness) - degreeOf(one, hardness)),
    note,
  );
}

function degreeOf({ measured }: Finding, hardness: Hardness): number {
  if (measured === null) return Infinity;
  switch (hardness) {
    case "large":
      return measured;
    case "small":
      return -measured;
    case "far-from-0":
      return Math.abs(measured);
    default:
      return hardness satisfies never;
  }
}
