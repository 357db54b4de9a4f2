/** The same small grid for each solver, on one seed that is not among the reported ones. */

import type { Scenario } from "../simulate/scenario.ts";
import type { SimulationReport } from "../simulate/report.ts";
import type { ExperimentContext } from "./paper.ts";

export interface Grid<T> {
  readonly points: readonly T[];
  readonly scenarioOf: (point: T, seed: number) => Scenario;
  /** Lower is better; infinite where it does not count at all. */
  readonly scoreOf: (report: SimulationReport) => number;
}

export interface Tuned<T> {
  readonly best: T;
  readonly scores: readonly { readonly point: T; readonly score: number }[];
}

/** Simulates every point of the grid; of equal ones the first is the best. */
export async function tune<T>(context: ExperimentContext, grid: Grid<T>): Promise<Tuned<T>> {
  const { points, scenarioOf, scoreOf } = grid;
  const [only, ...others] = points;
  if (only !== undefined && others.length === 0) return { best: only, scores: [] };
  const scores = await Promise.all(
    points.map(async (point) => {
      const report = await context.pool.simulate(scenarioOf(point, context.tuningSeed));
      return { point, score: scoreOf(report) };
    }),
  );
  const best = scores.reduce((one, other) => (other.score < one.score ? other : one));
  return { best: best.point, scores };
}

/** All ways of taking one value of each field. */
export function gridOf(fields: { readonly [F in keyof Scenario]?: readonly Scenario[F][] }): Scenario[] {
  return Object.entries(fields).reduce<Scenario[]>(
    (points, [field, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [field]: value }))),
    [{}],
  );
}
