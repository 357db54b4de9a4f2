/**
 * An exchange as a direct average sees it (SPEC G8): what the member brings to it, and what it tells the coordinator when it has
 * the mean. The members average what each of them would have pushed, decoded; the mean travels as f32.
 */

import type { Assignment } from "../../../shared/solver/assignment.ts";
import { pushWeight } from "../../../shared/solver/groups.ts";
import type { ReplicaRule } from "../../../shared/solver/replica_rule.ts";
import { decode } from "../../../shared/wire/codec/naive.ts";
import type { Header } from "../../../shared/wire/messages.ts";
import type { InFlight } from "../exchange.ts";
import type { Averaged, AverageRequest } from "./peer_group.ts";

export function averageRequestOf(
  { header, codec, payload, fragment }: InFlight,
  rule: ReplicaRule,
  assignment: Assignment,
): AverageRequest {
  return {
    baseVersion: header.baseVersion,
    weight: pushWeight(header, assignment, rule.isAwaited),
    vector: () => decode(codec, payload, fragment.toElement - fragment.fromElement),
  };
}

/** In place of a push of its own, under the same number. */
export function claimOf(
  header: Header<"push">,
  { mean, epoch, isLeader }: Averaged,
): { readonly header: Header<"push">; readonly payload: Uint8Array } {
  const payload = isLeader ? new Uint8Array(mean.buffer) : new Uint8Array(0);
  return { header: { ...header, average: { epoch, isLeader } }, payload };
}
