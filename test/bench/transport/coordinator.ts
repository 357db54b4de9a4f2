/**
 * A coordinator in a process of its own, with all that an exchange passes: server, session, gate, order, center with its applier
 * threads, and a ledger on disk. Without judge and checkpoints, which take processors whenever they are due.
 */

import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectBuffersSeldom } from "../../../coordinator/buffer_collection.ts";
import { Center } from "../../../coordinator/center/center.ts";
import { Run } from "../../../coordinator/run.ts";
import { readConfig, settingsFor, solverSettingsOf } from "../../../coordinator/run_config.ts";
import { start } from "../../../coordinator/server/server.ts";
import { streamOptionsFor } from "../../../coordinator/stream.ts";
import { Ledger } from "../../../coordinator/store/ledger.ts";
import { initialParameters } from "../../../shared/model/layout.ts";
import type { CodecName } from "../../../shared/wire/codec/codec.ts";
import { LIMITS } from "../../../shared/wire/codes.ts";
import { readTask, serveParent } from "./serving.ts";
import { SIZES } from "./sizes.ts";

export interface CoordinatorTask {
  /** Name of the center's size. */
  readonly size: string;
  readonly codec: CodecName;
}

const TICK_MS = 50;

const { size: sizeName, codec } = readTask() as CoordinatorTask;
const size = SIZES.find(({ name }) => name === sizeName);
if (!size) throw new Error(`invariant violation: a center of size ${sizeName}`);
const { model, layout } = size;
collectBuffersSeldom();
const folder = await mkdtemp(join(tmpdir(), "drove-bench-"));
const clientFolder = join(folder, "client");
await mkdir(clientFolder);
const config = readConfig({ flags: { model, codecUp: codec, codecDown: codec, transport: "auto" } });
const center = await Center.create({
  layout,
  initial: initialParameters(layout, 1),
  applier: "lock-free",
  threads: config.applierThreads,
  maxMagnitude: LIMITS.parameterMagnitude,
  stream: streamOptionsFor(codec, layout.elements),
});
const ledger = await Ledger.open(join(folder, "ledger.jsonl"));
const nowMs = (): number => performance.now();
const run = new Run({
  settings: settingsFor(config, { run: "bench", data: dataOf(), layout }),
  layout,
  solver: solverSettingsOf(config),
  center,
  ledger,
  incarnation: 1,
  secret: new Uint8Array(32),
  nowMs,
  nowIso: () => new Date().toISOString(),
  onFailure: (error) => console.error(error),
});
setInterval(() => run.tick(), TICK_MS);
for (const page of ["index.html", "operator.html"]) await writeFile(join(clientFolder, page), "");
const server = await start({
  run,
  host: "127.0.0.1",
  port: 0,
  tls: null,
  clientFolder,
  shards: [],
  onFailure: (error) => console.error(error),
});
serveParent(server.url, () => rm(folder, { recursive: true, force: true }));

function dataOf(): Parameters<typeof settingsFor>[1]["data"] {
  return {
    name: "mnist",
    title: "Digits.",
    trainExamples: 1,
    testExamples: 1,
    normalisation: { mean: [0], deviation: [1] },
    shards: [],
  };
}
