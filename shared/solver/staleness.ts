/**
 * Staleness policies: how the age of a push changes what the center does with it (SPEC S). Pure functions, imported by
 * the applier threads (which alone know the version at the moment of an apply), by the simulator and by tests.
 *
 * Staleness s = versions (completed applies) between a replica's pull and the application of its push.
 */

export type StalenessPolicy =
  | { readonly kind: "none" }
  /** The rate (moving or learning rate, by the rule) is divided by 1 + s/s0 (after Zhang et al. 2015, staleness-aware async SGD). */
  | { readonly kind: "scale"; readonly halfRateStaleness: number }
  /** A push with s > limit is refused and its replica re-bases. */
  | { readonly kind: "bound"; readonly limit: number };

/** The rate that a push of staleness `staleness` gets, or `undefined` where the policy refuses it. */
export function rateUnder(policy: StalenessPolicy, rate: number, staleness: number): number | undefined {
  switch (policy.kind) {
    case "none":
      return rate;
    case "scale":
      return rate / (1 + staleness / policy.halfRateStaleness);
    case "bound":
      return staleness > policy.limit ? undefined : rate;
    default:
      return policy satisfies never;
  }
}

/** Versions completed since the pull; an apply that overlapped the pull may make the subtraction negative, hence the floor. */
export function stalenessOf(versionAtApply: number, baseVersion: number): number {
  return Math.max(0, versionAtApply - baseVersion);
}
