/**
 * Replicas that move the center together (SPEC X15, G): compute groups, which do not wait for each other, and barriers, where one
 * group has everybody. A group's round closes when all who are waited for have pushed; the weighted mean of their pushes is
 * one move of the center, and all are answered with it. `group.ts` holds one group's open round.
 */

import { solverOf } from "../../shared/solver/catalogue.ts";
import {
  dividedIntoGroups,
  groupOfNewcomer,
  regroupedAfterLeave,
  type Grouping,
  type Paced,
} from "../../shared/solver/groups.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { Replica } from "../roster.ts";
import { Group, type SumOfRound } from "./group.ts";
import type { ExchangeOrder, OrderPort, OrderResult } from "./order.ts";

export class Grouped implements ExchangeOrder {
  readonly #port: OrderPort;
  /** Waits for everybody, however long. */
  readonly #isBarrier: boolean;
  readonly #members = new Set<Replica>();
  /** Overdue once: not waited for until their next push is there. */
  readonly #late = new Set<Replica>();
  /** Rounds of present groups and of former ones that are not yet in the center. */
  readonly #closing = new Set<SumOfRound>();
  #groups: Group[];

  constructor(port: OrderPort) {
    this.#port = port;
    this.#isBarrier = solverOf(port.settings().solver).order === "barrier";
    this.#groups = this.#newGroups(new Map());
  }

  join(replica: Replica): void {
    if (this.#members.has(replica)) return;
    const group = this.#groups[groupOfNewcomer(this.#paced(), this.#grouping(), this.#groups.length)];
    this.#members.add(replica);
    this.#late.delete(replica);
    group?.join(replica);
  }

  leave(replica: Replica): void {
    if (!this.#members.delete(replica)) return;
    this.#late.delete(replica);
    for (const group of this.#groups) group.leave(replica);
    const better = regroupedAfterLeave(this.#paced(), this.#grouping(), this.#groups.length);
    if (better) this.#regroup(better);
  }

  push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<OrderResult> {
    this.#late.delete(replica);
    // A push may come when its replica's connection is gone already: it counts in some group all the same.
    const group = this.#groups.find(({ members }) => members.has(replica)) ?? this.#groups[0];
    if (!group) throw new Error("invariant violation: an order without groups");
    return group.push(replica, header, payload);
  }

  tick(): void {
    for (const group of this.#groups) group.tick();
  }

  retuned(): void {
    if (this.#groupCount !== this.#groups.length) {
      this.#regroup(dividedIntoGroups(this.#paced(), this.#groupCount));
    }
  }

  flush(): void {
    for (const group of this.#groups) group.dissolve();
  }

  joined(replica: Replica, header: Header<"joined">): void {
    this.#groups.find(({ members }) => members.has(replica))?.peers?.joined(replica, header);
  }

  signalled(replica: Replica, header: Header<"signal">): void {
    this.#groups.find(({ members }) => members.has(replica))?.peers?.signalled(replica, header);
  }

  abort(): void {
    for (const closing of this.#closing) closing.isAborted = true;
    for (const group of this.#groups) group.abort();
  }

  groupOf(replica: Replica): number | null {
    if (this.#port.settings().groups === null) return null;
    const at = this.#groups.findIndex(({ members }) => members.has(replica));
    return at < 0 ? null : at;
  }

  sharersOf(replica: Replica): readonly Replica[] {
    const group = this.#groups.find(({ members }) => members.has(replica));
    return group ? [...group.members] : [replica];
  }

  get #groupCount(): number {
    return this.#isBarrier ? 1 : (this.#port.settings().groups ?? 1);
  }

  /** What has been pushed counts in the old groups at once; everybody's next push is for the new ones. */
  #regroup(grouping: Grouping): void {
    this.flush();
    this.#groups = this.#newGroups(grouping);
  }

  #newGroups(grouping: Grouping): Group[] {
    const [late, closing] = [this.#late, this.#closing];
    return Array.from({ length: this.#groupCount }, (_, at) => {
      const members = [...this.#members].filter(({ id }) => grouping.get(id) === at);
      return new Group({ port: this.#port, isBarrier: this.#isBarrier, members, late, closing });
    });
  }

  #grouping(): Grouping {
    const grouping = new Map<string, number>();
    for (const [at, { members }] of this.#groups.entries()) for (const { id } of members) grouping.set(id, at);
    return grouping;
  }

  #paced(): Paced[] {
    return [...this.#members];
  }
}
