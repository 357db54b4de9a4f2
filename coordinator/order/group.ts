/**
 * One compute group, or a barrier's only one: its members, its open round with the sum of what they push, and the rounds that
 * are being applied. `round.ts` says who is waited for; here the vectors go into the center's sum, and the sum into the center.
 */

import { centerMoveOf } from "../../shared/solver/center_rule.ts";
import { pushWeight } from "../../shared/solver/groups.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import { rateUnder, stalenessOf } from "../../shared/solver/staleness.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { CenterSlot, CenterSum, PushResult } from "../center/center.ts";
import { placeOf, type Replica } from "../roster.ts";
import { deadlineMs, expectedMs } from "./deadline.ts";
import type { OrderPort, OrderResult } from "./order.ts";
import { PeerRounds, type Claim } from "./peer_rounds.ts";
import { Round } from "./round.ts";

interface Contribution {
  readonly replica: Replica;
  readonly slot: CenterSlot;
  readonly content: PushContent;
  readonly baseVersion: number;
  readonly weight: number;
}

/** An open round, or one that is being applied. */
export interface SumOfRound {
  readonly round: Round<Replica>;
  readonly sum: CenterSum;
  /** On their way into the sum. */
  readonly coming: Set<Promise<unknown>>;
  readonly contributions: Contribution[];
  readonly result: PromiseWithResolvers<OrderResult>;
  /** The version that the members were answered with; of a group's first round, that of its first push. */
  baseVersion: number | undefined;
  /** From which the staleness of the whole round was counted. */
  appliedFrom: number;
  /** The group's next round, once this one is closed. */
  next: SumOfRound | undefined;
  isAborted: boolean;
  /** Its members may average the next one directly. */
  permit: Header<"answer">["average"];
}

/** What is added to a sum at once: a push, or the mean that several members have made, with the pushes that are in it. */
type Pushed = readonly Claim<Replica>[];
type NotApplied = Exclude<OrderResult, { verdict: "applied" }>;

export interface GroupOptions {
  readonly port: OrderPort;
  readonly isBarrier: boolean;
  readonly members: Iterable<Replica>;
  /** Shared by all groups of the run: those that nobody waits for until their next push. */
  readonly late: Set<Replica>;
  /** And the rounds that are closed and not yet in the center. */
  readonly closing: Set<SumOfRound>;
}

export class Group {
  readonly members: Set<Replica>;
  /** Their direct averages, where the run lets them make some. */
  readonly peers: PeerRounds<Replica, OrderResult> | undefined;
  readonly #options: GroupOptions;
  #open: SumOfRound;
  /** The last closed round has been applied. */
  #applied: Promise<unknown> = Promise.resolve();

  constructor(options: GroupOptions) {
    this.#options = options;
    this.members = new Set(options.members);
    this.peers = options.port.peers && new PeerRounds(options.port.peers);
    this.peers?.changed(this.members);
    this.#open = this.#newRound(undefined);
  }

  join(replica: Replica): void {
    this.members.add(replica);
    this.peers?.changed(this.members);
    this.#open.round.join(replica);
  }

  leave(replica: Replica): void {
    if (!this.members.delete(replica)) return;
    this.peers?.changed(this.members);
    this.#open.round.leave(replica);
    this.closeIfDue();
  }

  async push(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<OrderResult> {
    if (header.average) return this.#claim(replica, header, payload);
    this.peers?.pushedAlone(replica);
    return this.#count([{ member: replica, header }], payload);
  }

  tick(): void {
    this.peers?.tick();
    if (!this.#options.isBarrier) this.closeIfDue();
  }

  /** What was pushed counts; the members are in other groups from now on. */
  dissolve(): void {
    this.peers?.end();
    this.close();
  }

  /** SPEC G8: what all members have claimed counts as if each had pushed for itself. */
  async #claim(replica: Replica, header: Header<"push">, payload: Uint8Array): Promise<OrderResult> {
    const result = await this.peers?.claim(replica, header, payload, async ({ claims, mean }) => {
      const counted = await this.#count(claims, mean);
      // Whoever spoils a mean is found when everybody pushes.
      const isSpoilt = counted.verdict === "not-finite" || counted.verdict === "out-of-bounds";
      this.peers?.decided(counted.verdict === "applied");
      return isSpoilt ? undefined : counted;
    });
    return result ?? { verdict: "not-averaged" };
  }

  /** Everything in `pushed` has the same base. */
  async #count(pushed: Pushed, payload: Uint8Array): Promise<OrderResult> {
    const open = this.#open;
    for (const { member } of pushed) open.round.push(member);
    const coming = this.#contribute(open, this.#applied, pushed, payload);
    open.coming.add(coming);
    this.closeIfDue();
    const refusal = await coming;
    if (refusal) return refusal;
    const result = await open.result.promise;
    if (result.verdict !== "applied") return result;
    const own = stalenessOf(open.appliedFrom, pushed[0]?.header.baseVersion ?? open.appliedFrom);
    return { ...result, staleness: result.staleness + own, ...(open.permit ? { average: open.permit } : {}) };
  }

  /** Closes the round where nobody is waited for, or nobody any longer. */
  closeIfDue(): void {
    const { round } = this.#open;
    if (round.arrived.size === 0) return;
    if (round.isComplete || (!this.#options.isBarrier && this.#isOverdue(round))) this.close();
  }

  /** Has what was pushed to the open round count, and begins the next one. */
  close(): void {
    const open = this.#open;
    if (open.round.arrived.size === 0) return;
    for (const replica of open.round.awaited) this.#options.late.add(replica);
    this.#options.closing.add(open);
    const applied = this.#apply(open);
    // Its pushers are told of a failure.
    this.#applied = applied.catch(() => {});
    open.result.resolve(applied);
    this.#open = this.#newRound(open.baseVersion);
    open.next = this.#open;
  }

  /** Drops what was pushed to the open round; its pushers are told. */
  abort(): void {
    this.peers?.abort();
    const open = this.#open;
    open.isAborted = true;
    open.result.resolve({ verdict: "restarted" });
    open.sum.close();
    this.#open = this.#newRound(undefined);
  }

  #newRound(baseVersion: number | undefined): SumOfRound {
    const { port, late } = this.#options;
    const awaited = [...this.members].filter((replica) => !late.has(replica));
    const result = Promise.withResolvers<OrderResult>();
    // Nobody may be waiting for it.
    result.promise.catch(() => {});
    return {
      round: new Round(awaited, port.nowMs()),
      sum: port.center.openSum(),
      coming: new Set(),
      contributions: [],
      result,
      baseVersion,
      appliedFrom: 0,
      next: undefined,
      isAborted: false,
      permit: undefined,
    };
  }

  #isOverdue({ awaited, arrived, beganMs }: Round<Replica>): boolean {
    if (this.peers?.isHolding) return false;
    const longestMs = Math.max(...[...awaited, ...arrived].map(expectedMs));
    const sinceMs = Math.max(beganMs, ...[...awaited].map(({ freeSinceMs }) => freeSinceMs));
    return this.#options.port.nowMs() > deadlineMs(sinceMs, longestMs);
  }

  /** Into the round's sum, or a refusal. */
  async #contribute(
    open: SumOfRound,
    before: Promise<unknown>,
    pushed: Pushed,
    payload: Uint8Array,
  ): Promise<NotApplied | undefined> {
    const { center } = this.#options.port;
    // The round before is being applied: only then it is known how old this push is.
    await before;
    if (open.isAborted) return { verdict: "restarted" };
    const [first] = pushed;
    if (!first) throw new Error("invariant violation: nobody pushed");
    const { content, baseVersion } = first.header;
    const staleness = stalenessOf(center.version, baseVersion);
    if (this.#isTooStale(first.header, staleness)) return { verdict: "too-stale", staleness };
    const roundVersion = (open.baseVersion ??= baseVersion);
    const weights = pushed.map(({ member, header }) => this.#weightsOf(member, header, roundVersion));
    const weight = weights.reduce((sum, { summed }) => sum + summed, 0);
    const place = placeOf(first.member);
    const codec = first.header.average ? "f32" : place.codecs.up;
    const { verdict } = await center.contribute(open.sum, place.base(0), payload, { content, weight, codec });
    if (verdict !== "accumulated") return { verdict };
    for (const [at, { member }] of pushed.entries()) {
      const counted = weights[at]?.counted ?? 0;
      open.contributions.push({
        replica: member,
        slot: placeOf(member).base(0),
        content,
        baseVersion,
        weight: counted,
      });
    }
    return undefined;
  }

  /** A barrier's gradients and updates are all of one version; elsewhere the policy says. */
  #isTooStale({ content }: Header<"push">, staleness: number): boolean {
    const { isBarrier, port } = this.#options;
    if (isBarrier) return staleness > 0 && content !== "parameters";
    return rateUnder(port.settings().staleness, 1, staleness) === undefined;
  }

  /**
   * What a push is multiplied by in the sum, and what it adds to the divisor. One that is older than its round (it was late) has
   * the policy's factor for the difference: of a gradient or an update less is added, parameters weigh less in their mean.
   */
  #weightsOf(replica: Replica, header: Header<"push">, roundVersion: number): { summed: number; counted: number } {
    const { port, isBarrier } = this.#options;
    const weight = pushWeight(header, replica.assignment ?? { communicationPeriod: 1, samples: 1 }, isBarrier);
    // Every replica pulls the center there, by the same rate.
    if (isBarrier && header.content === "parameters") return { summed: weight, counted: weight };
    const behind = stalenessOf(roundVersion, header.baseVersion);
    const summed = weight * (rateUnder(port.settings().staleness, 1, behind) ?? 1);
    return { summed, counted: header.content === "parameters" ? summed : weight };
  }

  async #apply(closing: SumOfRound): Promise<OrderResult> {
    const { sum, coming, contributions } = closing;
    try {
      await Promise.all([this.#applied, ...coming]);
      if (closing.isAborted) return { verdict: "restarted" };
      const [first] = contributions;
      // All were refused: nobody waits for this result.
      if (!first) return { verdict: "too-stale", staleness: 0 };
      const result = await this.#applySum(closing, first.content);
      if (result.verdict !== "applied") return result;
      if (closing.next) closing.next.baseVersion = result.centerVersion + 1;
      const answered = contributions.map(({ replica }) => replica);
      closing.permit = this.peers?.permit(new Set(answered), Math.max(...answered.map(expectedMs)));
      return result;
    } finally {
      this.#options.closing.delete(closing);
      sum.close();
    }
  }

  #applySum(closing: SumOfRound, content: PushContent): Promise<PushResult> {
    const { center, settings, connected } = this.#options.port;
    const { sum, contributions, baseVersion } = closing;
    const solver = settings();
    const newest = Math.max(...contributions.map((each) => each.baseVersion));
    // Older parameters weigh less already, and a round of nothing else is as old as they are.
    closing.appliedFrom = content === "parameters" ? newest : (baseVersion ?? newest);
    const replicas = this.#options.isBarrier ? contributions.length : connected().length;
    return center.applySum(
      sum,
      contributions.map(({ slot }) => slot),
      {
        content,
        baseVersion: closing.appliedFrom,
        move: centerMoveOf(solver, { version: center.version, replicas }, true),
        policy: solver.staleness,
        weight: contributions.reduce((total, { weight }) => total + weight, 0),
        count: contributions.length,
      },
    );
  }
}
