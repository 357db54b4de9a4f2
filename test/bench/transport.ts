/**
 * What an exchange costs beside the bytes that it has to move: Drove's own, through a coordinator with all that belongs to it,
 * against a raw echo of the same bytes between two processes: `node test/bench/transport.ts [--sizes 0.2,1.7,25]
 * [--codecs int8,int4] [--quick] [--json]`. All parties of a size are measured in turn, so compare ratios. Takes under four minutes.
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { CODEC_NAMES, isCodecName, type CodecName } from "../../shared/wire/codec/codec.ts";
import { exchanger, type Exchanger } from "./transport/exchanger.ts";
import { measureInTurn, ratioOf, type Effort, type Measured } from "./transport/measure.ts";
import { vectorOfSize, type Party } from "./transport/party.ts";
import { rawSocket } from "./transport/raw_socket.ts";
import { SIZES, type Size } from "./transport/sizes.ts";

const GOAL_RATIO = 1.25;

interface PathReport {
  readonly exchangeMs: number;
  readonly rawMs: number;
  /** Median over rounds. */
  readonly ratio: number;
  /** Client and coordinator together. */
  readonly cpuMs: number;
  readonly rawCpuMs: number;
}

interface CodecReport {
  readonly codec: CodecName;
  readonly exchangeMs: number;
  readonly ratio: number;
  readonly cpuMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

interface SizeReport {
  readonly bytes: number;
  readonly websocket: PathReport;
  readonly codecs: readonly CodecReport[];
}

const { values: flags } = parseArgs({
  options: {
    sizes: { type: "string", default: SIZES.map(({ name }) => name).join(",") },
    codecs: { type: "string", default: CODEC_NAMES.filter((name) => name !== "f32").join(",") },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

function usageError(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}

const sizes = flags.sizes.split(",").map((wanted): Size => {
  const size = SIZES.find(({ name }) => name === wanted);
  return size ?? usageError(`--sizes is a list of ${SIZES.map(({ name }) => name).join(", ")}; found "${wanted}".`);
});
const codecs = (flags.codecs === "" ? [] : flags.codecs.split(",")).map((name): CodecName => {
  return isCodecName(name) && name !== "f32"
    ? name
    : usageError(`--codecs is a list of ${CODEC_NAMES.slice(1).join(", ")}; found "${name}".`);
});

/** Fewer exchanges of larger centers, in about the same time. */
function effortFor(bytes: number): Effort {
  const megabytes = bytes / 1e6;
  const blockExchanges = megabytes > 10 ? 2 : megabytes > 1 ? 8 : 20;
  const rounds = flags.quick ? 5 : 25;
  const limitMs = flags.quick ? 5000 : 25_000;
  return { warmUpMs: flags.quick ? 500 : 2000, warmUpExchanges: 100, rounds, blockExchanges, limitMs };
}

async function measureSize(size: Size): Promise<SizeReport> {
  const bytes = 4 * size.layout.elements;
  const vector = vectorOfSize(size.layout.elements);
  const parties = new Map<string, Party>();
  const exchangers = new Map<CodecName, Exchanger>();
  try {
    parties.set("raw", await rawSocket(vector));
    for (const codec of ["f32", ...codecs] as const) {
      const party = await exchanger(size, codec, vector);
      exchangers.set(codec, party);
      parties.set(codec, party);
    }
    const measured = await measureInTurn(parties, effortFor(bytes));
    const of = (name: string): Measured => {
      const found = measured.get(name);
      if (!found) throw new Error(`invariant violation: ${name} was not measured`);
      return found;
    };
    const raw = of("raw");
    return {
      bytes,
      websocket: {
        exchangeMs: of("f32").exchangeMs,
        rawMs: raw.exchangeMs,
        ratio: ratioOf(of("f32"), raw),
        cpuMs: of("f32").cpuMs,
        rawCpuMs: raw.cpuMs,
      },
      codecs: codecs.map((codec) => {
        const { sent } = exchangers.get(codec)!;
        return {
          codec,
          exchangeMs: of(codec).exchangeMs,
          ratio: ratioOf(of(codec), raw),
          cpuMs: of(codec).cpuMs,
          bytesUp: sent.bytesUp / sent.exchanges,
          bytesDown: sent.bytesDown / sent.exchanges,
        };
      }),
    };
  } finally {
    for (const party of parties.values()) await party.close();
  }
}

const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
console.error(`transport: ${device}, Node ${process.version}, ${date}`);
const reports: SizeReport[] = [];
for (const size of sizes) {
  const report = await measureSize(size);
  console.error(JSON.stringify(report, undefined, 1));
  reports.push(report);
}
if (flags.json)
  console.log(JSON.stringify({ bench: "transport", device, date, goals: { ratio: GOAL_RATIO }, sizes: reports }));
process.exit(0);
