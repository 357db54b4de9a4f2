/**
 * A replica in virtual time: where it is in its life, what it was asked to do, and what it has done. `replica_side.ts` lives its
 * life; its vectors are the arithmetic's.
 */

import type { Assignment } from "../../shared/solver/assignment.ts";
import type { Sampler } from "../../shared/sampler.ts";
import type { Answer, Parcel, Push } from "./messages.ts";
import type { StepClock } from "./step_times.ts";

/** Byte offsets in the center's memory, with the counts of the engine's optimizer. */
export interface OwnVectors {
  readonly parameters: number;
  velocity: number | undefined;
  secondMoment: number | undefined;
  /** The parameters that were pushed, where steps have been taken since or where a codec said it otherwise. */
  sent: number | undefined;
  updates: number;
  draws: number;
}

/** What a replica was last answered with. */
export interface ReplicaBase {
  version: number;
  /** Which published version it is. */
  held: number | undefined;
  /** Kept only as long as it is needed. */
  center: Parcel | undefined;
}

export class VirtualReplica {
  readonly index: number;
  /** Of the present membership. */
  id: string;
  readonly clock: StepClock;
  /** Samples per second: as a volunteer measures it before it joins. */
  readonly speed: number;
  /** Grows with each join, so that what was scheduled before a leave is known to be over. */
  membership = 0;
  isPresent = false;
  /** The center knows of it. */
  isMember = false;
  assignment: Assignment;
  /** Of each fragment. */
  readonly bases: readonly ReplicaBase[];
  /** The one that is pushed next. */
  fragment = 0;
  sampler: Sampler | undefined;
  vectors: OwnVectors | undefined;
  /** Steps since the last push, and those of them that no gradient was computed for yet. */
  stepsSincePush = 0;
  untrainedSteps = 0;
  /** In one go; 0 while it waits. */
  runningSteps = 0;
  runningSinceSeconds = 0;
  runningForSeconds = 0;
  exchange: "none" | "pulling" | "pushed" = "none";
  /** Where the exchange takes two round trips: the center that its difference was computed with. */
  pulled: Answer | undefined;
  /** It came while a step was running. */
  answer: Answer | undefined;
  /** The last answer left the center then. */
  answeredSeconds = 0;
  waitingSinceSeconds = 0;
  joinedSeconds = 0;
  /** Of the steps since the last push. */
  lossSum = 0;
  /** Pushes in a row that were not finite. */
  divergences = 0;

  steps = 0;
  samples = 0;
  exchanges = 0;
  waitedSeconds = 0;
  busySeconds = 0;
  presentSeconds = 0;

  constructor(index: number, clock: StepClock, assignment: Assignment, fragments: number) {
    this.index = index;
    this.id = `${index}.0`;
    this.clock = clock;
    this.assignment = assignment;
    this.bases = Array.from({ length: fragments }, () => ({ version: 0, held: undefined, center: undefined }));
    this.speed = assignment.samples / clock.meanSeconds;
  }

  /** One that comes back is a new replica. */
  join(nowSeconds: number, fragment: number): void {
    this.membership++;
    this.id = `${this.index}.${this.membership}`;
    this.isPresent = true;
    this.sampler = undefined;
    this.fragment = fragment;
    this.joinedSeconds = nowSeconds;
    this.forgetWork(nowSeconds);
  }

  /** Steps of those that are running that would be done by now; the rest is never taken. */
  interrupt(nowSeconds: number): number {
    const seconds = nowSeconds - this.runningSinceSeconds;
    if (this.runningSteps === 0) return 0;
    const done = Math.floor((this.runningSteps * seconds) / this.runningForSeconds);
    this.runningSteps = 0;
    this.busySeconds += seconds;
    this.steps += done;
    return done;
  }

  leave(nowSeconds: number): void {
    this.isPresent = false;
    this.presentSeconds += nowSeconds - this.joinedSeconds;
  }

  /** What was under way is over; it begins with the next answer. */
  forgetWork(nowSeconds: number): void {
    this.stepsSincePush = 0;
    this.untrainedSteps = 0;
    this.runningSteps = 0;
    this.exchange = "none";
    this.pulled = undefined;
    this.answer = undefined;
    this.answeredSeconds = nowSeconds;
    this.waitingSinceSeconds = nowSeconds;
    this.lossSum = 0;
    this.divergences = 0;
  }

  /** Whether a membership goes on. */
  isStill(membership: number): boolean {
    return this.isPresent && this.membership === membership;
  }

  /** Expected until its next push, of what it was asked to do. */
  get expectedSeconds(): number {
    return (this.assignment.communicationPeriod * this.assignment.samples) / this.speed;
  }

  baseOf(fragment: number): ReplicaBase {
    const base = this.bases[fragment];
    if (!base) throw new Error(`invariant violation: there is no fragment ${fragment}`);
    return base;
  }

  /** Every fragment, or the one that `answer` is about, has the answer's version as its base. */
  holds({ version, published, fragment }: Pick<Answer, "version" | "published" | "fragment">): void {
    for (const base of fragment === undefined ? this.bases : [this.baseOf(fragment)]) {
      base.version = version;
      base.held = published;
    }
  }

  pushOf(
    fields: Omit<Push, "replica" | "membership" | "fragment" | "baseVersion" | "held" | "begunSeconds" | "assignment">,
  ): Push {
    const { version: baseVersion, held } = this.baseOf(this.fragment);
    return {
      replica: this,
      membership: this.membership,
      fragment: this.fragment,
      baseVersion,
      held,
      begunSeconds: this.answeredSeconds,
      assignment: this.assignment,
      ...fields,
    };
  }
}
