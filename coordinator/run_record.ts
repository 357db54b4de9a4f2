/**
 * A run's memory across restarts: what a checkpoint writes beside the center, and how record and ledger together bring
 * the roster back. The ledger is exact (who pushed what, with which verdict); the record holds what it does not.
 */

import * as v from "valibot";
import { REPORTED_BACKENDS } from "../shared/backends.ts";
import { operatorChangesSchema, type OperatorChanges } from "../shared/operator.ts";
import type { AutotuneDecision, HistoryPoint, ReplicaView, RunChange } from "../shared/run_view.ts";
import { changeSchema } from "../shared/run_view_schema.ts";
import type { StalenessHistogram } from "../shared/staleness_histogram.ts";
import type { Roster } from "./roster.ts";
import type { LedgerEntry } from "./store/ledger.ts";

const amount = v.pipe(v.number(), v.finite());

const schema = v.object({
  seconds: amount,
  history: v.array(
    v.object({
      seconds: amount,
      samples: amount,
      /** Runs of earlier versions did not count them for each evaluation. */
      bytes: v.optional(amount, 0),
      accuracy: amount,
      testLoss: amount,
      trainLoss: amount,
      images: amount,
    }),
  ),
  /** Runs of earlier versions have none. */
  autotune: v.exactOptional(
    v.array(
      v.object({
        seconds: amount,
        phase: v.string(),
        groups: amount,
        momentum: amount,
        learningRate: amount,
        reason: v.string(),
      }),
    ),
  ),
  bytesUp: amount,
  bytesDown: amount,
  replicas: v.array(
    v.object({
      id: v.string(),
      backend: v.picklist(REPORTED_BACKENDS),
      device: v.string(),
      name: v.exactOptional(v.nullable(v.string())),
    }),
  ),
  /** Of the run's settings while it went on; what of them the operator changed, as it was then; and whom the operator kicked. */
  changes: v.exactOptional(v.array(changeSchema)),
  retuned: v.exactOptional(operatorChangesSchema),
  kicked: v.exactOptional(v.array(v.string())),
});

export interface RunRecord {
  readonly seconds: number;
  readonly history: readonly HistoryPoint[];
  readonly autotune?: readonly AutotuneDecision[];
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly replicas: readonly (Pick<ReplicaView, "id" | "backend" | "device"> & {
    readonly name?: string | null;
  })[];
  readonly changes?: readonly RunChange[];
  readonly retuned?: OperatorChanges;
  readonly kicked?: readonly string[];
}

/** The record as read back, or a sentence on what is wrong with it. */
export function readRunRecord(value: unknown): RunRecord | { readonly problem: string } {
  const checked = v.safeParse(schema, value);
  if (checked.success) return checked.output;
  const [issue] = checked.issues;
  return {
    problem: `The checkpoint's record of the run has a wrong field "${v.getDotPath(issue) ?? ""}": ${issue.message}`,
  };
}

export interface RestoredRun extends RunRecord {
  readonly ledger: Iterable<LedgerEntry>;
}

/** Brings back replicas with their contribution and their last settled exchange. */
export function restoreRun(restored: RestoredRun, roster: Roster, staleness: StalenessHistogram, nowMs: number): void {
  for (const { id, backend, device, name = null } of restored.replicas) {
    const replica = roster.restore(id, nowMs);
    replica.backend = backend;
    replica.device = device;
    replica.name = name;
  }
  for (const entry of restored.ledger) {
    const replica = roster.restore(entry.replica, nowMs);
    replica.lastExchange = Math.max(replica.lastExchange, entry.exchange);
    if (entry.verdict === "applied") {
      replica.exchanges++;
      replica.applied++;
      replica.samples += entry.samples;
      replica.staleness.add(entry.staleness ?? 0);
      staleness.add(entry.staleness ?? 0);
    } else {
      replica.refused++;
    }
  }
}
