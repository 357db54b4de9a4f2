/**
 * The replicas' side of a simulated run: local steps, when a push is due, what an answer does, who comes and goes. As a real
 * replica: it looks after its exchange between two steps, and trains on meanwhile where its solver does.
 */

import type { CenterSide } from "./center_side.ts";
import type { Answer, Push } from "./messages.ts";
import type { VirtualReplica } from "./virtual_replica.ts";
import type { World } from "./world.ts";

/** How far a replica goes on alone while its exchange is in flight, as a real one does. */
const STEPS_ALONE = 1000;
const PERIODS_ALONE = 100;
/** Pushes that are not finite, one after the other, before a run counts as diverged: then a real replica gives up. */
const DIVERGENCES_IN_A_ROW = 5;

export class ReplicaSide {
  readonly #world: World;
  readonly #center: CenterSide;
  readonly #overlaps: boolean;

  constructor(world: World, center: CenterSide) {
    this.#world = world;
    this.#center = center;
    this.#overlaps = world.scenario.overlap ?? world.rule.trainsMeanwhile;
  }

  /** It asks for the center; `isAtStart`: it has it already, as everybody has. */
  join(replica: VirtualReplica, isAtStart: boolean): void {
    const world = this.#world;
    replica.join(world.nowSeconds, world.wire.firstTurn);
    const { membership } = replica;
    if (isAtStart) return this.#welcome(replica, world.nowSeconds);
    world.inAnyCaseAt(world.links.arrivalEmpty(replica.index, world.nowSeconds), () => {
      if (!replica.isStill(membership)) return;
      this.#welcome(replica, world.links.arrivalDown(replica.index, world.nowSeconds, world.wire.wholeBytes));
    });
  }

  leave(replica: VirtualReplica): void {
    const world = this.#world;
    if (!replica.isPresent) return;
    const wasMember = replica.isMember;
    this.#endWait(replica);
    this.#loseSteps(replica);
    replica.leave(world.nowSeconds);
    for (const answer of [replica.answer, replica.pulled]) if (answer) world.arithmetic.release(answer.center);
    world.arithmetic.forget(replica);
    if (!wasMember) return;
    replica.isMember = false;
    world.left(replica);
    this.#center.left(replica);
  }

  /** The center has become another, and all vectors are gone: everybody starts from it. */
  restartAll(): void {
    const world = this.#world;
    for (const replica of world.replicas) {
      if (!replica.isMember) continue;
      this.#endWait(replica);
      this.#loseSteps(replica);
      replica.vectors = undefined;
      for (const base of replica.bases) base.center = undefined;
      replica.forgetWork(world.nowSeconds);
      this.#begin(replica);
    }
  }

  /** The center's answer to `replica` is there. */
  answered(replica: VirtualReplica, membership: number, answer: Answer): void {
    if (!replica.isStill(membership)) {
      this.#world.arithmetic.release(answer.center);
      return;
    }
    replica.answer = answer;
    if (replica.runningSteps > 0) return;
    this.#endWait(replica);
    this.#betweenSteps(replica);
  }

  /** At the center; the replica itself begins when it has the answer. */
  #welcome(replica: VirtualReplica, arrivalSeconds: number): void {
    const { membership } = replica;
    replica.isMember = true;
    this.#world.joined(replica);
    this.#center.joined(replica);
    const given = this.#world.wire.centerNow();
    const leftSeconds = this.#world.nowSeconds;
    // Those who come together are asked for their shares of one whole.
    this.#world.later(arrivalSeconds, () => {
      if (!replica.isStill(membership)) return this.#world.arithmetic.release(given.center);
      replica.answeredSeconds = leftSeconds;
      replica.holds({ ...given, fragment: undefined });
      this.#world.arithmetic.begin(replica, given.center);
      this.#endWait(replica);
      replica.assignment = this.#center.assignmentOf(replica);
      this.#startSteps(replica);
    });
  }

  #begin(replica: VirtualReplica): void {
    const { arithmetic, wire } = this.#world;
    const given = wire.centerNow();
    replica.holds({ ...given, fragment: undefined });
    arithmetic.begin(replica, given.center);
    replica.assignment = this.#center.assignmentOf(replica);
    this.#startSteps(replica);
  }

  #startSteps(replica: VirtualReplica): void {
    const world = this.#world;
    // Where nothing on the way takes time, the answer has come already, and the next steps have begun.
    if (replica.runningSteps > 0) return;
    const steps = this.#stepsToTake(replica);
    if (steps === 0) {
      replica.waitingSinceSeconds = world.nowSeconds;
      return;
    }
    const share = replica.assignment.samples / world.settings.batch;
    const seconds = replica.clock.seconds(steps, share);
    const { membership } = replica;
    replica.runningSteps = steps;
    replica.runningSinceSeconds = world.nowSeconds;
    replica.runningForSeconds = seconds;
    world.at(world.nowSeconds + seconds, () => {
      if (replica.isStill(membership)) this.#stepped(replica, steps, seconds);
    });
  }

  /** One by one while something is in flight, because an answer may come; else all until the next push. */
  #stepsToTake(replica: VirtualReplica): number {
    const { communicationPeriod } = replica.assignment;
    if (replica.exchange === "none") return Math.max(1, communicationPeriod - replica.stepsSincePush);
    if (!this.#overlaps) return 0;
    const most = this.#world.rule.isAwaited
      ? communicationPeriod
      : Math.max(STEPS_ALONE, PERIODS_ALONE * communicationPeriod);
    return replica.stepsSincePush < most ? 1 : 0;
  }

  #stepped(replica: VirtualReplica, steps: number, seconds: number): void {
    const { tally, scenario } = this.#world;
    replica.runningSteps = 0;
    replica.waitingSinceSeconds = this.#world.nowSeconds;
    replica.steps += steps;
    replica.busySeconds += seconds;
    replica.stepsSincePush += steps;
    replica.untrainedSteps += steps;
    tally.localSteps += steps;
    if (scenario.steps !== null && tally.localSteps >= scenario.steps) this.#world.end("steps");
    this.#betweenSteps(replica);
  }

  #betweenSteps(replica: VirtualReplica): void {
    const { answer } = replica;
    if (answer) {
      replica.answer = undefined;
      this.#take(replica, answer);
    }
    if (replica.exchange === "none" && replica.stepsSincePush >= replica.assignment.communicationPeriod) {
      if (this.#world.rule.isTwoRoundTrip) this.#pull(replica);
      else this.#push(replica, undefined);
    }
    this.#startSteps(replica);
  }

  #take(replica: VirtualReplica, answer: Answer): void {
    const { arithmetic } = this.#world;
    if (replica.exchange === "pulling") {
      replica.pulled = answer;
      replica.holds(answer);
      this.#push(replica, answer);
      return;
    }
    replica.exchange = "none";
    replica.answeredSeconds = answer.leftSeconds;
    if (answer.restart) return this.#restart(replica, answer);
    replica.divergences = 0;
    const { pulled } = replica;
    replica.pulled = undefined;
    if (pulled) {
      // The second round trip's answer is empty: the replica moves by what it computed itself.
      arithmetic.settle(replica, pulled.center, pulled.pull);
      arithmetic.release(answer.center);
    } else {
      replica.holds(answer);
      arithmetic.settle(replica, answer.center, answer.pull);
    }
    replica.fragment = this.#world.wire.turnAfter(replica.fragment);
    replica.assignment = this.#center.assignmentOf(replica);
  }

  /** SPEC X11: the center as its parameters. */
  #restart(replica: VirtualReplica, answer: Answer): void {
    const { center, restart } = answer;
    const { arithmetic, tally, nowSeconds } = this.#world;
    const { divergences, answeredSeconds } = replica;
    tally.lostSteps += replica.stepsSincePush;
    if (replica.pulled) arithmetic.release(replica.pulled.center);
    arithmetic.forget(replica);
    replica.forgetWork(nowSeconds);
    replica.answeredSeconds = answeredSeconds;
    replica.divergences = restart === "diverged" ? divergences + 1 : 0;
    replica.holds(answer);
    arithmetic.begin(replica, center);
    replica.assignment = this.#center.assignmentOf(replica);
    if (replica.divergences >= DIVERGENCES_IN_A_ROW) this.#world.end("diverged");
    this.#startSteps(replica);
  }

  #pull(replica: VirtualReplica): void {
    const { links, nowSeconds } = this.#world;
    const { membership } = replica;
    replica.exchange = "pulling";
    this.#world.at(links.arrivalEmpty(replica.index, nowSeconds), () => {
      const { wire, nowSeconds: leftSeconds } = this.#world;
      const { fragment } = replica;
      const { held } = replica.baseOf(fragment);
      const { movingRate: pull } = replica.assignment;
      const answer = { ...wire.centerAfter(held), fragment, pull, restart: undefined, leftSeconds };
      this.#world.at(links.arrivalDown(replica.index, leftSeconds, wire.bytesDown(answer, held)), () =>
        this.answered(replica, membership, answer),
      );
    });
  }

  #push(replica: VirtualReplica, pulled: Answer | undefined): void {
    const { arithmetic, rule, links, wire, nowSeconds } = this.#world;
    const { stepsSincePush: steps, assignment } = replica;
    let base: Push["base"];
    let vector: Push["vector"];
    if (rule.takesGradients) {
      replica.untrainedSteps = 0;
      const { center } = replica.baseOf(replica.fragment);
      if (center) base = arithmetic.retain(center);
    } else {
      arithmetic.train(replica);
      vector = arithmetic.take(replica, pulled?.center, pulled?.pull ?? 1);
    }
    const { lossSum } = replica;
    replica.lossSum = 0;
    replica.exchange = "pushed";
    replica.stepsSincePush = 0;
    const push = replica.pushOf({
      steps,
      samples: steps * assignment.samples,
      lossSum,
      base,
      examples: rule.takesGradients ? arithmetic.examplesFor(replica) : undefined,
      vector,
    });
    // Along a tree the hops begin when everybody has pushed.
    const treeSeconds = this.#center.reducesAlongTree ? 0 : undefined;
    const arrival = links.arrivalUp(replica.index, nowSeconds, wire.bytesUp(push.fragment), treeSeconds);
    this.#world.at(arrival, () => this.#center.arrived(push));
  }

  #loseSteps(replica: VirtualReplica): void {
    const { tally, nowSeconds } = this.#world;
    const interrupted = replica.interrupt(nowSeconds);
    tally.localSteps += interrupted;
    tally.lostSteps += replica.stepsSincePush + interrupted;
  }

  #endWait(replica: VirtualReplica): void {
    if (replica.runningSteps > 0) return;
    const { nowSeconds } = this.#world;
    replica.waitedSeconds += nowSeconds - replica.waitingSinceSeconds;
    replica.waitingSinceSeconds = nowSeconds;
  }
}
