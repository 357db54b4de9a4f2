/**
 * The solvers as a table: a solver is a rule, a momentum, an order (DESIGN §3). What follows from a row for a replica is in
 * `replica_rule.ts`, what follows for the center in `center_rule.ts`: real runs and simulated ones read both. Sources and
 * equations: EASGD = Zhang, Choromanska and LeCun 2015; SC17 = You, Buluc and Demmel 2017; EA-wild = You et al., HPCAsia 2020.
 */

/** What travels and what the center does with it. */
export type Rule =
  /** The replica's parameters; center and replica move towards each other by rate * (x - center). */
  | "elastic"
  /** One gradient; the center takes a step. */
  | "gradient"
  /** The sum of tau steps; the center adds it. */
  | "accumulated-gradient"
  /** Center minus parameters after tau steps, as a gradient for the center's own optimizer. */
  | "pseudo-gradient";

/** Where the momentum that the solver is known for lives. */
type MomentumPlace =
  | "none"
  | "center"
  /** Nesterov's, over pseudo-gradients; the replica's own optimizer may have another. */
  | "center-nesterov"
  | "replica"
  | "replica-nesterov"
  /** None by default, heavy ball on the replica when a momentum is set. */
  | "optional-replica";

/** Who may apply when. */
export type Order = "barrier" | "round-robin" | "locked" | "lock-free";

export interface Solver {
  readonly rule: Rule;
  readonly momentum: MomentumPlace;
  readonly order: Order;
  readonly source: string;
}

export const SOLVERS = {
  "sync-sgd": { rule: "gradient", momentum: "center", order: "barrier", source: "baseline" },
  "async-sgd": { rule: "gradient", momentum: "none", order: "locked", source: "SC17" },
  "async-msgd": { rule: "gradient", momentum: "center", order: "locked", source: "SC17" },
  "hogwild-sgd": { rule: "gradient", momentum: "none", order: "lock-free", source: "Niu et al. 2011" },
  downpour: { rule: "accumulated-gradient", momentum: "none", order: "locked", source: "Dean et al. 2012" },
  "original-easgd": { rule: "elastic", momentum: "none", order: "round-robin", source: "EASGD; SC17 alg. 1" },
  "sync-easgd": { rule: "elastic", momentum: "none", order: "barrier", source: "SC17 alg. 2" },
  "async-easgd": { rule: "elastic", momentum: "none", order: "locked", source: "SC17" },
  "async-measgd": { rule: "elastic", momentum: "replica", order: "locked", source: "SC17" },
  eamsgd: { rule: "elastic", momentum: "replica-nesterov", order: "locked", source: "EASGD alg. 2" },
  "ea-wild": { rule: "elastic", momentum: "optional-replica", order: "lock-free", source: "EA-wild" },
  diloco: { rule: "pseudo-gradient", momentum: "center-nesterov", order: "barrier", source: "Douillard et al. 2023" },
  "async-diloco": { rule: "pseudo-gradient", momentum: "center-nesterov", order: "locked", source: "Liu et al. 2024" },
} as const satisfies Record<string, Solver>;

export type SolverName = keyof typeof SOLVERS;

export const SOLVER_NAMES = Object.keys(SOLVERS) as [SolverName, ...SolverName[]];

export function solverOf(name: SolverName): Solver {
  return SOLVERS[name];
}
