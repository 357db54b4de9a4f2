/** What was measured as a run went, in order: every evaluation, and the view that was logged each second. */

import type { HistoryPoint } from "../../shared/run_view.ts";
import type { ViewedRun } from "../../shared/run_log.ts";
import { readLoggedEvent, readLoggedView } from "../../shared/run_log_reader.ts";
import { eventsPath, linesOf, type SourceRun } from "./run_source.ts";

export type Measurement = {
  /** ISO 8601; null in a run that has no event log. */
  readonly at: string | null;
} & (
  | { readonly kind: "evaluation"; readonly point: HistoryPoint }
  | { readonly kind: "view"; readonly view: ViewedRun }
);

/** A run without an event log has its evaluations alone, from the checkpoint. */
export async function* measurementsOf({ folder, view, record }: SourceRun): AsyncGenerator<Measurement> {
  if (!view) {
    for (const point of record?.history ?? []) yield { kind: "evaluation", at: null, point };
    return;
  }
  for await (const line of linesOf(eventsPath(folder))) {
    const event = readLoggedEvent(line);
    if (event?.kind === "evaluated") yield { kind: "evaluation", at: event.at, point: event.point };
    if (event?.kind !== "viewed") continue;
    const viewed = readLoggedView(event);
    if (viewed) yield { kind: "view", at: timeOf(line), view: viewed };
  }
}

/** Of a line that was read as an event already. */
function timeOf(line: string): string {
  return (JSON.parse(line) as { readonly at: string }).at;
}

/** Counted over the replicas that are connected. */
export interface Crowd {
  readonly connected: number;
  readonly hidden: number;
  /** Mean of what volunteers allow; null where nobody is connected. */
  readonly dutyCycle: number | null;
}

export function crowdOf({ replicas }: Pick<ViewedRun, "replicas">): Crowd {
  const here = replicas.filter(({ connected }) => connected);
  const duties = here.reduce((sum, { dutyCycle }) => sum + dutyCycle, 0);
  return {
    connected: here.length,
    hidden: here.filter(({ isHidden }) => isHidden).length,
    dutyCycle: here.length === 0 ? null : duties / here.length,
  };
}
