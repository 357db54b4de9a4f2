/**
 * What a solver asks of a replica: whether it takes steps of its own, what it pushes, whether it trains on meanwhile. Read by
 * the client's replica and by the simulator, so that both train the same way. The vectors move on the replica's device.
 *
 * An answer is a vector y and a pull p (center_rule.ts). Whoever took steps of its own moves x <- x - p * (x_sent - y), in
 * whatever state training has brought x to; a replica of a gradient solver takes y as its parameters.
 */

import { solverOf, type SolverName } from "./catalogue.ts";
import type { SolverSettings } from "./settings.ts";

/**
 * What a push carries:
 * - parameters: x - base, from which the coordinator has x again.
 * - difference: alpha * (x - pulled center), which the replica has moved by already: two round trips.
 * - gradient: of one batch, at the base.
 * - update: x - base, as the sum of what tau steps did.
 */
export type PushContent = "parameters" | "difference" | "gradient" | "update";

export interface ReplicaRule {
  /** Gradients at the center and no steps of its own: an exchange for every batch. */
  readonly takesGradients: boolean;
  readonly content: PushContent;
  /** Pulls the center first, and computes the difference itself. */
  readonly isTwoRoundTrip: boolean;
  /** Whether the momentum of the settings is the replica's. */
  readonly hasMomentum: boolean;
  /** The optimizer that the solver prescribes for local steps; otherwise the settings choose. */
  readonly optimizer?: "nesterov";
  /** Whether local steps go on while an exchange is in flight; else the replica waits for the answer. */
  readonly trainsMeanwhile: boolean;
  /** Whether the others wait for this replica: one that pauses has to leave. */
  readonly isAwaited: boolean;
}

export function replicaRuleOf(solver: SolverName, exchange: SolverSettings["exchange"]): ReplicaRule {
  const { rule, momentum, order } = solverOf(solver);
  const isTwoRoundTrip = rule === "elastic" && exchange === "two-round-trip";
  const isAwaited = order === "barrier" || order === "round-robin";
  return {
    takesGradients: rule === "gradient",
    content: contentOf(rule, isTwoRoundTrip),
    isTwoRoundTrip,
    hasMomentum:
      momentum === "replica" ||
      momentum === "optional-replica" ||
      momentum === "replica-nesterov" ||
      momentum === "center-nesterov",
    ...(momentum === "replica-nesterov" ? { optimizer: "nesterov" } : {}),
    trainsMeanwhile: rule !== "gradient" && !isAwaited,
    isAwaited,
  };
}

function contentOf(rule: ReturnType<typeof solverOf>["rule"], isTwoRoundTrip: boolean): PushContent {
  switch (rule) {
    case "elastic":
      return isTwoRoundTrip ? "difference" : "parameters";
    case "gradient":
      return "gradient";
    case "accumulated-gradient":
    case "pseudo-gradient":
      return "update";
    default:
      return rule satisfies never;
  }
}
