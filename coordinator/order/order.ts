/**
 * How the pushes of several replicas come together at the center: one interface for everything between a push that passed
 * the gate and its result. `direct.ts` takes whoever comes first, `round_robin.ts` one after the other in a fixed order,
 * `grouped.ts` takes compute groups and barriers as one. What each of them moves the center by is `centerMoveOf`'s.
 */

import { solverOf } from "../../shared/solver/catalogue.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import type { Fragment } from "../../shared/wire/codec/codec.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { Center, PushResult } from "../center/center.ts";
import type { Replica } from "../roster.ts";
import { Direct } from "./direct.ts";
import { Grouped } from "./grouped.ts";
import type { PeerRoundsOptions } from "./peer_rounds.ts";
import { RoundRobin } from "./round_robin.ts";

/**
 * What became of a push. `restarted`: the run went back to an earlier center before it counted. `not-averaged`: a claim for a
 * direct average that does not count; its exchange is not settled. `average`: the next exchange may be averaged so.
 */
export type OrderResult =
  | (Extract<PushResult, { verdict: "applied" }> & { readonly average?: Header<"answer">["average"] })
  | Exclude<PushResult, { verdict: "applied" }>
  | { readonly verdict: "restarted" }
  | { readonly verdict: "not-averaged" };

export interface ExchangeOrder {
  /** It is connected, and has a place at the center. A replica that is a member already stays it. */
  join(replica: Replica): void;
  /** Nobody waits for it any longer. What it has pushed counts. */
  leave(replica: Replica): void;
  /**
   * Resolves when the push counts, with the answer in the replica's place where that has one of its own. One at a time for each
   * replica. `ranges`: what came of a lossy push.
   */
  push(
    replica: Replica,
    header: Header<"push">,
    payload: Uint8Array,
    ranges?: readonly Fragment[],
  ): Promise<OrderResult>;
  /** Time went by: whoever is overdue is waited for no longer. */
  tick(): void;
  /** The settings changed. */
  retuned(): void;
  /** Has what is held count at once: another order takes over. */
  flush(): void;
  /** Drops what is held and not yet on its way into the center, as `restarted`. */
  abort(): void;
  /** The replica's group, or null where the order has none or it is no member. */
  groupOf(replica: Replica): number | null;
  /** Those that the replica shares its work with, itself included. */
  sharersOf(replica: Replica): readonly Replica[];
  /** Of groups that may average among themselves (SPEC G8). */
  joined?(replica: Replica, header: Header<"joined">): void;
  signalled?(replica: Replica, header: Header<"signal">): void;
}

/** What an order knows of its run. */
export interface OrderPort {
  readonly center: Center;
  /** As they are now. */
  readonly settings: () => SolverSettings;
  readonly connected: () => readonly Replica[];
  readonly nowMs: () => number;
  /** Where the run lets members of groups average among themselves. */
  readonly peers?: PeerRoundsOptions;
}

type Kind = "direct" | "round-robin" | "grouped";

/** By the table alone: nothing here knows a solver by its name. */
export function orderKindOf({ solver, groups }: SolverSettings): Kind {
  const { order } = solverOf(solver);
  if (order === "barrier") return "grouped";
  if (order === "round-robin") return "round-robin";
  return groups === null ? "direct" : "grouped";
}

export function orderOf(kind: Kind, port: OrderPort): ExchangeOrder {
  switch (kind) {
    case "direct":
      return new Direct(port);
    case "round-robin":
      return new RoundRobin(port);
    case "grouped":
      return new Grouped(port);
    default:
      return kind satisfies never;
  }
}
