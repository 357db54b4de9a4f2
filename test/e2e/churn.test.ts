/**
 * Volunteers in Node that are killed, stopped and frozen, at a coordinator that is killed in the middle: real processes and a real run's
 * folder, whose event log and ledger are audited afterwards. `drove bench churn` does the same for ten minutes.
 */

import { expect, test } from "vitest";
import { runChurn } from "../support/churn.ts";

test(
  "[K1] [K5] [K6] Every example of every complete epoch is used once, whoever is killed meanwhile",
  { timeout: 240_000 },
  async () => {
    const progress: string[] = [];
    const { audit, ...counts } = await runChurn({
      seconds: 32,
      volunteers: 2,
      coordinatorKills: 1,
      everyMs: 2500,
      seed: 2,
      args: ["--model", "logistic", "--data", "mnist"],
      onProgress: (sentence) => progress.push(sentence),
    });
    const said = `${progress.join("\n")}\n${JSON.stringify({ counts, audit })}`;
    expect(counts.coordinatorKills, said).toBe(1);
    expect(counts.killed + counts.stopped, said).toBeGreaterThan(0);
    expect(audit.problems, said).toEqual([]);
    expect(audit, said).toMatchObject({ duplicates: 0, missing: 0 });
    expect(audit.returned, said).toBeGreaterThan(0);
    expect(audit.used, said).toBeGreaterThan(0);
    // Leases are for most of the work; the rest is done while the coordinator is away.
    expect(audit.used, said).toBeLessThanOrEqual(audit.samples);
  },
);
