/** One scenario as a task for a pool of worker threads, each with a simulator of its own. */

import type { SimulationReport } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { Simulator } from "./simulator.ts";

const simulator = new Simulator();

export default function simulate(scenario: Scenario): Promise<SimulationReport> {
  return simulator.simulate(scenario);
}
