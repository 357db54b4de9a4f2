/**
 * Compute groups, and a barrier as one group of everybody, in virtual time, as coordinator/order/grouped.ts and group.ts have
 * them: a round closes when all who are waited for have pushed, or, of a group, when the rest is overdue; the weighted mean
 * moves the center once.
 */

import { centerMoveOf } from "../../shared/solver/center_rule.ts";
import { dividedIntoGroups, groupOfNewcomer, regroupedAfterLeave, type Grouping } from "../../shared/solver/groups.ts";
import { rateUnder, stalenessOf } from "../../shared/solver/staleness.ts";
import { deadlineMs } from "../order/deadline.ts";
import { Round } from "../order/round.ts";
import type { Applied, TooStale } from "./arithmetic.ts";
import type { CenterSide, SimulatedOrder } from "./center_side.ts";
import type { Parcel, Push } from "./messages.ts";
import { Servers } from "./servers.ts";
import type { VirtualReplica } from "./virtual_replica.ts";
import type { World } from "./world.ts";

interface OpenRound {
  readonly round: Round<VirtualReplica>;
  readonly sum: Parcel;
  readonly contributions: { readonly push: Push; readonly counted: number }[];
  /** On their way into the sum. */
  coming: number;
  isClosed: boolean;
  /** When the last push came. */
  lastSeconds: number;
  /** The version that the members were answered with; of a group's first round, that of its first push. */
  baseVersion: number | undefined;
  /** The group's round after this one. */
  next: OpenRound | undefined;
}

interface Group {
  readonly members: Set<VirtualReplica>;
  open: OpenRound;
}

/** A push weighs as much as the work that was asked for, or up to twice that. */
const MOST_WEIGHT = 2;

export class SimulatedGroups implements SimulatedOrder {
  readonly #world: World;
  readonly #center: CenterSide;
  readonly #isBarrier: boolean;
  readonly #members = new Set<VirtualReplica>();
  readonly #groupOf = new Map<VirtualReplica, Group>();
  /** Overdue once: not waited for until their next push. */
  readonly #late = new Set<VirtualReplica>();
  /** Pushes are added one after the other. */
  #adder = new Servers(1);
  #groups: Group[];

  constructor(world: World, center: CenterSide) {
    this.#world = world;
    this.#center = center;
    this.#isBarrier = world.isBarrier;
    this.#groups = this.#newGroups(new Map());
  }

  joined(replica: VirtualReplica): void {
    if (this.#members.has(replica)) return;
    const at =
      this.#groups.length === 1 ? 0 : groupOfNewcomer([...this.#members], this.#grouping(), this.#groups.length);
    this.#members.add(replica);
    this.#late.delete(replica);
    const group = this.#groups[at];
    if (!group) throw new Error("invariant violation: a newcomer without a group");
    this.#groupOf.set(replica, group);
    group.members.add(replica);
    group.open.round.join(replica);
  }

  left(replica: VirtualReplica): void {
    if (!this.#members.delete(replica)) return;
    this.#late.delete(replica);
    const group = this.#groupOf.get(replica);
    this.#groupOf.delete(replica);
    if (group) {
      group.members.delete(replica);
      group.open.round.leave(replica);
      this.#closeIfDue(group);
    }
    if (this.#groups.length === 1) return;
    const better = regroupedAfterLeave([...this.#members], this.#grouping(), this.#groups.length);
    if (better) this.#regroup(better);
  }

  arrived(push: Push): void {
    const { replica } = push;
    this.#late.delete(replica);
    const group = this.#groupOf.get(replica) ?? this.#groups[0];
    if (!group) throw new Error("invariant violation: an order without groups");
    const { open } = group;
    const { nowSeconds, scenario } = this.#world;
    open.round.push(replica);
    open.coming++;
    open.lastSeconds = nowSeconds;
    this.#closeIfDue(group);
    const seconds = this.#center.reducesAlongTree ? 0 : (scenario.accumulateSeconds ?? scenario.applySeconds);
    this.#world.at(this.#adder.begin(nowSeconds, seconds) + seconds, () => this.#contribute(open, push));
  }

  retuned(): void {
    if (this.#groupCount === this.#groups.length) return;
    this.#regroup(dividedIntoGroups([...this.#members], this.#groupCount));
  }

  flush(): void {
    for (const group of this.#groups) {
      if (group.open.round.arrived.size > 0) this.#close(group);
      this.#world.arithmetic.release(group.open.sum);
    }
  }

  abort(): void {
    this.#late.clear();
    this.#adder = new Servers(1);
    for (const group of this.#groups) group.open = this.#newRound(group.members);
  }

  groupOf(replica: VirtualReplica): readonly VirtualReplica[] {
    const group = this.#groupOf.get(replica);
    return group && this.#world.settings.groups !== null ? [...group.members] : [replica];
  }

  get #groupCount(): number {
    return this.#isBarrier ? 1 : (this.#world.settings.groups ?? 1);
  }

  #contribute(open: OpenRound, push: Push): void {
    const { arithmetic } = this.#world;
    open.coming--;
    const staleness = stalenessOf(arithmetic.version, push.baseVersion);
    if (this.#isTooStale(staleness)) {
      if (push.base) arithmetic.release(push.base);
      this.#center.refuse(push, "too-stale", this.#world.nowSeconds);
    } else {
      const vector = this.#center.check(push);
      if (vector) {
        open.baseVersion ??= push.baseVersion;
        const { summed, counted } = this.#weightsOf(push, open.baseVersion);
        arithmetic.addToSum(open.sum, push, summed);
        arithmetic.release(vector);
        push.vector = undefined;
        open.contributions.push({ push, counted });
      }
    }
    this.#applyIfWhole(open);
  }

  /** A barrier's gradients and updates are all of one version; elsewhere the policy says. */
  #isTooStale(staleness: number): boolean {
    const { rule, settings } = this.#world;
    if (this.#isBarrier) return staleness > 0 && rule.content !== "parameters";
    return rateUnder(settings.staleness, 1, staleness) === undefined;
  }

  #weightsOf({ assignment, samples, baseVersion }: Push, roundVersion: number): { summed: number; counted: number } {
    const { rule, settings } = this.#world;
    if (this.#isBarrier && rule.content === "parameters") return { summed: 1, counted: 1 };
    const { communicationPeriod: steps, samples: asked } = assignment;
    const most = rule.takesGradients ? asked : MOST_WEIGHT * steps * asked;
    const weight = Math.min(Math.max(1, samples), most);
    const behind = stalenessOf(roundVersion, baseVersion);
    const summed = weight * (rateUnder(settings.staleness, 1, behind) ?? 1);
    return { summed, counted: rule.content === "parameters" ? summed : weight };
  }

  #closeIfDue(group: Group): void {
    const { open } = group;
    if (open.round.arrived.size === 0) return;
    if (open.round.isComplete || (!this.#isBarrier && this.#isOverdue(group))) this.#close(group);
  }

  #isOverdue(group: Group): boolean {
    const { awaited, arrived, beganMs } = group.open.round;
    const { nowSeconds } = this.#world;
    let longest = 0;
    let since = beganMs / 1000;
    for (const { expectedSeconds } of arrived) longest = Math.max(longest, expectedSeconds);
    for (const { expectedSeconds, answeredSeconds } of awaited) {
      longest = Math.max(longest, expectedSeconds);
      since = Math.max(since, answeredSeconds);
    }
    const deadlineSeconds = deadlineMs(1000 * since, 1000 * longest) / 1000;
    if (nowSeconds >= deadlineSeconds) return true;
    const { open } = group;
    this.#world.at(deadlineSeconds, () => {
      if (group.open === open) this.#closeIfDue(group);
    });
    return false;
  }

  #close(group: Group): void {
    const { open } = group;
    for (const replica of open.round.awaited) this.#late.add(replica);
    open.isClosed = true;
    group.open = this.#newRound(group.members, open.baseVersion);
    open.next = group.open;
    this.#applyIfWhole(open);
  }

  #applyIfWhole(open: OpenRound): void {
    if (!open.isClosed || open.coming > 0) return;
    const { arithmetic } = this.#world;
    const { contributions, sum } = open;
    if (contributions.length === 0) {
      arithmetic.release(sum);
      return;
    }
    arithmetic.divideSum(
      sum,
      contributions.reduce((total, { counted }) => total + counted, 0),
    );
    const reduced = this.#world.nowSeconds + this.#treeSeconds(open, "up");
    this.#world.at(reduced, () => this.#apply(open));
  }

  #apply(open: OpenRound): void {
    const { contributions, sum, lastSeconds } = open;
    const { arithmetic, settings } = this.#world;
    const pushes = contributions.map(({ push }) => push);
    const newest = Math.max(...pushes.map(({ baseVersion }) => baseVersion));
    const isOfParameters = this.#world.rule.content === "parameters";
    this.#center.admit({
      vector: sum,
      groupSize: pushes.length,
      begunSeconds: Math.max(...pushes.map(({ begunSeconds }) => begunSeconds)),
      arrivedSeconds: lastSeconds,
      job: () => ({
        move: centerMoveOf(
          this.#world.settings,
          { version: arithmetic.version, replicas: this.#isBarrier ? pushes.length : this.#world.present },
          true,
        ),
        policy: settings.staleness,
        baseVersion: isOfParameters ? newest : Math.min(newest, open.baseVersion ?? newest),
        base: pushes[0]?.base,
        count: pushes.length,
        fragment: this.#world.wire.fragment(0),
      }),
      done: (result, leftSeconds) => this.#answer(open, pushes, result, leftSeconds),
    });
  }

  #answer(open: OpenRound, pushes: readonly Push[], result: Applied | TooStale, leftSeconds: number): void {
    const { arithmetic, tally } = this.#world;
    // The members of the next round have this version; whoever comes with an older one is late.
    if (result.verdict === "applied" && open.next) open.next.baseVersion = result.centerVersion + 1;
    const treeSeconds = this.#center.reducesAlongTree ? this.#treeSeconds(open, "down") : undefined;
    for (const push of pushes) {
      if (push.base) arithmetic.release(push.base);
      if (result.verdict === "too-stale") {
        this.#center.refuse(push, "too-stale", leftSeconds);
        continue;
      }
      tally.applied(push, result.staleness + stalenessOf(open.baseVersion ?? push.baseVersion, push.baseVersion));
    }
    if (result.verdict === "applied") this.#center.answer(pushes, open.sum, result, leftSeconds, treeSeconds);
    else arithmetic.release(open.sum);
  }

  /** ceil(log2 P) hops, each as slow as the slowest link (SC17 §6). */
  #treeSeconds({ contributions }: OpenRound, way: "up" | "down"): number {
    if (!this.#center.reducesAlongTree) return 0;
    const { links, wire } = this.#world;
    const hops = Math.max(1, Math.ceil(Math.log2(contributions.length)));
    const slowest = Math.max(
      ...contributions.map(({ push: { replica } }) =>
        way === "up"
          ? links.secondsUp(replica.index, wire.bytesUp(0))
          : links.secondsDown(replica.index, wire.changeBytes),
      ),
    );
    return hops * slowest;
  }

  /** What has been pushed counts in the old groups at once; everybody's next push is for the new ones. */
  #regroup(grouping: Grouping): void {
    this.flush();
    this.#groups = this.#newGroups(grouping);
  }

  #newGroups(grouping: Grouping): Group[] {
    const groups = Array.from({ length: this.#groupCount }, (_, at): Group => {
      const members = new Set([...this.#members].filter(({ id }) => grouping.get(id) === at));
      return { members, open: this.#newRound(members) };
    });
    this.#groupOf.clear();
    for (const group of groups) for (const replica of group.members) this.#groupOf.set(replica, group);
    return groups;
  }

  #newRound(members: Iterable<VirtualReplica>, baseVersion?: number): OpenRound {
    const awaited = [...members].filter((replica) => !this.#late.has(replica));
    return {
      round: new Round(awaited, 1000 * this.#world.nowSeconds),
      sum: this.#world.arithmetic.openSum(),
      contributions: [],
      coming: 0,
      isClosed: false,
      lastSeconds: 0,
      baseVersion,
      next: undefined,
    };
  }

  #grouping(): Grouping {
    return new Map(this.#groups.flatMap(({ members }, at) => [...members].map(({ id }): [string, number] => [id, at])));
  }
}
