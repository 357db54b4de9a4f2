/**
 * The center's side of a simulated run: whose push counts when (the order), how long it waits for the lock or for a thread, how
 * long its apply takes, and who is answered. The orders follow those of real runs (coordinator/order/).
 */

import { centerMoveOf } from "../../shared/solver/center_rule.ts";
import { solverOf } from "../../shared/solver/catalogue.ts";
import type { Assignment } from "../../shared/solver/assignment.ts";
import type { Applied, CenterJob, Pass, TooStale } from "./arithmetic.ts";
import type { Answer, Parcel, Push } from "./messages.ts";
import { RingOrder } from "./ring_order.ts";
import { Servers } from "./servers.ts";
import { SimulatedGroups } from "./simulated_groups.ts";
import type { VirtualReplica } from "./virtual_replica.ts";
import type { World } from "./world.ts";

/** What is to be applied as one: a push, or a round of a group. */
export interface CenterWork {
  readonly vector: Parcel;
  /** With the settings and the version as they are when it begins. */
  readonly job: () => CenterJob;
  readonly groupSize: number;
  /** When the answer left that the work began with, and when all of it was here. */
  readonly begunSeconds: number;
  readonly arrivedSeconds: number;
  /** `leftSeconds`: when the answer, which is in `vector`, can leave. */
  readonly done: (result: Applied | TooStale, leftSeconds: number) => void;
}

export type Deliver = (replica: VirtualReplica, membership: number, answer: Answer) => void;

/** How pushes come together (coordinator/order/order.ts). */
export interface SimulatedOrder {
  joined(replica: VirtualReplica): void;
  left(replica: VirtualReplica): void;
  arrived(push: Push): void;
  /** The settings changed. */
  retuned(): void;
  /** Another order takes over: what is held counts at once. */
  flush(): void;
  /** What is held is forgotten; all vectors are gone already. */
  abort(): void;
  /** Those with whom a replica shares its work. */
  groupOf(replica: VirtualReplica): readonly VirtualReplica[];
}

export class CenterSide {
  readonly #world: World;
  readonly #deliver: Deliver;
  readonly #isLocked: boolean;
  #lock = new Servers(1);
  #threads: Servers;
  #order: SimulatedOrder;
  #isGrouped: boolean;

  constructor(world: World, deliver: Deliver) {
    const { applier, applierThreads, solver } = world.scenario;
    this.#world = world;
    this.#deliver = deliver;
    this.#isLocked = applier === "locked" || (applier === "auto" && solverOf(solver).order !== "lock-free");
    this.#threads = new Servers(applierThreads);
    this.#isGrouped = this.#wantsGroups;
    this.#order = this.#newOrder();
  }

  joined(replica: VirtualReplica): void {
    this.#order.joined(replica);
  }

  left(replica: VirtualReplica): void {
    this.#order.left(replica);
  }

  arrived(push: Push): void {
    this.#order.arrived(push);
  }

  assignmentOf(replica: VirtualReplica): Assignment {
    return this.#world.assignmentOf(replica, this.#order.groupOf(replica));
  }

  /** Whether pushes meet on their way (SC17 algorithm 2): the tree's hops follow when all have pushed. */
  get reducesAlongTree(): boolean {
    return this.#isGrouped && this.#world.scenario.topology === "tree";
  }

  retuned(): void {
    if (this.#wantsGroups === this.#isGrouped) return this.#order.retuned();
    this.#order.flush();
    this.#isGrouped = this.#wantsGroups;
    this.#order = this.#newOrder();
    for (const replica of this.#world.replicas) if (replica.isMember) this.#order.joined(replica);
  }

  /** Everything that was under way is over. */
  restart(): void {
    this.#order.abort();
    this.#lock = new Servers(1);
    this.#threads = new Servers(this.#world.scenario.applierThreads);
  }

  /** One push that moves the center by itself, unless it is refused. */
  serve(push: Push): void {
    const { arithmetic, scenario } = this.#world;
    // The gradient is computed when its turn has come, so that nothing but its base is kept until then.
    const admitted = this.check(push);
    if (!admitted) return;
    this.admit({
      vector: admitted,
      groupSize: 1,
      begunSeconds: push.begunSeconds,
      arrivedSeconds: this.#world.nowSeconds,
      job: () => ({
        move: centerMoveOf(this.#world.settings, { version: arithmetic.version, replicas: this.#world.present }, false),
        policy: scenario.staleness,
        baseVersion: push.baseVersion,
        base: push.base,
        count: 1,
        fragment: this.#world.wire.fragment(push.fragment),
      }),
      done: (result, leftSeconds) => {
        if (push.base) arithmetic.release(push.base);
        if (result.verdict === "too-stale") return this.refuse(push, "too-stale", leftSeconds);
        this.#world.tally.applied(push, result.staleness);
        this.answer([push], admitted, result, leftSeconds);
      },
    });
  }

  /** What is pushed, computed and checked; undefined where it was refused. */
  check(push: Push): Parcel | undefined {
    const verdict = this.#world.arithmetic.complete(push);
    if (verdict === "sound" && push.vector) return push.vector;
    if (push.base) this.#world.arithmetic.release(push.base);
    this.refuse(push, verdict === "out-of-bounds" ? verdict : "not-finite", this.#world.nowSeconds);
    return undefined;
  }

  refuse(push: Push, why: "too-stale" | "not-finite" | "out-of-bounds", leftSeconds: number): void {
    const { arithmetic, tally } = this.#world;
    if (push.vector) arithmetic.release(push.vector);
    push.vector = undefined;
    if (why === "too-stale") tally.refused.tooStale++;
    else if (why === "not-finite") tally.refused.notFinite++;
    else tally.refused.outOfBounds++;
    this.#send(push, leftSeconds, {
      ...this.#world.wire.centerNow(),
      fragment: undefined,
      pull: 1,
      restart: why === "too-stale" ? why : "diverged",
      leftSeconds,
    });
  }

  /** `own`, or what is published in its place (then it is let go), goes to the replicas of `pushes`, which hold it from then on. */
  answer(
    pushes: readonly Push[],
    own: Parcel,
    { pull, centerVersion }: Applied,
    leftSeconds: number,
    treeSeconds?: number,
  ): void {
    const { arithmetic, wire } = this.#world;
    const held = pushes.map((push) => push.held);
    const given = this.#world.rule.isTwoRoundTrip ? undefined : wire.publishedFor(held, this.#world.isBarrier);
    const { center, version, published } = given ?? { center: own, version: centerVersion + 1, published: undefined };
    for (const push of pushes) {
      const { fragment } = push;
      const answer = { center: arithmetic.retain(center), version, published, fragment, pull, restart: undefined };
      this.#send(push, leftSeconds, { ...answer, leftSeconds }, treeSeconds);
    }
    if (given) arithmetic.release(given.center);
    arithmetic.release(own);
  }

  /** Waits for the lock or for a thread, applies, and tells. */
  admit(work: CenterWork): void {
    const world = this.#world;
    const { applySeconds, lockSeconds } = world.scenario;
    world.tally.applies++;
    if (!this.#isLocked) {
      const start = this.#threads.begin(world.nowSeconds, applySeconds);
      world.tally.lockWaitedSeconds += start - world.nowSeconds;
      world.at(start, () => this.#applyInRanges(work));
      return;
    }
    const holdSeconds = lockSeconds ?? applySeconds;
    const start = this.#lock.begin(world.nowSeconds, holdSeconds);
    world.tally.lockWaitedSeconds += start - world.nowSeconds;
    const leftSeconds = start + Math.max(holdSeconds, applySeconds);
    // Nobody sees the center while the lock is held: the whole apply may be at its end.
    world.at(start + holdSeconds, () => {
      const pass = world.arithmetic.beginApply(work.vector, work.job());
      if (!("verdict" in pass)) pass.applyRange(0, 1);
      this.#finish(work, pass, leftSeconds);
    });
  }

  /** Without a lock others read and write the center between two ranges. */
  #applyInRanges(work: CenterWork): void {
    const world = this.#world;
    const { applySeconds, tornRanges } = world.scenario;
    const begun = world.nowSeconds;
    const pass = world.arithmetic.beginApply(work.vector, work.job());
    if ("verdict" in pass) return this.#finish(work, pass, begun);
    const ranges = applySeconds === 0 ? 1 : tornRanges;
    const applyFrom = (range: number): void => {
      pass.applyRange(range, ranges);
      const next = range + 1;
      const end = begun + (applySeconds * next) / ranges;
      world.at(end, () => (next < ranges ? applyFrom(next) : this.#finish(work, pass, end)));
    };
    applyFrom(0);
  }

  #finish(work: CenterWork, pass: Pass | TooStale, leftSeconds: number): void {
    const { tally, scenario } = this.#world;
    const result = "verdict" in pass ? pass : pass.complete();
    tally.timed({
      groupSize: work.groupSize,
      workSeconds: work.arrivedSeconds - work.begunSeconds,
      applySeconds: this.#isLocked ? Math.max(scenario.lockSeconds ?? 0, scenario.applySeconds) : scenario.applySeconds,
    });
    work.done(result, leftSeconds);
    this.#world.applied();
  }

  /** `treeSeconds`: how long it takes along a tree of all who are answered. */
  #send(push: Push, leftSeconds: number, answer: Answer, treeSeconds?: number): void {
    const { replica, membership } = push;
    const world = this.#world;
    const isEmpty = world.rule.isTwoRoundTrip && answer.restart === undefined;
    world.at(leftSeconds, () => {
      const arrival = isEmpty
        ? world.links.arrivalEmpty(replica.index, world.nowSeconds)
        : world.links.arrivalDown(
            replica.index,
            world.nowSeconds,
            world.wire.bytesDown(answer, push.held),
            treeSeconds,
          );
      world.at(arrival, () => this.#deliver(replica, membership, answer));
    });
  }

  get #wantsGroups(): boolean {
    return this.#world.isBarrier || this.#world.settings.groups !== null;
  }

  #newOrder(): SimulatedOrder {
    const world = this.#world;
    if (solverOf(world.settings.solver).order === "round-robin") return new RingOrder(world, this);
    if (this.#isGrouped) return new SimulatedGroups(world, this);
    return {
      joined: () => {},
      left: () => {},
      arrived: (push) => this.serve(push),
      retuned: () => {},
      flush: () => {},
      abort: () => {},
      groupOf: (replica) => [replica],
    };
  }
}
