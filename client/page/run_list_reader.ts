/** The door for the list of runs (`GET /api/operator/runs`). */

import * as v from "valibot";
import type { RunSummary } from "../../shared/run_list.ts";
import { SOLVER_NAMES } from "../../shared/solver/catalogue.ts";

const schema: v.GenericSchema<unknown, RunSummary[]> = v.array(
  v.object({
    name: v.string(),
    model: v.string(),
    data: v.string(),
    solver: v.picklist(SOLVER_NAMES),
    state: v.picklist(["running", "reached", "stopped", "unfinished"]),
    accuracy: v.nullable(v.number()),
    samples: v.number(),
    seconds: v.number(),
    at: v.string(),
    isCurrent: v.boolean(),
  }),
);

export function readRunList(value: unknown): readonly RunSummary[] | undefined {
  const checked = v.safeParse(schema, value);
  return checked.success ? checked.output : undefined;
}
