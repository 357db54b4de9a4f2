/**
 * What one thread does with one job: decode, check and apply, over the memory that all threads share. Independent of
 * how the job came (`applier_thread.ts` has the messages), so the order of its steps can be read in one place.
 *
 * A push touches the center only after all of it was checked, and measures its staleness at the moment it begins.
 */

import { movingRateUnder, stalenessOf, type StalenessPolicy } from "../../shared/solver/staleness.ts";
import type { CenterLayout } from "./center_memory.ts";
import type { Control } from "./control.ts";
import { NOT_FINITE, OUT_OF_BOUNDS, SOUND, type Kernels } from "./kernels.ts";

/** `lock-free`: threads apply at the same time and may lose single elements. `locked`: one apply after the other. */
export type Applier = "lock-free" | "locked";

export interface PushJob {
  /** `elastic`: the payload is x - base. `difference`: it is added as it is, times the rate (X10). */
  readonly kind: "elastic" | "difference";
  readonly baseVersion: number;
  /** Of a difference: the factor on it; 1 adds it as it is, and a negated learning rate makes a gradient of it. */
  readonly movingRate: number;
  readonly policy: StalenessPolicy;
}

export type Refusal = { readonly verdict: "not-finite" } | { readonly verdict: "out-of-bounds" };

export type PushResult =
  | {
      readonly verdict: "applied";
      readonly staleness: number;
      readonly movingRate: number;
      /** Completed applies when the pass began: a lower bound of what the answer holds. */
      readonly centerVersion: number;
      /** After this apply. */
      readonly version: number;
      readonly overlapped: boolean;
    }
  | { readonly verdict: "too-stale"; readonly staleness: number }
  | Refusal;

export interface StepSettings {
  readonly learningRate: number;
  readonly momentum: number;
  /** How many gradients the sum holds. */
  readonly count: number;
}

/** Areas and bases by byte offset. */
export type Job =
  | { readonly kind: "push"; readonly base: number; readonly area: number; readonly push: PushJob }
  | { readonly kind: "refresh"; readonly area: number }
  | { readonly kind: "accumulate"; readonly area: number }
  | { readonly kind: "step"; readonly settings: StepSettings };

export type Outcome =
  | PushResult
  | { readonly verdict: "refreshed"; readonly version: number }
  | { readonly verdict: "accumulated" }
  | { readonly verdict: "stepped"; readonly version: number };

export interface ApplierSettings {
  readonly layout: CenterLayout;
  readonly applier: Applier;
  readonly maxMagnitude: number;
  /** Of this thread among `threads`. */
  readonly index: number;
  readonly threads: number;
}

export class ApplierCore {
  readonly #kernels: Kernels;
  readonly #control: Control;
  readonly #settings: ApplierSettings;
  readonly #startElement: number;

  constructor(kernels: Kernels, control: Control, settings: ApplierSettings) {
    this.#kernels = kernels;
    this.#control = control;
    this.#settings = settings;
    this.#startElement = startElement(settings);
  }

  perform(job: Job): Outcome {
    switch (job.kind) {
      case "push":
        return this.#push(job.base, job.area, job.push);
      case "refresh":
        return this.#refresh(job.area);
      case "accumulate":
        return this.#accumulate(job.area);
      case "step":
        return this.#exclusively(() => this.#step(job.settings));
      default:
        return job satisfies never;
    }
  }

  #push(base: number, area: number, push: PushJob): PushResult {
    const { layout, maxMagnitude, applier } = this.#settings;
    const found =
      push.kind === "elastic"
        ? this.#kernels.decode(base, area, layout.paddedElements, maxMagnitude)
        : this.#kernels.check(area, layout.paddedElements, maxMagnitude);
    if (found !== SOUND) return refusalFor(found);
    return applier === "locked" ? this.#exclusively(() => this.#apply(area, push)) : this.#apply(area, push);
  }

  #apply(area: number, push: PushJob): PushResult {
    const centerVersion = this.#control.version;
    const staleness = stalenessOf(centerVersion, push.baseVersion);
    const movingRate = movingRateUnder(push.policy, push.movingRate, staleness);
    if (movingRate === undefined) return { verdict: "too-stale", staleness };
    const ticket = this.#control.beginPass();
    this.#swap(push.kind, area, movingRate);
    const overlapped = this.#control.endPass(ticket);
    const version = this.#control.completeApply();
    return { verdict: "applied", staleness, movingRate, centerVersion, version, overlapped };
  }

  /** From this thread's own first element to the end, then from the beginning to there. */
  #swap(kind: PushJob["kind"], area: number, rate: number): void {
    const { center, paddedElements } = this.#settings.layout;
    const swap = kind === "elastic" ? this.#kernels.swapElastic : this.#kernels.swapDifference;
    const start = this.#startElement;
    swap(center + start * 4, area + start * 4, paddedElements - start, rate);
    if (start > 0) swap(center, area, start, rate);
  }

  /** Under lock-free appliers the copy may mix versions, as an answer may; the version is then a lower bound. */
  #refresh(area: number): Outcome {
    const { layout, applier } = this.#settings;
    const copy = (): Outcome => {
      const version = this.#control.version;
      this.#kernels.copy(area, layout.center, layout.paddedElements);
      return { verdict: "refreshed", version };
    };
    return applier === "locked" ? this.#exclusively(copy) : copy();
  }

  /** All gradients go through one thread in order of arrival, hence no lock (`applier_threads.ts`). */
  #accumulate(area: number): Outcome {
    const { layout, maxMagnitude } = this.#settings;
    const found = this.#kernels.check(area, layout.paddedElements, maxMagnitude);
    if (found !== SOUND) return refusalFor(found);
    this.#kernels.addInto(layout.accumulator, area, layout.paddedElements);
    return { verdict: "accumulated" };
  }

  #step({ learningRate, momentum, count }: StepSettings): Outcome {
    const { center, velocity, accumulator, paddedElements, trainableElements } = this.#settings.layout;
    this.#kernels.stepMomentum(center, velocity, accumulator, trainableElements, learningRate, momentum, count);
    const statistics = paddedElements - trainableElements;
    const begin = 4 * trainableElements;
    if (statistics > 0) this.#kernels.subtractMean(center + begin, accumulator + begin, statistics, count);
    return { verdict: "stepped", version: this.#control.completeApply() };
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
