/**
 * The codecs of a run that names none: as few bytes as cost no accuracy that was seen (`drove bench codecs`, 2026-11-21; the table is
 * in test/bench/results/). Int4 both ways takes 1/6.5 of the bytes of f32 with four replicas of unequal speed.
 */

import type { SolverName } from "../shared/solver/catalogue.ts";
import { solverOf } from "../shared/solver/catalogue.ts";
import type { SolverSettings } from "../shared/solver/settings.ts";
import type { Codecs } from "../shared/wire/vectors.ts";

export function codecsFor(solver: SolverName, exchange: SolverSettings["exchange"], groups: number | null): Codecs {
  const { rule, order } = solverOf(solver);
  // A replica that has moved by a difference has to send all of it.
  if (exchange === "two-round-trip") return { up: "f32", down: "f32" };
  // A group of elastic replicas is answered with its own mean.
  if (rule === "elastic") return { up: "int4", down: groups === null || order === "barrier" ? "int4" : "f32" };
  // Published versions are a little older than answers of one's own, which a solver that takes its place from the center pays for,
  // unless it waits for the very center anyway. Up, async-msgd lost 0.3 points by int4 and 0.1 by int8, on one seed.
  if (rule === "pseudo-gradient" && order === "barrier") return { up: "int4", down: "int4" };
  return { up: "int8", down: "f32" };
}
