/** What a volunteer can do about each way in which training breaks off: under which heading it is said, and with which button. */

import type { FailureKind } from "../messages.ts";

/** Start again here; load the page anew; or train on the processor alone. */
export type FailureAction = "retry" | "reload" | "processor";

interface Failure {
  readonly heading: string;
  readonly actions: readonly FailureAction[];
}

export const ACTIONS: Record<FailureAction, string> = {
  retry: "Try again",
  reload: "Reload the page",
  processor: "Train on the processor instead",
};

export const FAILURES: Record<FailureKind, Failure> = {
  kicked: { heading: "The operator removed your replica", actions: [] },
  "old-client": { heading: "This page is older than its coordinator", actions: ["reload"] },
  "exam-failed": { heading: "This device does not compute what it should", actions: ["processor", "reload"] },
  "device-lost": { heading: "The GPU was lost", actions: ["reload", "processor"] },
  "out-of-reach": { heading: "The run could not be reached", actions: ["retry"] },
  "run-full": { heading: "The run is full", actions: ["retry"] },
  other: { heading: "Training broke off", actions: ["retry", "reload"] },
};
