/** A simulated scenario, tuned as it goes: what `drove autotune` and the reproduction of Omnivore run. */

import type { AutotuneDecision } from "../../shared/run_view.ts";
import { loadDataset } from "../data/library.ts";
import { ConfigError, modelOf } from "../run_config.ts";
import type { SimulationReport } from "../simulate/report.ts";
import type { CompleteScenario } from "../simulate/scenario.ts";
import type { SimulatedRun } from "../simulate/simulated_run.ts";
import type { Simulator } from "../simulate/simulator.ts";
import { Autotuner } from "./autotuner.ts";
import { trainingJudge } from "./simulated_judge.ts";
import { SimulatedTrials } from "./simulated_trials.ts";
import type { Tuning } from "./trials.ts";

export interface TuningOptions {
  /** Where imported data sets lie. */
  readonly dataRoot: string;
  readonly onDecision?: (decision: AutotuneDecision, run: SimulatedRun) => void;
}

export interface TunedScenario {
  /** What the run ended with. */
  readonly chosen: Tuning;
  readonly decisions: readonly AutotuneDecision[];
  /** Virtual seconds of trials that were thrown away; part of the report's time. */
  readonly lostSeconds: number;
  readonly report: SimulationReport;
}

/** Groups and momentum of the scenario are not looked at; its learning rate is where the search begins. */
export async function tuneScenario(
  simulator: Simulator,
  scenario: CompleteScenario,
  { dataRoot, onDecision }: TuningOptions,
): Promise<TunedScenario> {
  const begunMs = performance.now();
  if (scenario.solver !== "async-msgd" || !scenario.gradients) {
    throw new ConfigError(
      `The solver is "${scenario.solver}", ${scenario.gradients ? "with" : "without"} gradients; groups, momentum and learning rate are chosen for async-msgd with gradients.`,
    );
  }
  const judge = await trainingJudge(modelOf(scenario), await loadDataset(dataRoot, scenario.data));
  const run = await simulator.open({ ...scenario, groups: 1 }, { willRegroup: true });
  const decisions: AutotuneDecision[] = [];
  const autotuner = new Autotuner({
    trials: new SimulatedTrials(run, judge),
    learningRate: scenario.learningRate,
    onDecision: (decision) => {
      decisions.push(decision);
      onDecision?.(decision, run);
    },
  });
  await autotuner.run();
  const { groups, momentum, learningRate } = run.settings;
  const report = run.report((performance.now() - begunMs) / 1000);
  return {
    chosen: { groups: groups ?? 1, momentum, learningRate },
    decisions,
    lostSeconds: autotuner.lostSeconds,
    report,
  };
}
