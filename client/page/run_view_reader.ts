/** The door for what the coordinator publishes: JSON text becomes a `RunView`, or nothing. */

import * as v from "valibot";
import type { HistoryPoint, RunView } from "../../shared/run_view.ts";
import {
  changeSchema,
  decisionSchema,
  historyPointSchema,
  replicaViewSchema,
  runNumbers,
} from "../../shared/run_view_schema.ts";

/** As it is sent: without the history where that has not changed since the last one of the same stream. */
export type SentRunView = Omit<RunView, "history"> & { readonly history?: readonly HistoryPoint[] | undefined };

const schema: v.GenericSchema<unknown, SentRunView> = v.object({
  ...runNumbers,
  refusals: v.record(v.string(), v.number()),
  replicas: v.array(replicaViewSchema),
  history: v.optional(v.array(historyPointSchema)),
  autotune: v.array(decisionSchema),
  changes: v.array(changeSchema),
});

export function readSentRunView(text: string): SentRunView | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const checked = v.safeParse(schema, json);
  return checked.success ? checked.output : undefined;
}
