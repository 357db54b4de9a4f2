/** ea-wild against several rivals of one race, as one claim. */

import { worstOf } from "../findings.ts";
import type { Finding } from "../paper.ts";
import { timeFinding, timeRatio, type Raced } from "../races.ts";

/** "Never worse beyond the interval": and surely less than a tenth slower. */
const MARGIN = 0.1;

/** For reports. */
export const NEVER_SLOWER = `*Never slower* is refuted by an interval of time ratios above 1 and shown by one below ${1 + MARGIN}.`;

/** Shows the rival that comes nearest, or is furthest ahead. */
export function neverSlower(id: string, own: Raced, rivals: readonly Raced[]): Finding {
  const hardestFirst = rivals.toSorted((one, other) => timeRatio(own, other).mean - timeRatio(own, one).mean);
  return worstOf(
    id,
    hardestFirst.map((rival) =>
      timeFinding(id, own, rival, { kind: "not-above", border: 1, margin: MARGIN }, `Shown is ${rival.name}.`),
    ),
  );
}
