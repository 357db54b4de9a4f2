/**
 * What a push must pass before the center sees it (SPEC X1, X12, X13). Pure: header and record in, decision out. That every
 * value is finite and bounded is checked by the applier's first pass, where the values are at hand (SPEC L3).
 */

import type { PushContent } from "../shared/solver/replica_rule.ts";
import type { RefusalCode } from "../shared/wire/codes.ts";
import type { Header } from "../shared/wire/messages.ts";
import type { Replica } from "./roster.ts";

export type Decision =
  | { readonly kind: "pass" }
  /** A retry of the last settled exchange: the same answer again. */
  | { readonly kind: "repeat" }
  /** A retry of the exchange that is being applied: the answer, once it is there. */
  | { readonly kind: "wait" }
  | { readonly kind: "refuse"; readonly code: RefusalCode };

export function gate(push: Header<"push">, replica: Replica, incarnation: number, content: PushContent): Decision {
  if (push.incarnation !== incarnation) return refuse("WRONG_INCARNATION");
  if (replica.inFlight) {
    return replica.inFlight.exchange === push.exchange ? { kind: "wait" } : refuse("OUT_OF_TURN");
  }
  if (push.exchange <= replica.lastExchange) {
    const settled = replica.settled;
    const settledExchange = settled?.kind === "answer" ? settled.header.exchange : settled?.exchange;
    return settledExchange === push.exchange ? { kind: "repeat" } : refuse("OLD_EXCHANGE");
  }
  if (push.content !== content) return refuse("BAD_HEADER");
  const { place } = replica;
  const { fragment = 0 } = push;
  if (!place?.holds(fragment) || push.baseVersion !== place.baseVersion(fragment)) return refuse("UNKNOWN_BASE");
  return { kind: "pass" };
}

function refuse(code: RefusalCode): Decision {
  return { kind: "refuse", code };
}
