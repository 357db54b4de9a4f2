/** The states of a run, in the words of both pages. */

import type { RunState } from "../../shared/run_view.ts";

export const STATES: Record<RunState, string> = {
  waiting: "waiting for replicas",
  training: "training",
  reached: "target reached",
  stopped: "stopped",
};
