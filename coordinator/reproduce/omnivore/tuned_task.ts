/** One tuned scenario as a task for the pool. */

import { tuneScenario, type TunedScenario } from "../../autotune/tune_scenario.ts";
import { completeScenario, type Scenario } from "../../simulate/scenario.ts";
import { Simulator } from "../../simulate/simulator.ts";

const DATA_ROOT = "runs/.data";
const simulator = new Simulator({ dataRoot: DATA_ROOT });

export default function tune(scenario: Scenario): Promise<TunedScenario> {
  return tuneScenario(simulator, completeScenario(scenario), { dataRoot: DATA_ROOT });
}
