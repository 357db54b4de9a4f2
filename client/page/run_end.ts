/** When a run is over, and what a volunteer is then told. */

import type { PublicView } from "../../shared/run_view.ts";
import { percent } from "./format.ts";

export function isOver(view: Pick<PublicView, "state"> | undefined): boolean {
  return view?.state === "reached" || view?.state === "stopped";
}

export function wordsOfEnd({ state, accuracy }: Pick<PublicView, "state" | "accuracy">): string {
  const how = state === "reached" ? "This run has reached its goal" : "This run was stopped by its operator";
  const at = accuracy === null ? "" : `, at ${percent(accuracy, 2)} held-out accuracy`;
  return `${how}${at}. Nothing more is needed; ask whoever sent you the link for the next one.`;
}
