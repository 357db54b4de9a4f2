/**
 * How a run went, in the numbers that a model card tells: from the last view of its event log, or, where a run has none, from its
 * ledger, its result and its checkpoint's record.
 */

import type { AutotuneDecision, RunChange, RunState, StalenessView } from "../../shared/run_view.ts";
import { StalenessHistogram } from "../../shared/staleness_histogram.ts";
import { parseEntry } from "../store/ledger.ts";
import { ledgerPath, linesOf, type SourceRun } from "./run_source.ts";

export interface ReplicaFacts {
  readonly backend: string;
  readonly device: string;
  readonly samples: number;
  /** That its volunteer offers now; a name that was taken back is none. */
  readonly name: string | null;
}

export interface RunFacts {
  readonly state: RunState;
  readonly seconds: number;
  readonly samples: number;
  readonly applied: number;
  readonly refused: number;
  /** By code. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly staleness: StalenessView;
  readonly replicas: readonly ReplicaFacts[];
  readonly changes: readonly RunChange[];
  readonly decisions: readonly AutotuneDecision[];
  /** Complete ones; null where nothing was leased. */
  readonly epochs: number | null;
}

export async function factsOf(run: SourceRun): Promise<RunFacts> {
  const { view } = run;
  if (!view) return factsOfLedger(run);
  return {
    state: view.state,
    seconds: view.seconds,
    samples: view.samples,
    applied: view.applied,
    refused: view.refused,
    refusals: view.refusals,
    bytesUp: view.bytesUp,
    bytesDown: view.bytesDown,
    staleness: view.staleness,
    replicas: view.replicas.map(({ backend, device, samples, name }) => ({ backend, device, samples, name })),
    changes: view.changes,
    decisions: view.autotune,
    epochs: view.epoch.examples === 0 ? null : view.epoch.epoch - 1,
  };
}

async function factsOfLedger({ folder, result, record }: SourceRun): Promise<RunFacts> {
  const staleness = new StalenessHistogram();
  const refusals: Record<string, number> = {};
  const samplesOf = new Map<string, number>();
  let applied = 0;
  let refused = 0;
  let number = 0;
  for await (const line of linesOf(ledgerPath(folder))) {
    const entry = parseEntry(line, `${ledgerPath(folder)}:${++number}`);
    if (entry.verdict === "applied") {
      applied++;
      staleness.add(entry.staleness ?? 0);
      samplesOf.set(entry.replica, (samplesOf.get(entry.replica) ?? 0) + entry.samples);
    } else {
      refused++;
      refusals[entry.verdict] = (refusals[entry.verdict] ?? 0) + 1;
    }
  }
  const known = new Map(record?.replicas.map((replica) => [replica.id, replica]));
  return {
    state: result?.state ?? "stopped",
    seconds: record?.seconds ?? result?.trainingSeconds ?? 0,
    samples: [...samplesOf.values()].reduce((sum, samples) => sum + samples, 0),
    applied,
    refused,
    refusals,
    bytesUp: record?.bytesUp ?? 0,
    bytesDown: record?.bytesDown ?? 0,
    staleness: staleness.view(),
    replicas: [...samplesOf].map(([id, samples]) => ({
      backend: known.get(id)?.backend ?? "unknown",
      device: known.get(id)?.device ?? "unknown",
      samples,
      name: null,
    })),
    changes: [],
    decisions: record?.autotune ?? [],
    epochs: null,
  };
}
