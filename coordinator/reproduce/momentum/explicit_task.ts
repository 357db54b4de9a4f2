/** The search for the best explicit momentum at one degree of asynchrony and one seed, as a task of the pool. */

import { MomentumSearch, type SearchOptions, type SearchRow } from "./explicit_momentum.ts";
import { workbenchFor, type WorkbenchOptions } from "./workbench.ts";

export interface ExplicitTask {
  readonly workbench: WorkbenchOptions;
  readonly search: SearchOptions;
}

export default async function searchMomentum({ workbench, search }: ExplicitTask): Promise<SearchRow[]> {
  const { objective, center } = await workbenchFor(workbench);
  return new MomentumSearch(objective, center, search).run();
}
