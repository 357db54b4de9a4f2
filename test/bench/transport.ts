/**
 * What an exchange costs beside the bytes that it has to move: Drove's own, through a coordinator with all that belongs to it,
 * against a raw echo of the same bytes between two processes, over `ws` and over WebRTC: `node test/bench/transport.ts
 * [--sizes 0.2,1.7,25] [--codecs int8,int4] [--quick] [--json]`. The parties of a size are measured in turn, so compare ratios.
 * Takes under four minutes. `transport/copies.ts` counts how often a vector is copied.
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { CODEC_NAMES, isCodecName, type CodecName } from "../../shared/wire/codec/codec.ts";
import { collectBuffersSeldom } from "../../client/node/buffer_collection.ts";
import { copiesBy, COPIES } from "./transport/copies.ts";
import { measureSize, type SizeReport } from "./transport/size_report.ts";
import { SIZES, type Size } from "./transport/sizes.ts";

const GOALS = { ratio: 1.25 };

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
  if (isCodecName(name) && name !== "f32") return name;
  return usageError(`--codecs is a list of ${CODEC_NAMES.slice(1).join(", ")}; found "${name}".`);
});
const device = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
const date = new Date().toISOString().slice(0, 10);
console.error(`transport: ${device}, Node ${process.version}, ${date}`);
// As a volunteer does; raw echoes run under the same setting.
collectBuffersSeldom();
const reports: SizeReport[] = [];
for (const size of sizes) {
  const report = await measureSize(size, codecs, flags.quick);
  print(report);
  reports.push(report);
}
printCopies();
if (flags.json) {
  console.log(JSON.stringify({ bench: "transport", device, date, goals: GOALS, sizes: reports, copies: COPIES }));
}
// The WebRTC stack keeps a process alive.
process.exit(0);

function row(...cells: readonly string[]): void {
  console.error(`  ${cells.map((cell, index) => (index === 0 ? cell.padEnd(22) : cell.padStart(13))).join("")}`);
}

function ms(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

function print({ bytes, websocket, webrtc, codecs: others }: SizeReport): void {
  console.error(
    `\n${(bytes / 1e6).toFixed(1)} MB of parameters, milliseconds (median) and processor milliseconds an exchange`,
  );
  row("", "exchange", "raw echo", "ratio", "goal", "CPU", "CPU raw");
  for (const [name, path] of [["f32 by WebSocket", websocket] as const, ["f32 by WebRTC", webrtc] as const]) {
    const verdict = path.ratio <= GOALS.ratio ? "reached" : "MISSED";
    row(name, ms(path.exchangeMs), ms(path.rawMs), path.ratio.toFixed(2), verdict, ms(path.cpuMs), ms(path.rawCpuMs));
  }
  if (others.length > 0) row("other codecs", "WebSocket", "WebRTC", "CPU", "CPU WebRTC", "kB up", "kB down");
  for (const { codec, bytesUp, bytesDown, websocket: socket, webrtc: channel } of others) {
    const kilobytes = [bytesUp, bytesDown].map((count) => (count / 1000).toFixed(0));
    row(codec, ms(socket.exchangeMs), ms(channel.exchangeMs), ms(socket.cpuMs), ms(channel.cpuMs), ...kilobytes);
  }
}

function printCopies(): void {
  for (const path of ["websocket", "webrtc"] as const) {
    const { ours, raw } = copiesBy(path);
    console.error(
      `\nCopies of the vector in one f32 exchange by ${path}, there and back: ${ours}; of a raw echo: ${raw}`,
    );
    for (const copies of COPIES[path]) console.error(`  ${copies.ours}  (${copies.raw})  ${copies.where}`);
  }
}
