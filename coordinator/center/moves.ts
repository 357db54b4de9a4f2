/**
 * A center's move (`shared/solver/center_rule.ts`) as calls of kernels: stretches of elements, each with what is done to any part
 * of it, so that an apply may begin anywhere and, in simulated time, be torn. `applier.ts` decides who may apply when.
 *
 * Running statistics, behind the trained elements, move like all others under the elastic rules and by a difference. Under all other
 * rules they become the mean of the replicas' (SPEC E9): a push of staleness s moves them by 1 / (1 + s) of what it says, because s
 * others have said nearly the same since.
 */

import { OPTIMIZER_DEFAULTS } from "../../shared/engine/optimizer.ts";
import type { CenterMove } from "../../shared/solver/center_rule.ts";
import type { CenterLayout } from "./center_memory.ts";
import type { Kernels } from "./kernels.ts";

type GradientMove = Extract<CenterMove, { kind: "gradient" }>;

/** Where the pushed vector lies, as byte offsets, and how it is to be applied. */
export interface MoveContext {
  readonly area: number;
  readonly staleness: number;
  /** Vectors that the area is the mean of. */
  readonly count: number;
  /** By the compare-and-swap kernels, for the moves that have one. */
  readonly isAtomic: boolean;
  /** Whether this pseudo-gradient is the last of its `delay`. */
  readonly isBoundary: boolean;
}

export interface Stretch {
  readonly fromElement: number;
  readonly toElement: number;
  /** Applies to `count` elements, a multiple of 16, the first of which lies `offsetBytes` into every vector. */
  readonly apply: (offsetBytes: number, count: number) => void;
}

/** Whether the move has state beside the center, so that it has no compare-and-swap form. */
export function hasMomentum(move: CenterMove): boolean {
  switch (move.kind) {
    case "gradient":
      return move.momentum !== 0;
    case "nesterov":
    case "delayed-nesterov":
      return true;
    case "elastic":
    case "elastic-mean":
    case "elastic-sum":
    case "difference":
    case "update":
      return false;
    default:
      return move satisfies never;
  }
}

export class Moves {
  readonly #kernels: Kernels;
  readonly #layout: CenterLayout;

  constructor(kernels: Kernels, layout: CenterLayout) {
    this.#kernels = kernels;
    this.#layout = layout;
  }

  /** What is to be done, in order. Reads the center where LARS needs its norms. */
  stretchesOf(move: CenterMove, context: MoveContext): readonly Stretch[] {
    switch (move.kind) {
      case "elastic":
        return [this.#everywhere(this.#elastic(context, move.movingRate, false))];
      case "elastic-mean":
        return [this.#everywhere(this.#elastic(context, move.movingRate, true))];
      case "elastic-sum":
        return [this.#everywhere(this.#elastic(context, move.movingRate * context.count, false))];
      case "difference":
        return [this.#everywhere(this.#add(context, move.rate, true))];
      case "update":
        return this.#withStatistics(this.#trained(this.#add(context, move.rate, false)), context, 1);
      case "gradient":
        return this.#withStatistics(this.#descents(move, context), context, -1);
      case "nesterov":
      case "delayed-nesterov":
        return this.#withStatistics(this.#trained(this.#nesterov(move, context)), context, 1);
      default:
        return move satisfies never;
    }
  }

  #everywhere(apply: Stretch["apply"]): Stretch {
    return { fromElement: 0, toElement: this.#layout.paddedElements, apply };
  }

  #trained(apply: Stretch["apply"]): readonly Stretch[] {
    return [{ fromElement: 0, toElement: this.#layout.trainableElements, apply }];
  }

  /** `sign`: of what the push carries for them, r - base or, in a gradient, base - r. */
  #withStatistics(trained: readonly Stretch[], context: MoveContext, sign: 1 | -1): readonly Stretch[] {
    const { trainableElements, paddedElements } = this.#layout;
    if (trainableElements === paddedElements) return trained;
    const apply = this.#add(context, sign / (1 + context.staleness), false);
    return [...trained, { fromElement: trainableElements, toElement: paddedElements, apply }];
  }

  #elastic({ area, isAtomic }: MoveContext, rate: number, isMean: boolean): Stretch["apply"] {
    const { center } = this.#layout;
    const { casElastic, meetElastic, swapElastic } = this.#kernels;
    if (isAtomic) return (offset, count) => casElastic(center + offset, area + offset, count, rate, isMean);
    const kernel = isMean ? meetElastic : swapElastic;
    return (offset, count) => kernel(center + offset, area + offset, count, rate);
  }

  #add({ area, isAtomic }: MoveContext, rate: number, keepsOld: boolean): Stretch["apply"] {
    const { center } = this.#layout;
    const { casAdd, swapDifference, addUpdate } = this.#kernels;
    if (isAtomic) return (offset, count) => casAdd(center + offset, area + offset, count, rate, keepsOld);
    const kernel = keepsOld ? swapDifference : addUpdate;
    return (offset, count) => kernel(center + offset, area + offset, count, rate);
  }

  #descents(move: GradientMove, context: MoveContext): readonly Stretch[] {
    const { learningRate, weightDecay } = move;
    if (!move.isLayerwise) return this.#trained(this.#descent(move, context, learningRate, weightDecay));
    return this.#layout.tensors.map(({ fromElement, toElement, isAdapted }) => {
      const rate = isAdapted ? this.#layerRate(move, context.area, fromElement, toElement) : learningRate;
      return { fromElement, toElement, apply: this.#descent(move, context, rate, isAdapted ? weightDecay : 0) };
    });
  }

  /** LARS (You et al. 2017), the formula of `shared/engine/optimizer.ts`. */
  #layerRate(move: GradientMove, area: number, fromElement: number, toElement: number): number {
    const { learningRate, weightDecay } = move;
    const count = toElement - fromElement;
    const size = Math.sqrt(this.#kernels.squareSum(this.#layout.center + 4 * fromElement, count));
    const slope = Math.sqrt(this.#kernels.squareSum(area + 4 * fromElement, count));
    if (size === 0 || slope === 0) return learningRate;
    return (learningRate * OPTIMIZER_DEFAULTS.trust * size) / (slope + weightDecay * size);
  }

  #descent(move: GradientMove, { area, isAtomic }: MoveContext, rate: number, decay: number): Stretch["apply"] {
    const { center, velocity } = this.#layout;
    const { casDescend, descend, stepMomentum } = this.#kernels;
    const { momentum } = move;
    if (momentum === 0) {
      const kernel = isAtomic ? casDescend : descend;
      return (offset, count) => kernel(center + offset, area + offset, count, rate, decay);
    }
    return (offset, count) =>
      stepMomentum(center + offset, area + offset, velocity + offset, count, rate, momentum, decay);
  }

  #nesterov(
    move: Extract<CenterMove, { kind: "nesterov" | "delayed-nesterov" }>,
    { area, isBoundary }: MoveContext,
  ): Stretch["apply"] {
    const { center, velocity, accumulator } = this.#layout;
    const { stepNesterov, stepDelayed } = this.#kernels;
    const { learningRate: rate, momentum } = move;
    if (move.kind === "nesterov") {
      return (at, count) => stepNesterov(center + at, area + at, velocity + at, count, rate, momentum);
    }
    const { delay } = move;
    return (at, count) =>
      stepDelayed(center + at, area + at, velocity + at, accumulator + at, count, rate, momentum, delay, isBoundary);
  }
}
