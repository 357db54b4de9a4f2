/**
 * How little a slow, long line keeps a replica from its local steps: `node test/bench/overlap.ts [--model lenet] [--tau 16]
 * [--batch 64] [--round-trip-ms 50] [--up-mbit 10] [--down-mbit 100] [--codecs f32/f32,int8/int8,int4/int4] [--fragments 1]
 * [--exchanges 20] [--json]`. A real coordinator and a real volunteer (Node, WASM, one thread) with a shaping proxy between them,
 * three processes. About a minute for each pair of codecs (up/down). Exit code 1 where a measurement failed.
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { isCodecName } from "../../shared/wire/codec/codec.ts";
import { runShaped, type Overlap } from "../support/shaped_run.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "lenet" },
    tau: { type: "string", default: "16" },
    batch: { type: "string", default: "64" },
    "round-trip-ms": { type: "string", default: "50" },
    "up-mbit": { type: "string", default: "10" },
    "down-mbit": { type: "string", default: "100" },
    codecs: { type: "string", default: "f32/f32,int8/int8,int4/int4" },
    fragments: { type: "string", default: "1" },
    exchanges: { type: "string", default: "20" },
    json: { type: "boolean", default: false },
  },
});

interface Row extends Overlap {
  readonly codecUp: string;
  readonly codecDown: string;
}

function usageError(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}

function positive(flag: "round-trip-ms" | "up-mbit" | "down-mbit" | "exchanges"): number {
  const value = Number(flags[flag]);
  return value > 0 ? value : usageError(`--${flag} is a number above 0; found "${flags[flag]}".`);
}

const pairs = flags.codecs.split(",").map((pair) => {
  const [up = "", down = ""] = pair.split("/");
  if (isCodecName(up) && isCodecName(down)) return { up, down };
  return usageError(`--codecs are pairs of codecs, up and down, such as int8/int4; found "${pair}".`);
});
const line = {
  roundTripMs: positive("round-trip-ms"),
  upBitsPerSecond: positive("up-mbit") * 1e6,
  downBitsPerSecond: positive("down-mbit") * 1e6,
};
const exchanges = positive("exchanges");
const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
console.error(`overlap: ${device}, Node ${process.version}, ${date}`);
console.error(
  `  ${flags.model}, batch ${flags.batch}, tau ${flags.tau}, fragments ${flags.fragments}; ` +
    `${line.roundTripMs} ms round trip, ${flags["up-mbit"]} Mbit/s up, ${flags["down-mbit"]} Mbit/s down`,
);
const rows: Row[] = [];
for (const { up, down } of pairs) {
  const args = ["--model", flags.model, "--communication-period", flags.tau, "--batch", flags.batch];
  const wire = ["--codec-up", up, "--codec-down", down, "--fragments", flags.fragments];
  const overlap = await runShaped({ line, args: [...args, ...wire], exchanges, timeoutMs: 600_000 });
  rows.push({ codecUp: up, codecDown: down, ...overlap });
  print({ codecUp: up, codecDown: down, ...overlap });
}
if (flags.json) console.log(JSON.stringify({ bench: "overlap", device, date, line, rows }));

function print(row: Row): void {
  console.error(
    `  ${`${row.codecUp}/${row.codecDown}`.padEnd(14)} busy ${(100 * row.busyShare).toFixed(1)} %   ` +
      `period ${row.effectivePeriod.toFixed(1)} of ${row.nominalPeriod}   ` +
      `${Math.round(row.bytesPerExchange / 1000)} kB an exchange   ${row.msPerStep.toFixed(1)} ms a step`,
  );
}
