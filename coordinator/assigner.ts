/**
 * What every replica is asked to do until its next answer, from the run's present settings, measured speeds and groups
 * (shared/solver/groups.ts).
 */

import type { Assignment } from "../shared/solver/assignment.ts";
import { scheduledRate } from "../shared/solver/center_rule.ts";
import { workOf } from "../shared/solver/groups.ts";
import { replicaRuleOf } from "../shared/solver/replica_rule.ts";
import { movingRateFor } from "../shared/solver/rule.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import type { Replica } from "./roster.ts";

export interface AssignerCircumstances {
  readonly settings: SolverSettings;
  /** Of the run: in which a batch can be divided. */
  readonly batchParts: number;
  /** Of the center. */
  readonly version: number;
  readonly connected: readonly Replica[];
  /** Those that share the replica's work, itself included. */
  readonly sharers: readonly Replica[];
}

/** Also kept with the replica: how long its next push may take follows from it. */
export function assign(replica: Replica, circumstances: AssignerCircumstances): Assignment {
  const { settings, batchParts, version, connected, sharers } = circumstances;
  const { hasMomentum } = replicaRuleOf(settings.solver, settings.exchange);
  replica.assignment = {
    ...workOf(settings, replica, { group: sharers, everybody: connected, batchParts }),
    learningRate: scheduledRate(settings, version),
    momentum: hasMomentum ? settings.momentum : 0,
    movingRate: settings.movingRate ?? movingRateFor(settings.elasticRate, connected.length),
  };
  return replica.assignment;
}
