/** The door for what the coordinator publishes to everybody: JSON text becomes a `PublicView`, or nothing. */

import * as v from "valibot";
import type { HistoryPoint, LeaderboardRow, PublicView } from "../../shared/run_view.ts";
import { historyPointSchema, replicaViewSchema, runNumbers } from "../../shared/run_view_schema.ts";

/** As it is sent: without the history where that has not changed since the last one of the same stream. */
export type SentPublicView = Omit<PublicView, "history"> & { readonly history?: readonly HistoryPoint[] | undefined };

const leaderboardRow: v.GenericSchema<unknown, LeaderboardRow> = v.object({
  name: v.string(),
  samples: v.number(),
  share: v.number(),
  connected: v.boolean(),
});

const schema: v.GenericSchema<unknown, SentPublicView> = v.object({
  ...runNumbers,
  history: v.optional(v.array(historyPointSchema)),
  connected: v.number(),
  left: v.number(),
  leaderboard: v.array(leaderboardRow),
  own: v.nullable(replicaViewSchema),
});

export function readSentPublicView(text: string): SentPublicView | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const checked = v.safeParse(schema, json);
  return checked.success ? checked.output : undefined;
}
