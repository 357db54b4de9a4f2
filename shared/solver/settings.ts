/**
 * The numbers of a solver: what a real run's config and a simulation's scenario both hold. `replica_rule.ts` and
 * `center_rule.ts` turn them into what a replica and the center do.
 */

import type { SolverName } from "./catalogue.ts";
import type { Decay } from "./schedule.ts";
import type { StalenessPolicy } from "./staleness.ts";

/** What a replica's local steps end with, or, of a gradient solver, the center's step: `OptimizerKind` (engine/optimizer.ts). */
type LocalOptimizer = "momentum" | "nesterov" | "lars" | "adamw";

export interface SolverSettings {
  readonly solver: SolverName;
  /** Elastic solvers only. One: the coordinator computes with its current center. Two: the replica, with the one it pulled. */
  readonly exchange: "one-round-trip" | "two-round-trip";
  /** Samples of one local step; of a gradient solver in groups, of one step of the whole group. */
  readonly batch: number;
  /** tau: local steps between exchanges of the same parameters. */
  readonly communicationPeriod: number;
  /** That exchanges carry in turn (SPEC X17); 1, everything at once, where left out. */
  readonly fragments?: number;
  /** Before schedule and warm-up. */
  readonly learningRate: number;
  /** Where the solver has it; of diloco and async-diloco the replica's. */
  readonly momentum: number;
  readonly weightDecay: number;
  readonly optimizer: LocalOptimizer;
  /** Of the learning rate, after the warm-up. */
  readonly schedule: Decay;
  /** In steps of the run (schedule.ts). */
  readonly warmUp: number;
  /** beta, over all replicas; alpha = beta / p. */
  readonly elasticRate: number;
  /** A fixed alpha, instead of beta / p. */
  readonly movingRate: number | null;
  readonly staleness: StalenessPolicy;
  /** lambda of the delay compensation (Zheng et al. 2017): gradient solvers only; 0 is none. */
  readonly delayCompensation: number;
  /** Of the center's Nesterov step over pseudo-gradients. */
  readonly outerLearningRate: number;
  readonly outerMomentum: number;
  /** N of async-diloco: pseudo-gradients between two moves of the outer momentum; null: as many as there are replicas. */
  readonly nesterovDelay: number | null;
  /** g: replicas are divided into so many compute groups (Omnivore); null: every replica is its own. */
  readonly groups: number | null;
  /** How a group's batch is divided: equally, or in proportion to measured speed. */
  readonly shares: "equal" | "speed";
  /** Whether every replica has the same tau, or slower ones a shorter one (DyLU, Liu et al. 2024). */
  readonly periods: "equal" | "speed";
}
