/**
 * The direct averages of one compute group, as the coordinator sees them (SPEC G8): with the answers of a round it permits the next
 * one; each member that has the mean then claims its exchange for it, the leader with the mean. The coordinator alone decides,
 * once: the average counts, with all its exchanges, when every member has claimed, and else none of it does and every member
 * pushes for itself. An exchange therefore counts once, whoever was lost at whatever moment. Pure.
 */

import type { Header } from "../../shared/wire/messages.ts";
import { deadlineMs } from "./deadline.ts";
import { PeerEpoch, type PeerEpochOptions, type PeerMember } from "./peer_epoch.ts";

/** How rounds that were permitted to average directly ended. */
export interface PeerCounts {
  averaged: number;
  fallen: number;
}

export interface PeerRoundsOptions extends PeerEpochOptions {
  readonly counts: PeerCounts;
  /** Of a whole vector in f32. */
  readonly vectorBytes: number;
}

export interface Claim<M> {
  readonly member: M;
  readonly header: Header<"push">;
}

/** One that is permitted and not decided. `Result`: what becomes of all its exchanges. */
interface DirectRound<M, Result> {
  readonly epoch: number;
  readonly members: readonly M[];
  readonly giveUpMs: number;
  readonly claims: Claim<M>[];
  /** The leader's. */
  mean: Uint8Array | undefined;
  /** Undefined: nothing of it counts. */
  readonly result: PromiseWithResolvers<Result | undefined>;
}

/** What every member has claimed. */
export interface CompleteAverage<M> {
  readonly claims: readonly Claim<M>[];
  readonly mean: Uint8Array;
}

/** Slower peers had better average through the coordinator. */
const LEAST_BYTES_PER_MS = 1000;
/** By an all-reduce, about. */
const VECTORS_MOVED = 2;
const SLACK_MS = 1000;
const MOST_SKIPPED = 64;

export class PeerRounds<M extends PeerMember, Result> {
  readonly #options: PeerRoundsOptions;
  readonly #epoch: PeerEpoch<M>;
  /** How long the members' channels, and then a push, may take. */
  readonly #reduceMs: number;
  readonly #pushMs: number;
  #round: DirectRound<M, Result> | undefined;
  /** Rounds in a row that came to nothing, and how many are not tried after the last one. */
  #failures = 0;
  #skips = 0;
  #holdsUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: PeerRoundsOptions) {
    this.#options = options;
    this.#epoch = new PeerEpoch(options);
    const vectorMs = options.vectorBytes / LEAST_BYTES_PER_MS;
    this.#reduceMs = SLACK_MS + VECTORS_MOVED * vectorMs;
    this.#pushMs = SLACK_MS + vectorMs;
  }

  /** Whether the group's round is not overdue yet: its members average, or push for themselves after they could not. */
  get isHolding(): boolean {
    return this.#round !== undefined || this.#options.nowMs() < this.#holdsUntilMs;
  }

  /** Who is in the group now. */
  changed(group: Iterable<M>): void {
    if (!this.#epoch.changed(group)) return;
    this.#fail();
    this.#failures = 0;
    this.#skips = 0;
  }

  joined(member: M, header: Header<"joined">): void {
    if (this.#epoch.joined(member, header)) this.#fail();
  }

  signalled(from: M, header: Header<"signal">): void {
    this.#epoch.signalled(from, header);
  }

  tick(): void {
    this.#epoch.tick();
    if (this.#round && this.#options.nowMs() >= this.#round.giveUpMs) this.#fail();
  }

  /** A round moved the center, and these are answered alike: whether their next exchanges may be averaged directly. */
  permit(answered: ReadonlySet<M>, longestMs: number): Header<"answer">["average"] {
    const { number, members, isConnected } = this.#epoch;
    if (!isConnected || !members.every((one) => answered.has(one))) return undefined;
    this.#fail();
    if (this.#skips > 0) {
      this.#skips--;
      return undefined;
    }
    const permitMs = deadlineMs(0, longestMs) + this.#reduceMs;
    this.#round = {
      epoch: number,
      members,
      // The answers take their time, and so does the mean.
      giveUpMs: this.#options.nowMs() + permitMs + 2 * this.#pushMs,
      claims: [],
      mean: undefined,
      result: Promise.withResolvers(),
    };
    return { epoch: number, deadlineMs: permitMs };
  }

  /**
   * A member says that its exchange is in the mean; `complete` makes of it what all members are told. Undefined, now or later: nothing of the
   * average counts.
   */
  claim(
    member: M,
    header: Header<"push">,
    payload: Uint8Array,
    complete: (average: CompleteAverage<M>) => Promise<Result | undefined>,
  ): Promise<Result | undefined> {
    const round = this.#round;
    if (!round || !isClaimOf(round, member, header)) {
      this.pushedAlone(member);
      return Promise.resolve(undefined);
    }
    round.claims.push({ member, header });
    if (header.average?.isLeader) round.mean = payload;
    if (round.mean && round.claims.length === round.members.length) {
      this.#round = undefined;
      round.result.resolve(complete({ claims: round.claims, mean: round.mean }));
    }
    return round.result.promise;
  }

  /** The average was applied, or it could not be. */
  decided(isApplied: boolean): void {
    if (!isApplied) return this.#countFailure();
    this.#options.counts.averaged++;
    this.#failures = 0;
    this.#epoch.proven();
  }

  /** A member pushes for itself: it has not got the mean, or none was to be made. */
  pushedAlone(member: M): void {
    if (this.#round?.members.includes(member)) this.#fail();
  }

  /** The center goes back to an earlier one: what is claimed is of the one that is given up. */
  abort(): void {
    this.#fail();
  }

  /** The group is no more. */
  end(): void {
    this.changed([]);
  }

  #fail(): void {
    const round = this.#round;
    if (!round) return;
    this.#round = undefined;
    round.result.resolve(undefined);
    this.#countFailure();
  }

  #countFailure(): void {
    this.#options.counts.fallen++;
    this.#failures++;
    this.#skips = Math.min(MOST_SKIPPED, 2 ** this.#failures - 2);
    this.#holdsUntilMs = this.#options.nowMs() + this.#pushMs;
  }
}

function isClaimOf<M, Result>(
  { epoch, members, claims }: DirectRound<M, Result>,
  member: M,
  { average, baseVersion, content }: Header<"push">,
): boolean {
  if (average?.epoch !== epoch || !members.includes(member)) return false;
  if (average.isLeader !== (members[0] === member)) return false;
  return claims.every(
    (other) => other.member !== member && other.header.baseVersion === baseVersion && other.header.content === content,
  );
}
