/**
 * What a solver does to the center, as a move with all its numbers: made on the main thread from the settings, changed by the
 * staleness policy where the apply begins, and carried out by the center's kernels, in real runs and in simulated ones.
 *
 * c is the center, x, g and u what was pushed (replica_rule.ts) or the weighted mean of what a group pushed. Running
 * statistics are moved otherwise than trained parameters where the move is no elastic one (SPEC E9).
 */

import { solverOf } from "./catalogue.ts";
import { movingRateFor } from "./rule.ts";
import { learningRateAt, runSteps } from "./schedule.ts";
import type { SolverSettings } from "./settings.ts";
import { rateUnder, type StalenessPolicy } from "./staleness.ts";

export type CenterMove =
  /** c <- c + alpha (x - c); the answer is c as it was, the pull alpha (EASGD eq. 2 for a single replica). */
  | { readonly kind: "elastic"; readonly movingRate: number }
  /** A whole group as one elastic replica: its mean m gives c <- c + alpha (m - c); answer m - alpha (m - c), pull 1. */
  | { readonly kind: "elastic-mean"; readonly movingRate: number }
  /** All replicas at once: c <- c + alpha sum (x - c); answer c as it was, pull alpha (EASGD eq. 2, SC17 alg. 2). */
  | { readonly kind: "elastic-sum"; readonly movingRate: number }
  /** c <- c + rate u, without an answer: the replica has moved already (EASGD alg. 1). */
  | { readonly kind: "difference"; readonly rate: number }
  /** c <- c + rate u; answer c, pull 1 (Downpour). */
  | { readonly kind: "update"; readonly rate: number }
  /**
   * g <- g + lambda g g (c - base) + decay c ; v <- momentum v - learningRate g ; c <- c + v; answer c. `isLayerwise`: the rate of each
   * weight tensor is LARS's (engine/optimizer.ts).
   */
  | {
      readonly kind: "gradient";
      readonly learningRate: number;
      readonly momentum: number;
      readonly weightDecay: number;
      readonly delayCompensation: number;
      readonly isLayerwise: boolean;
    }
  /** d = -u ; m <- momentum m + d ; c <- c - learningRate (d + momentum m); answer c, pull 1 (DiLoCo). */
  | { readonly kind: "nesterov"; readonly learningRate: number; readonly momentum: number }
  /**
   * d = -u / delay, summed up. Every `delay`-th time m <- momentum m + that sum, and c <- c - learningRate (d + momentum m); else
   * c <- c - learningRate d. Answer c, pull 1 (Liu et al. 2024).
   */
  | {
      readonly kind: "delayed-nesterov";
      readonly learningRate: number;
      readonly momentum: number;
      readonly delay: number;
    };

export interface MoveCircumstances {
  /** Of the center: the clock of the learning rate (schedule.ts). */
  readonly version: number;
  /** That take part now. */
  readonly replicas: number;
}

/** The move of one push, or, where `isWholeGroup`, of the mean of a compute group's pushes. */
export function centerMoveOf(
  settings: SolverSettings,
  circumstances: MoveCircumstances,
  isWholeGroup: boolean,
): CenterMove {
  const { rule, order } = solverOf(settings.solver);
  switch (rule) {
    case "elastic": {
      // The group is the replica there, so that the pull of all together stays the same.
      const pullers = isWholeGroup && order !== "barrier" ? (settings.groups ?? 1) : circumstances.replicas;
      const movingRate = settings.movingRate ?? movingRateFor(settings.elasticRate, pullers);
      if (order === "barrier") return { kind: "elastic-sum", movingRate };
      if (isWholeGroup) return { kind: "elastic-mean", movingRate };
      return settings.exchange === "two-round-trip" ? { kind: "difference", rate: 1 } : { kind: "elastic", movingRate };
    }
    case "gradient":
      return {
        kind: "gradient",
        learningRate: scheduledRate(settings, circumstances.version),
        momentum: settings.momentum,
        weightDecay: settings.weightDecay,
        delayCompensation: settings.delayCompensation,
        isLayerwise: settings.optimizer === "lars",
      };
    case "accumulated-gradient":
      return { kind: "update", rate: 1 };
    case "pseudo-gradient": {
      const { outerLearningRate: learningRate, outerMomentum: momentum } = settings;
      if (order === "barrier") return { kind: "nesterov", learningRate, momentum };
      return {
        kind: "delayed-nesterov",
        learningRate,
        momentum,
        delay: settings.nesterovDelay ?? settings.groups ?? Math.max(1, circumstances.replicas),
      };
    }
    default:
      return rule satisfies never;
  }
}

/** The learning rate of the run's present step: of the center's own steps, and of local ones. */
export function scheduledRate(settings: SolverSettings, version: number): number {
  const { schedule, warmUp, learningRate, communicationPeriod, fragments } = settings;
  const step = runSteps(version, communicationPeriod, fragments);
  return learningRateAt({ decay: schedule, warmUpSteps: warmUp }, learningRate, step);
}

/**
 * SPEC S2 to S4: the move with its rate under `policy` at `staleness`, or undefined where the policy refuses the push. The rate is
 * the moving rate of the elastic rule and the learning rate of the gradient rules.
 */
export function moveUnder(policy: StalenessPolicy, move: CenterMove, staleness: number): CenterMove | undefined {
  const factor = rateUnder(policy, 1, staleness);
  if (factor === undefined) return undefined;
  if (factor === 1) return move;
  switch (move.kind) {
    case "elastic":
    case "elastic-mean":
    case "elastic-sum":
      return { ...move, movingRate: move.movingRate * factor };
    case "difference":
    case "update":
      return { ...move, rate: move.rate * factor };
    case "gradient":
    case "nesterov":
    case "delayed-nesterov":
      return { ...move, learningRate: move.learningRate * factor };
    default:
      return move satisfies never;
  }
}

/** The pull p of the answer to a move (replica_rule.ts). */
export function pullOf(move: CenterMove): number {
  return move.kind === "elastic" || move.kind === "elastic-sum" ? move.movingRate : 1;
}
