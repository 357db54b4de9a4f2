/**
 * What one thread does with one job: decode, check and apply, over the memory that all threads share. Independent of
 * how the job came (`applier_thread.ts` has the messages), so the order of its steps can be read in one place; the simulator
 * uses it without threads.
 *
 * A push touches the center only after all of it was checked, and measures its staleness at the moment it begins.
 */

import { moveUnder, pullOf, type CenterMove } from "../../shared/solver/center_rule.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import { stalenessOf, type StalenessPolicy } from "../../shared/solver/staleness.ts";
import type { CenterLayout } from "./center_memory.ts";
import type { Control } from "./control.ts";
import { NOT_FINITE, OUT_OF_BOUNDS, SOUND, type Kernels } from "./kernels.ts";
import { hasMomentum, Moves, type Stretch } from "./moves.ts";

/**
 * - lock-free: threads apply at the same time and may lose single elements.
 * - compare-and-swap: they apply at the same time and lose nothing; moves with a momentum take the lock.
 * - locked: one apply after the other.
 */
export type Applier = "lock-free" | "compare-and-swap" | "locked";

/** How one vector, a push's or a group's mean, is to move the center. */
interface MoveJob {
  readonly move: CenterMove;
  readonly baseVersion: number;
  readonly policy: StalenessPolicy;
}

export interface PushJob extends MoveJob {
  readonly content: PushContent;
}

/** A vector that is decoded already. */
export interface ApplyJob extends MoveJob {
  /** The area with the center that a gradient was taken at, for delay compensation; without it there is none. */
  readonly base?: number;
  /** Vectors that this one is the mean of; 1 where left out. */
  readonly count?: number;
}

/** A sum of `count` vectors, each times its weight: the mean is the sum divided by the weight of all. */
export interface SumJob extends PushJob {
  readonly weight: number;
  readonly count: number;
}

export interface Contribution {
  readonly content: PushContent;
  readonly weight: number;
}

export type Refusal = { readonly verdict: "not-finite" } | { readonly verdict: "out-of-bounds" };

interface TooStale {
  readonly verdict: "too-stale";
  readonly staleness: number;
}

interface Applied {
  readonly verdict: "applied";
  readonly staleness: number;
  /** Of the answer (`pullOf`), under the staleness policy. */
  readonly pull: number;
  /** Completed applies when the pass began: a lower bound of what an elastic answer holds. */
  readonly centerVersion: number;
  /** After this apply. */
  readonly version: number;
  readonly overlapped: boolean;
}

export type PushResult = Applied | TooStale | Refusal;

/** Areas and bases by byte offset. */
export type Job =
  | { readonly kind: "push"; readonly base: number; readonly area: number; readonly push: PushJob }
  | { readonly kind: "refresh"; readonly area: number }
  | {
      readonly kind: "contribute";
      readonly sum: number;
      readonly base: number;
      readonly area: number;
      readonly contribution: Contribution;
    }
  /** The answer goes into every one of `areas`. */
  | { readonly kind: "apply-sum"; readonly sum: number; readonly areas: readonly number[]; readonly job: SumJob };

export type Outcome =
  | PushResult
  | { readonly verdict: "refreshed"; readonly version: number }
  | { readonly verdict: "accumulated" };

export interface ApplierSettings {
  readonly layout: CenterLayout;
  readonly applier: Applier;
  readonly maxMagnitude: number;
  /** Of this thread among `threads`. */
  readonly index: number;
  readonly threads: number;
}

/** An apply that has begun. */
export interface ApplyPass {
  readonly staleness: number;
  /** Under the staleness policy. */
  readonly move: CenterMove;
  readonly centerVersion: number;
  readonly ticket: number;
  readonly stretches: readonly Stretch[];
}

export class ApplierCore {
  readonly #kernels: Kernels;
  readonly #control: Control;
  readonly #settings: ApplierSettings;
  readonly #moves: Moves;
  readonly #startElement: number;

  constructor(kernels: Kernels, control: Control, settings: ApplierSettings) {
    this.#kernels = kernels;
    this.#control = control;
    this.#settings = settings;
    this.#moves = new Moves(kernels, settings.layout);
    this.#startElement = startElement(settings);
  }

  perform(job: Job): Outcome {
    switch (job.kind) {
      case "push":
        return this.#push(job.base, job.area, job.push);
      case "refresh":
        return this.#refresh(job.area);
      case "contribute": {
        const { contribution, base, area, sum } = job;
        const refusal = this.#admit(contribution.content, base, area);
        if (refusal) return refusal;
        this.addToSum(sum, area, contribution.weight);
        return { verdict: "accumulated" };
      }
      case "apply-sum":
        return this.#applyForAll(job.sum, job.areas, job.job);
      default:
        return job satisfies never;
    }
  }

  /** Moves the center by the vector in `area`; the answer takes its place, where the move has one. */
  applyTo(area: number, job: ApplyJob): Applied | TooStale {
    return this.#isExclusive(job.move) ? this.#exclusively(() => this.#sweep(area, job)) : this.#sweep(area, job);
  }

  /** `applyTo` in parts: what is measured at the beginning, then ranges that together are all elements, then the end. */
  beginApply(area: number, { move, baseVersion, policy, base, count = 1 }: ApplyJob): ApplyPass | TooStale {
    const centerVersion = this.#control.version;
    const staleness = stalenessOf(centerVersion, baseVersion);
    const allowed = moveUnder(policy, move, staleness);
    if (allowed === undefined) return { verdict: "too-stale", staleness };
    const ticket = this.#control.beginPass();
    this.#prepare(allowed, area, base);
    const stretches = this.#moves.stretchesOf(allowed, {
      area,
      staleness,
      count,
      isAtomic: this.#settings.applier === "compare-and-swap" && !hasMomentum(allowed),
      isBoundary: allowed.kind === "delayed-nesterov" && this.#isBoundary(allowed.delay),
    });
    return { staleness, move: allowed, centerVersion, ticket, stretches };
  }

  /** Both ends are multiples of 16. */
  applyRange({ stretches }: ApplyPass, fromElement: number, toElement: number): void {
    for (const stretch of stretches) {
      const from = Math.max(fromElement, stretch.fromElement);
      const to = Math.min(toElement, stretch.toElement);
      if (from < to) stretch.apply(from * 4, to - from);
    }
  }

  completeApply({ staleness, move, centerVersion, ticket }: ApplyPass): Applied {
    const overlapped = this.#control.endPass(ticket);
    const version = this.#control.completeApply();
    return { verdict: "applied", staleness, pull: pullOf(move), centerVersion, version, overlapped };
  }

  /** sum = sum + weight * area. Jobs of one sum go through one thread in order of arrival, hence no lock. */
  addToSum(sum: number, area: number, weight: number): void {
    this.#kernels.addWeighted(sum, area, this.#settings.layout.paddedElements, weight);
  }

  /** Moves the center by the mean; the sum then holds the answer. */
  applySum(sum: number, { weight, ...job }: ApplyJob & { readonly weight: number }): Applied | TooStale {
    this.#kernels.divide(sum, this.#settings.layout.paddedElements, weight);
    return this.applyTo(sum, job);
  }

  clear(vector: number): void {
    this.#kernels.clear(vector, this.#settings.layout.paddedElements);
  }

  #push(base: number, area: number, push: PushJob): PushResult {
    return this.#admit(push.content, base, area) ?? this.applyTo(area, { ...push, base });
  }

  /** Decodes what is in `area` and checks all of it. */
  #admit(content: PushContent, base: number, area: number): Refusal | undefined {
    const { layout, maxMagnitude } = this.#settings;
    const found =
      content === "parameters"
        ? this.#kernels.decode(base, area, layout.paddedElements, maxMagnitude)
        : this.#kernels.check(area, layout.paddedElements, maxMagnitude);
    return found === SOUND ? undefined : refusalFor(found);
  }

  #applyForAll(sum: number, areas: readonly number[], job: SumJob): Applied | TooStale {
    const [base] = areas;
    const result = this.applySum(sum, base === undefined ? job : { ...job, base });
    if (result.verdict === "applied") {
      for (const area of areas) this.#kernels.copy(area, sum, this.#settings.layout.paddedElements);
    }
    this.clear(sum);
    return result;
  }

  /** From this thread's own first element to the end, then from the beginning to there. */
  #sweep(area: number, job: ApplyJob): Applied | TooStale {
    const pass = this.beginApply(area, job);
    if ("verdict" in pass) return pass;
    this.applyRange(pass, this.#startElement, this.#settings.layout.paddedElements);
    this.applyRange(pass, 0, this.#startElement);
    return this.completeApply(pass);
  }

  /** What has to be done before the first element moves: delay compensation, and the state of the momentum. */
  #prepare(move: CenterMove, area: number, base: number | undefined): void {
    const { center, velocity, trainableElements } = this.#settings.layout;
    if (move.kind === "gradient" && move.delayCompensation !== 0 && base !== undefined) {
      this.#kernels.compensate(area, base, center, trainableElements, move.delayCompensation);
    }
    if (hasMomentum(move)) {
      this.#control.hasVelocity = true;
    } else if (move.kind === "gradient" && this.#control.hasVelocity) {
      // Without momentum no velocity is kept; one from before must not come back when a momentum is set again.
      this.clear(velocity);
      this.#control.hasVelocity = false;
    }
  }

  /** Counts one more pseudo-gradient. */
  #isBoundary(delay: number): boolean {
    const deposits = this.#control.deposits + 1;
    const isBoundary = deposits >= delay;
    this.#control.deposits = isBoundary ? 0 : deposits;
    return isBoundary;
  }

  #isExclusive(move: CenterMove): boolean {
    switch (this.#settings.applier) {
      case "locked":
        return true;
      case "compare-and-swap":
        return hasMomentum(move);
      case "lock-free":
        return move.kind === "nesterov" || move.kind === "delayed-nesterov";
      default:
        return this.#settings.applier satisfies never;
    }
  }

  /** Under appliers without a lock the copy may mix versions, as an answer may; the version is then a lower bound. */
  #refresh(area: number): Outcome {
    const { layout, applier } = this.#settings;
    const copy = (): Outcome => {
      const version = this.#control.version;
      this.#kernels.copy(area, layout.center, layout.paddedElements);
      return { verdict: "refreshed", version };
    };
    return applier === "locked" ? this.#exclusively(copy) : copy();
  }

  #exclusively<T>(work: () => T): T {
    this.#control.lock();
    try {
      return work();
    } finally {
      this.#control.unlock();
    }
  }
}

/**
 * Lock-free threads start apart, so that two that begin together do not meet at every element. Two of them lose 6e-8 to
 * 9e-5 of the element updates so, and 2.8e-7 to 2.8e-6 from the same start on a busy machine (`drove bench center`, 2-core
 * Xeon 2.5 GHz, 2026-11-21): few either way, and by chance more than by the start.
 */
function startElement({ applier, layout, index, threads }: ApplierSettings): number {
  if (applier === "locked") return 0;
  return Math.floor((layout.paddedElements * index) / threads / 16) * 16;
}

function refusalFor(found: number): Refusal {
  switch (found) {
    case NOT_FINITE:
      return { verdict: "not-finite" };
    case OUT_OF_BOUNDS:
      return { verdict: "out-of-bounds" };
    default:
      throw new Error(`invariant violation: a checking pass found ${found}`);
  }
}
