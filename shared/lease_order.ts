/**
 * The order in which the examples of a lease are used (SPEC K2): all examples of its ranges, shuffled by its seed. The same on every
 * machine, so that a place in it says which examples were used, to whoever reads the log too.
 */

import { leaseLength, type Lease } from "./lease.ts";
import { Random } from "./random.ts";

/** Numbers of examples in the data set; those before the lease's `from` included. */
export function orderOf(lease: Pick<Lease, "ranges" | "seed">): Uint32Array {
  const order = new Uint32Array(leaseLength(lease));
  let at = 0;
  for (const { first, count } of lease.ranges) {
    for (let index = 0; index < count; index++) order[at++] = first + index;
  }
  new Random(lease.seed).shuffle(order);
  return order;
}
