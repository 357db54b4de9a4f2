/** A runs folder as people choose from it (`GET /api/operator/runs`, `drove runs`). Types only. */

import type { SolverName } from "./solver/catalogue.ts";

export interface RunSummary {
  readonly name: string;
  readonly model: string;
  readonly data: string;
  readonly solver: SolverName;
  /** `running`: a coordinator has it now. `unfinished`: none has, and it was not ended; it can be resumed. */
  readonly state: "running" | "reached" | "stopped" | "unfinished";
  /** Of the last held-out evaluation; null where there was none. */
  readonly accuracy: number | null;
  readonly samples: number;
  /** Of the run's own clock. */
  readonly seconds: number;
  /** When it was last written to, ISO 8601. */
  readonly at: string;
  /** The coordinator that was asked has it. */
  readonly isCurrent: boolean;
}
