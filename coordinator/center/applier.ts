/**
 * What one thread does with one job: decode, check and apply, over the memory that all threads share. Independent of
 * how the job came (`applier_thread.ts` has the messages), so the order of its steps can be read in one place; the simulator
 * uses it without threads.
 *
 * A push touches the center only after all of it was checked, and measures its staleness at the moment it begins.
 */

import { moveUnder, pullOf, type CenterMove } from "../../shared/solver/center_rule.ts";
import type { PushContent } from "../../shared/solver/replica_rule.ts";
import { stalenessOf } from "../../shared/solver/staleness.ts";
import { wholeOf, type CodecName, type Fragment } from "../../shared/wire/codec/codec.ts";
import type { CenterLayout } from "./center_memory.ts";
import type { Control } from "./control.ts";
import type { Applied, ApplyJob, ChangeJob, Job, Outcome, PushResult, Refusal, TooStale } from "./jobs.ts";
import { codecNumber, NOT_FINITE, OUT_OF_BOUNDS, SOUND, type Kernels } from "./kernels.ts";
import { hasMomentum, Moves, type Stretch } from "./moves.ts";
import { gapsBetween, wordsAt, type PayloadShape } from "./payload.ts";

/**
 * - lock-free: threads apply at the same time and may lose single elements.
 * - compare-and-swap: they apply at the same time and lose nothing; moves with a momentum take the lock.
 * - locked: one apply after the other.
 */
export type Applier = "lock-free" | "compare-and-swap" | "locked";

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
        return this.#push(job);
      case "refresh":
        return this.#refresh(job.area);
      case "contribute": {
        const { contribution, base, area, sum, payload } = job;
        const refusal = this.#admit(contribution.content, base, area, payload);
        if (refusal) return refusal;
        this.addToSum(sum, area, contribution.weight);
        return { verdict: "accumulated" };
      }
      case "apply-sum":
        return this.#applyForAll(job);
      case "publish":
        return this.#publish(job.next, job.change);
      default:
        return job satisfies never;
    }
  }

  /** Moves the center by the vector in `area`; the answer takes its place, where the move has one. */
  applyTo(area: number, job: ApplyJob): Applied | TooStale {
    return this.#isExclusive(job.move) ? this.#exclusively(() => this.#sweep(area, job)) : this.#sweep(area, job);
  }

  /** `applyTo` in parts: what is measured at the beginning, then ranges that together are all elements, then the end. */
  beginApply(area: number, { move, baseVersion, policy, base, ranges, count = 1 }: ApplyJob): ApplyPass | TooStale {
    const centerVersion = this.#control.version;
    const staleness = stalenessOf(centerVersion, baseVersion);
    const allowed = moveUnder(policy, move, staleness);
    if (allowed === undefined) return { verdict: "too-stale", staleness };
    const ticket = this.#control.beginPass();
    this.#prepare(allowed, area, base, ranges);
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

  /**
   * P(k+1) = P(k) + decoded(encoded(center - P(k))) (SPEC X18): `previous` and `next` hold them, `words` has room for what is encoded. Where
   * that would not be finite, `next` is a copy of the center, and the answer false.
   */
  encodeVersion(codec: CodecName, previous: number, next: number, words: number): boolean {
    const { center, elements } = this.#settings.layout;
    if (this.#kernels.encode(codecNumber(codec), center, previous, next, words, elements) === SOUND) return true;
    this.#copyCenterTo(next);
    return false;
  }

  #push({ base, area, payload, push, movesBase }: Extract<Job, { kind: "push" }>): PushResult {
    const refusal = this.#admit(push.content, base, area, payload);
    if (refusal) return refusal;
    const { move, baseVersion, policy } = push;
    const { ranges, isWhole } = payload;
    const result = this.applyTo(area, { move, baseVersion, policy, base, ...(isWhole ? {} : { ranges }) });
    if (result.verdict === "applied" && movesBase) {
      this.#within(ranges, (offset, count) => this.#kernels.copy(base + offset, area + offset, count));
    }
    return result;
  }

  /** Decodes what is in `area` and checks all of it that came. */
  #admit(content: PushContent, base: number, area: number, payload: PayloadShape): Refusal | undefined {
    for (const range of payload.ranges) {
      const found = this.#decode(content === "parameters" ? base : undefined, area, payload, range);
      if (found !== SOUND) return refusalFor(found);
    }
    return undefined;
  }

  /** One range, against the base where there is one. */
  #decode(base: number | undefined, area: number, payload: PayloadShape, range: Fragment): number {
    const { maxMagnitude } = this.#settings;
    const { fromElement, toElement } = range;
    const offset = 4 * fromElement;
    if (payload.codec === "f32") {
      const count = this.#padded(toElement) - fromElement;
      if (base === undefined) return this.#kernels.check(area + offset, count, maxMagnitude);
      return this.#kernels.decode(base + offset, area + offset, count, maxMagnitude);
    }
    return this.#kernels.decodeCoded(
      codecNumber(payload.codec),
      base === undefined ? 0 : base + offset,
      wordsAt(area, payload, fromElement),
      area + offset,
      toElement - fromElement,
      maxMagnitude,
    );
  }

  #applyForAll({ sum, areas, base, job }: Extract<Job, { kind: "apply-sum" }>): Applied | TooStale {
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
    const ranges = job.ranges ?? [wholeOf(this.#settings.layout.elements)];
    const start = this.#startElement;
    for (const { fromElement, toElement } of ranges) {
      this.applyRange(pass, Math.max(start, fromElement), this.#padded(toElement));
    }
    for (const { fromElement, toElement } of ranges) {
      this.applyRange(pass, fromElement, Math.min(start, this.#padded(toElement)));
    }
    return this.completeApply(pass);
  }

  /** The layout's end with its padding, which every vector has; any other end of a range is a multiple of 16. */
  #padded(element: number): number {
    const { elements, paddedElements } = this.#settings.layout;
    return element === elements ? paddedElements : element;
  }

  /** `work` on each range: where it begins in every vector, in bytes, and how many elements it has. */
  #within(ranges: readonly Fragment[], work: (offsetBytes: number, count: number) => void): void {
    for (const { fromElement, toElement } of ranges) work(4 * fromElement, this.#padded(toElement) - fromElement);
  }

  /** What has to be done before the first element moves: delay compensation, and the state of the momentum. */
  #prepare(move: CenterMove, area: number, base: number | undefined, ranges: readonly Fragment[] | undefined): void {
    const { elements, velocity } = this.#settings.layout;
    if (move.kind !== "gradient") {
      if (hasMomentum(move)) this.#control.hasVelocity = true;
      return;
    }
    if (move.delayCompensation !== 0 && base !== undefined) {
      this.#compensate(area, base, ranges ?? [wholeOf(elements)], move.delayCompensation);
    }
    // The norms of a tensor are those of what came.
    if (move.isLayerwise && ranges)
      this.#within(gapsBetween(ranges, elements), (at, count) => this.#kernels.clear(area + at, count));
    if (hasMomentum(move)) {
      this.#control.hasVelocity = true;
    } else if (this.#control.hasVelocity) {
      // Without momentum no velocity is kept; one from before must not come back when a momentum is set again.
      this.clear(velocity);
      this.#control.hasVelocity = false;
    }
  }

  #compensate(area: number, base: number, ranges: readonly Fragment[], strength: number): void {
    const { center, trainableElements } = this.#settings.layout;
    for (const { fromElement, toElement } of ranges) {
      const [offset, end] = [4 * fromElement, Math.min(this.#padded(toElement), trainableElements)];
      if (fromElement >= end) continue;
      this.#kernels.compensate(area + offset, base + offset, center + offset, end - fromElement, strength);
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
    return this.#reading(() => {
      const { version } = this.#control;
      this.#copyCenterTo(area);
      return { verdict: "refreshed", version };
    });
  }

  /** Likewise: what it mixes is right in the next version, because a change is encoded from what was published. */
  #publish(next: number, change: ChangeJob | undefined): Outcome {
    return this.#reading(() => {
      const { version } = this.#control;
      if (!change) {
        this.#copyCenterTo(next);
        return { verdict: "published", version, isCopy: true };
      }
      const isChange = this.encodeVersion(change.codec, change.previous, next, change.words);
      return { verdict: "published", version, isCopy: !isChange };
    });
  }

  #copyCenterTo(area: number): void {
    const { center, paddedElements } = this.#settings.layout;
    this.#kernels.copy(area, center, paddedElements);
  }

  #reading<T>(read: () => T): T {
    return this.#settings.applier === "locked" ? this.#exclusively(read) : read();
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
