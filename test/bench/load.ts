/**
 * A thousand replicas at one coordinator, a hundred of them exchanging LeNet every second: `node test/bench/load.ts
 * [--replicas 1000] [--exchanging 100] [--seconds 30] [--codec-up f32] [--codec-down f32] [--model lenet] [--json]`. Takes about
 * a minute. Exit code 1 where an exchange was lost.
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { isCodecName } from "../../shared/wire/codec/codec.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { runLoad, type LoadResult } from "../support/load/load.ts";

const { values: flags } = parseArgs({
  options: {
    replicas: { type: "string", default: "1000" },
    exchanging: { type: "string", default: "100" },
    seconds: { type: "string", default: "30" },
    /** Processes of simulated replicas. */
    processes: { type: "string", default: "2" },
    "codec-up": { type: "string", default: "f32" },
    "codec-down": { type: "string", default: "f32" },
    model: { type: "string", default: "lenet" },
    json: { type: "boolean", default: false },
  },
});

function usageError(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}

function wholeNumber(flag: "replicas" | "exchanging" | "seconds" | "processes", most: number): number {
  const value = Number(flags[flag]);
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  return usageError(`--${flag} is a whole number from 1 to ${most}; found "${flags[flag]}".`);
}

for (const flag of ["codec-up", "codec-down"] as const) {
  if (!isCodecName(flags[flag])) usageError(`--${flag} is the name of a codec, such as int8; found "${flags[flag]}".`);
}
const replicas = wholeNumber("replicas", LIMITS.replicas);
const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
console.error(`load: ${device}, Node ${process.version}, ${date}`);
const result = await runLoad({
  replicas,
  exchanging: wholeNumber("exchanging", replicas),
  seconds: wholeNumber("seconds", 600),
  periodMs: 1000,
  processes: wholeNumber("processes", 16),
  args: ["--model", flags.model, "--codec-up", flags["codec-up"], "--codec-down", flags["codec-down"]],
  onProgress: (sentence) => console.error(sentence),
});
print(result);
if (flags.json) console.log(JSON.stringify({ bench: "load", device, date, ...result }));
process.exit(result.lost === 0 && result.problems.length === 0 ? 0 : 1);

function line(name: string, text: string): void {
  console.error(`  ${name.padEnd(34)} ${text}`);
}

function print({ coordinatorRssMB: memory, ...found }: LoadResult): void {
  line("codecs up, down", `${found.codecUp}, ${found.codecDown}`);
  line("exchanges answered, refused, lost", `${found.exchanges}, ${found.refused}, ${found.lost}`);
  if (found.refused > 0) line("refusals", JSON.stringify(found.refusals));
  line("late (answer took over a period)", String(found.late));
  line(
    "answer time p50, p99, max",
    `${found.p50Ms.toFixed(1)}, ${found.p99Ms.toFixed(1)}, ${found.maxMs.toFixed(1)} ms`,
  );
  line("coordinator's processors", found.coordinatorCores.toFixed(2));
  const megabytes = [memory.start, memory.joined, memory.peak, memory.end].map((value) => value.toFixed(0)).join(", ");
  line("memory start, joined, peak, end", `${megabytes} MB`);
  line("bytes up, down", `${(found.bytesUp / 1e6).toFixed(0)}, ${(found.bytesDown / 1e6).toFixed(0)} MB`);
  line("lines in the ledger", String(found.ledgerLines));
  line("one view for a page", `${(found.viewBytes / 1000).toFixed(0)} kB, ${found.viewedReplicas} replicas connected`);
  for (const problem of found.problems) line("PROBLEM", problem);
}
