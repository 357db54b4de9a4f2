/**
 * A lease: examples of one epoch that one replica, and no other, trains on (SPEC K). It names them so shortly that it fits into
 * a header: its ranges, put into the order that `seed` gives (`orderOf`, lease_order.ts), from place `from` on. So what is left of
 * a lease, when its replica leaves, is the same lease with a higher `from`.
 */

import * as v from "valibot";

/** That one message may carry, and that one replica may hold. */
export const MOST_LEASES = 8;
export const MOST_RANGES = 8;

const wholeOrZero = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

export const leaseSchema = v.strictObject({
  /** Unique in the run; never given twice. */
  id: whole,
  /** From 1: how often every example was given before. */
  epoch: whole,
  /** Examples `first` to `first + count - 1` of the data set, each range within one shard. */
  ranges: v.pipe(
    v.array(v.strictObject({ first: wholeOrZero, count: whole })),
    v.minLength(1),
    v.maxLength(MOST_RANGES),
    v.readonly(),
  ),
  seed: wholeOrZero,
  /** Of the shuffled examples, the first that is still to be trained on. */
  from: wholeOrZero,
});

export type Lease = v.InferOutput<typeof leaseSchema>;

/** How far a lease was used: the examples before place `upTo` of its order. */
export const leaseClaimSchema = v.strictObject({ lease: wholeOrZero, upTo: wholeOrZero });

export type LeaseClaim = v.InferOutput<typeof leaseClaimSchema>;

/** All examples of it, used or not. */
export function leaseLength({ ranges }: Pick<Lease, "ranges">): number {
  return ranges.reduce((sum, { count }) => sum + count, 0);
}
