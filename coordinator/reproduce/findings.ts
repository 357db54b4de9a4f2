/** From an estimate to what is reported of a claim, and from several comparisons to one finding. */

import type { Finding } from "./paper.ts";
import { seedsToDecide, verdictOf, type Estimate, type Expectation, type Verdict } from "./statistics.ts";

/** Worst first. */
const VERDICTS: readonly Verdict[] = ["not reproduced", "inconclusive", "reproduced"];

export function findingOf(id: string, found: Estimate, expectation: Expectation, note?: string): Finding {
  const verdict = verdictOf(found, expectation);
  return {
    id,
    measured: found.mean,
    // Of one seed nothing is known.
    interval: found.count > 1 ? [found.low, found.high] : null,
    seeds: found.count,
    verdict,
    seedsToDecide: verdict === "inconclusive" ? seedsToDecide(found, expectation) : null,
    ...(note === undefined ? {} : { note }),
  };
}

/**
 * Where a claim is about each of several: it stands only if all do, and the worst verdict's is shown. Of those that are alike the first: the
 * hardest on the claim should come first.
 */
export function worstOf(id: string, findings: readonly Finding[], note?: string): Finding {
  const worst = findings.toSorted(
    (one, other) =>
      VERDICTS.indexOf(one.verdict) - VERDICTS.indexOf(other.verdict) || seedsLeft(other) - seedsLeft(one),
  )[0];
  if (!worst) throw new Error("invariant violation: the worst of no findings");
  const words = [worst.note, note].filter((part) => part !== undefined).join(" ");
  return { ...worst, id, ...(words === "" ? {} : { note: words }) };
}

function seedsLeft({ verdict, seedsToDecide: seeds }: Finding): number {
  return verdict === "inconclusive" ? (seeds ?? Number.MAX_SAFE_INTEGER) : 0;
}

/** A claim that could not be measured, with the reason. */
export function unmeasured(id: string, reason: string): Finding {
  return { id, measured: null, interval: null, seeds: 0, verdict: "inconclusive", seedsToDecide: null, note: reason };
}
