/**
 * The event log of a run (`runs/<name>/events.jsonl`): one JSON line per event, appended and never changed. The ledger has every
 * exchange; this has everything else that people may want to know afterwards, and enough of the view, once a second, to
 * show the run again at any speed. Written by the coordinator, read by `drove replay`, by the operator's page and by exports.
 */

import * as v from "valibot";
import { leaseSchema } from "./lease.ts";
import type { AutotuneDecision, HistoryPoint, RunChange, RunState, RunView } from "./run_view.ts";
import type { RunSettings } from "./run_settings.ts";

/** The view without its growing parts: those have events of their own. */
export type ViewedRun = Omit<RunView, "history" | "autotune" | "changes">;

interface Kinds {
  /** A coordinator began, or went on with, the run. */
  began: { readonly incarnation: number; readonly settings: RunSettings };
  joined: { readonly replica: string; readonly backend: string; readonly device: string };
  /** `forGood`: it said goodbye, or its lease ran out. */
  left: { readonly replica: string; readonly forGood: boolean };
  named: { readonly replica: string; readonly name: string | null };
  paused: object;
  resumed: object;
  kicked: { readonly replica: string };
  /** null: everybody. */
  draining: { readonly replica: string | null };
  changed: { readonly change: RunChange };
  decided: { readonly decision: AutotuneDecision };
  evaluated: { readonly point: HistoryPoint };
  viewed: { readonly view: ViewedRun };
  /** Examples of an epoch are given to a replica. */
  leased: { readonly replica: string; readonly lease: v.InferOutput<typeof leaseSchema> };
  /** Its replica left: from `from` on the lease's examples are given again. */
  returned: { readonly lease: number; readonly from: number };
  /** The exchange that used the rest of the lease is in the ledger. */
  used: { readonly lease: number };
  /** Every example of the epoch was used once. */
  epoch: { readonly epoch: number; readonly examples: number };
  ended: { readonly state: RunState; readonly reason: string };
}

export type RunEventKind = keyof Kinds;

export type RunEvent = {
  [K in RunEventKind]: {
    readonly kind: K;
    /** ISO 8601 */
    readonly at: string;
    /** Of the run's own clock (`RunView.seconds`). */
    readonly seconds: number;
  } & Kinds[K];
}[RunEventKind];

/** What is to be logged; the log adds the time. */
export type LoggedEvent = {
  [K in RunEventKind]: { readonly kind: K } & Kinds[K];
}[RunEventKind];
