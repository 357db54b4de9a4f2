/**
 * Ten minutes of volunteers that are killed, leave, freeze and return, at a coordinator that is killed too:
 * `node test/bench/churn.ts [--minutes 10] [--volunteers 3] [--model logistic] [--seed 1] [--save FILE] [--json]`. The run's event
 * log and ledger are audited afterwards. Exit code 1 where an example of a complete epoch was not used exactly once.
 */

import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { runChurn, type ChurnResult } from "../support/churn.ts";

const { values: flags } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    volunteers: { type: "string", default: "3" },
    model: { type: "string", default: "logistic" },
    seed: { type: "string", default: "1" },
    /** Where the table goes, as Markdown. */
    save: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

function wholeNumber(flag: "minutes" | "volunteers" | "seed", most: number): number {
  const value = Number(flags[flag]);
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  console.error(`--${flag} is a whole number from 1 to ${most}; found "${flags[flag]}".`);
  return process.exit(2);
}

const minutes = wholeNumber("minutes", 600);
const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
const seed = wholeNumber("seed", 2 ** 32 - 1);
console.error(`churn: ${device}, Node ${process.version}, ${date}, seed ${seed}`);
const result = await runChurn({
  seconds: 60 * minutes,
  volunteers: wholeNumber("volunteers", 64),
  coordinatorKills: Math.max(1, Math.round(minutes / 3)),
  everyMs: 4000,
  seed,
  args: ["--model", flags.model, "--data", "mnist"],
  onProgress: (sentence) => console.error(sentence),
});
const rows = rowsOf(result);
for (const [name, value] of rows) console.error(`  ${name.padEnd(48)} ${value}`);
for (const problem of result.audit.problems) console.error(`  PROBLEM ${problem}`);
if (flags.save !== undefined) await writeFile(flags.save, page(rows));
if (flags.json) console.log(JSON.stringify({ bench: "churn", device, date, seed, ...result }));
const { duplicates, missing, problems } = result.audit;
process.exit(duplicates === 0 && missing === 0 && problems.length === 0 ? 0 : 1);

function rowsOf({ audit, ...counts }: ChurnResult): readonly (readonly [string, number])[] {
  return [
    ["minutes", minutes],
    ["volunteers started", counts.started],
    ["killed without warning", counts.killed],
    ["asked to stop", counts.stopped],
    ["frozen for 3 s or 40 s", counts.frozen],
    ["kills of the coordinator", counts.coordinatorKills],
    ["replicas in the run", counts.replicas],
    ["applied exchanges", audit.exchanges],
    ["samples", audit.samples],
    ["of them examples of leases", audit.used],
    ["complete epochs", audit.epochs],
    ["leases", audit.leases],
    ["leases given back", audit.returned],
    ["examples of those that were used before", audit.usedByLeavers],
    ["examples used or leased twice in an epoch", audit.duplicates],
    ["examples missing from a complete epoch", audit.missing],
    ["other contradictions", audit.problems.length],
  ];
}

function page(table: readonly (readonly [string, number])[]): string {
  return [
    "# Volunteers that leave, and examples that are used exactly once",
    "",
    `\`drove bench churn --minutes ${minutes}\` on ${device}, Node ${process.version}, ${date}; ${flags.model} on MNIST, seed ${seed}.`,
    "Every volunteer and the coordinator are processes; what is counted below the exchanges is read from the run's event log and",
    "ledger alone, by a program that follows every example through them (`test/support/lease_audit.ts`).",
    "",
    "| what | |",
    "| --- | ---: |",
    ...table.map(([name, value]) => `| ${name} | ${value.toLocaleString("en")} |`),
    "",
  ].join("\n");
}
