/**
 * Whether what an operator wants to change goes with the run (SPEC O4): the same contradictions and the same bounds of stability
 * as before a run begins, and nothing that would change nothing.
 */

import type { ChangedSetting, OperatorChanges } from "../../shared/operator.ts";
import { solverOf } from "../../shared/solver/catalogue.ts";
import { instabilitiesOf } from "../../shared/solver/stability.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { ConfigError } from "../config_error.ts";
import type { RunConfig } from "../run_config.ts";
import { refuseContradictions } from "../run_contradictions.ts";

export interface RetunedRun {
  readonly config: RunConfig;
  /** What the run works with now. */
  readonly solver: SolverSettings;
  /** Connected now. */
  readonly replicas: number;
}

/** So many are played within a moment, and tell what more of them would. */
const MOST_PLAYED = 64;
const FEWEST_REPLICAS = 2;

/** The sentence that says why not; undefined where it goes. */
export function retuneProblem(changes: OperatorChanges, run: RetunedRun): string | undefined {
  const names = Object.keys(changes) as ChangedSetting[];
  if (names.length === 0) return "The request changes nothing; name at least one setting, such as learningRate.";
  return (
    names.map((name) => uselessness(name, changes, run)).find((problem) => problem !== undefined) ??
    contradiction(changes, run) ??
    instability(changes, run)
  );
}

/** It is of no use to this solver, or somebody else's to set. */
function uselessness(
  name: ChangedSetting,
  changes: OperatorChanges,
  { config, solver }: RetunedRun,
): string | undefined {
  if (config.autotune && (name === "learningRate" || name === "momentum")) {
    return `"${name}" is the autotuner's to choose in this run; resume the run without --autotune to set it.`;
  }
  const isElastic = solverOf(solver.solver).rule === "elastic";
  if ((name === "movingRate" || name === "elasticRate") && !isElastic) {
    return `"${name}" is of elastic solvers, and ${solver.solver} is none; leave it out.`;
  }
  const movingRate = changes.movingRate === undefined ? solver.movingRate : changes.movingRate;
  if (name === "elasticRate" && movingRate !== null) {
    return `"elasticRate" has no effect beside the fixed movingRate ${movingRate}; set movingRate to null too, or leave it out.`;
  }
  return undefined;
}

function contradiction(changes: OperatorChanges, { config, solver }: RetunedRun): string | undefined {
  try {
    refuseContradictions({ config: { ...config, ...solver, ...changes }, sourceOf: (field) => `"${field}"` });
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

/** What no loss makes stable. What another setting, left as it is, makes unstable is no reason to refuse this one. */
function instability(changes: OperatorChanges, { solver, replicas }: RetunedRun): string | undefined {
  const played = Math.min(MOST_PLAYED, Math.max(FEWEST_REPLICAS, replicas));
  const found = instabilitiesOf({ ...solver, ...changes }, played, 0).find(({ knob }) => Object.hasOwn(changes, knob));
  if (!found) return undefined;
  const { knob, value, bound } = found;
  return `"${knob}" is ${value}, which is unstable with ${played} replicas and the solver ${solver.solver} for any model: the bound is ${bound}.`;
}
