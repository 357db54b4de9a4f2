/**
 * What all parts of a simulated run share: virtual time and what is to happen in it, the settings as they are now, the replicas,
 * the links, the arithmetic, and what was counted.
 */

import type { Assignment } from "../../shared/solver/assignment.ts";
import { solverOf } from "../../shared/solver/catalogue.ts";
import { scheduledRate } from "../../shared/solver/center_rule.ts";
import { batchPartsOf, workOf } from "../../shared/solver/groups.ts";
import { replicaRuleOf, type ReplicaRule } from "../../shared/solver/replica_rule.ts";
import { movingRateFor } from "../../shared/solver/rule.ts";
import { stepsPerExchange } from "../../shared/solver/schedule.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { Random } from "../../shared/random.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { EventQueue } from "./event_queue.ts";
import { Links } from "./links.ts";
import { ofReplica, type CompleteScenario } from "./scenario.ts";
import { slownessOf, StepClock } from "./step_times.ts";
import { Tally } from "./tally.ts";
import { VirtualReplica } from "./virtual_replica.ts";
import { Wire } from "./wire.ts";

export type EndReason =
  | "virtualSeconds"
  | "steps"
  | "centerSteps"
  | "samples"
  | "targetAccuracy"
  | "diverged"
  | "nobody";

interface Planned {
  readonly happen: () => void;
  /** Of a time that may be over before it happens; undefined: it happens in any case. */
  readonly epoch: number | undefined;
}

export class World {
  readonly scenario: CompleteScenario;
  readonly arithmetic: Arithmetic;
  readonly replicas: readonly VirtualReplica[];
  readonly tally = new Tally();
  readonly rule: ReplicaRule;
  readonly wire: Wire;
  links: Links;
  nowSeconds = 0;
  endedBy: EndReason | undefined;
  present = 0;
  /** Called after every apply. */
  applied: () => void = () => {};
  #settings: SolverSettings;
  readonly #queue = new EventQueue<Planned>();
  #epoch = 0;
  readonly #batchParts: number;
  #fastest: VirtualReplica | undefined;

  /** `batchParts`: of which shares of a batch are made, as the program was compiled. */
  constructor(scenario: CompleteScenario, arithmetic: Arithmetic, elements: number, batchParts: number) {
    this.scenario = scenario;
    this.arithmetic = arithmetic;
    this.#settings = scenario;
    this.#batchParts = batchParts;
    this.rule = replicaRuleOf(scenario.solver, scenario.exchange);
    this.wire = new Wire(scenario, arithmetic, elements);
    this.links = new Links(scenario);
    const assignment = this.assignmentOf(undefined, []);
    const { replicas, seed, stepSeconds, stepTimes, slowness } = scenario;
    const factors = new Random(seed ^ 0x510e527f);
    this.replicas = Array.from({ length: replicas }, (_, index) => {
      const random = new Random(Math.imul(seed, 0x9e3779b1) + index + 1);
      const factor = slownessOf(slowness, index, factors);
      return new VirtualReplica(
        index,
        new StepClock(stepTimes, ofReplica(stepSeconds, index), factor, random),
        assignment,
        scenario.fragments,
      );
    });
  }

  get settings(): SolverSettings {
    return this.#settings;
  }

  retune(changed: Partial<SolverSettings>): void {
    this.#settings = { ...this.#settings, ...changed };
    if (batchPartsOf(this.#settings) > this.#batchParts) {
      throw new Error("invariant violation: a run that was not opened for compute groups got some");
    }
  }

  /** Runs `happen` then, or now, where that is now. */
  at(virtualSeconds: number, happen: () => void): void {
    if (virtualSeconds <= this.nowSeconds) happen();
    else this.later(virtualSeconds, happen);
  }

  /** Runs `happen` then, and not before everything that is happening now is done. */
  later(virtualSeconds: number, happen: () => void): void {
    this.#queue.schedule(virtualSeconds, { happen, epoch: this.#epoch });
  }

  /** Whatever becomes of the replicas' work meanwhile. */
  inAnyCaseAt(virtualSeconds: number, happen: () => void): void {
    this.#queue.schedule(virtualSeconds, { happen, epoch: undefined });
  }

  /** Everything that was under way is over. */
  beginEpoch(): void {
    this.#epoch++;
    const { bytesUp, bytesDown, vectorsUp, vectorsDown } = this.links;
    this.links = Object.assign(new Links(this.scenario), { bytesUp, bytesDown, vectorsUp, vectorsDown });
  }

  /** Whether nothing is going to happen. */
  get isIdle(): boolean {
    return this.#queue.nextSeconds === Infinity;
  }

  /** Lets things happen until then, or until `isEnough`. Returns false where nothing is left to happen. */
  advanceTo(virtualSeconds: number, isEnough: () => boolean): boolean {
    while (this.endedBy === undefined && !isEnough()) {
      if (this.isIdle && virtualSeconds === Infinity) return false;
      if (this.#queue.nextSeconds > virtualSeconds) {
        this.nowSeconds = virtualSeconds;
        return true;
      }
      this.nowSeconds = this.#queue.nextSeconds;
      const next = this.#queue.next();
      if (next && (next.epoch ?? this.#epoch) === this.#epoch) next.happen();
    }
    return true;
  }

  end(reason: EndReason): void {
    this.endedBy ??= reason;
  }

  joined(replica: VirtualReplica): void {
    this.present++;
    if (!this.#fastest || replica.speed > this.#fastest.speed) this.#fastest = replica;
  }

  left(replica: VirtualReplica): void {
    this.present--;
    if (replica !== this.#fastest) return;
    this.#fastest = undefined;
    for (const other of this.replicas) {
      if (other.isPresent && other.speed > (this.#fastest?.speed ?? 0)) this.#fastest = other;
    }
  }

  /** As a coordinator makes it (assignment.ts); `group`: who shares the work of the replica, itself included. */
  assignmentOf(replica: VirtualReplica | undefined, group: readonly VirtualReplica[]): Assignment {
    const { movingRate, elasticRate, momentum } = this.#settings;
    return {
      ...this.#workOf(replica, group),
      learningRate: scheduledRate(this.#settings, this.arithmetic.version),
      momentum: this.rule.hasMomentum ? momentum : 0,
      movingRate: movingRate ?? movingRateFor(elasticRate, this.present),
    };
  }

  #workOf(
    replica: VirtualReplica | undefined,
    group: readonly VirtualReplica[],
  ): Pick<Assignment, "communicationPeriod" | "samples"> {
    const { batch, communicationPeriod, fragments, groups, periods } = this.#settings;
    if (!replica || (groups === null && periods === "equal")) {
      const period = stepsPerExchange(communicationPeriod, fragments);
      return { communicationPeriod: this.rule.takesGradients ? 1 : period, samples: batch };
    }
    // Of everybody, only the fastest sets a pace.
    const everybody = this.#fastest && this.#fastest !== replica ? [replica, this.#fastest] : [replica];
    return workOf(this.#settings, replica, { group, everybody, batchParts: this.#batchParts });
  }

  /** Whether there is more than one move of the center for each push. */
  get isBarrier(): boolean {
    return solverOf(this.#settings.solver).order === "barrier";
  }
}
