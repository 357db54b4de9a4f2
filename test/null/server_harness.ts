/** A real server over a real run with a real center, on port 0, for the tests of this folder; only the ledger and the pages are stand-ins. */

import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Center } from "../../coordinator/center/center.ts";
import { Run } from "../../coordinator/run.ts";
import { modelOf, readConfig, settingsFor } from "../../coordinator/run_config.ts";
import { start, type RunningServer, type ServerOptions } from "../../coordinator/server/server.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import { LIMITS } from "../../shared/wire/codes.ts";

export interface Harness {
  readonly run: Run;
  readonly center: Center;
  readonly server: RunningServer;
  readonly url: string;
  readonly socketUrl: string;
  readonly payloadBytes: number;
  readonly layoutHash: string;
  /** Our own bugs, as the server reported them. */
  readonly failures: unknown[];
  close(): Promise<void>;
}

export const SHARD = { path: "data/mnist/0123456789abcdef.bin", parts: [Buffer.from("images"), Buffer.from("labels")] };

export async function startHarness(options: Partial<ServerOptions> = {}): Promise<Harness> {
  const config = readConfig({ flags: { model: "mlp", port: 0 } });
  const layout = layoutOf(modelOf(config));
  const center = await Center.create({
    layout,
    initial: initialParameters(layout, 1),
    applier: "lock-free",
    threads: 2,
    maxMagnitude: LIMITS.parameterMagnitude,
  });
  const data = {
    name: "mnist",
    title: "Digits.",
    trainExamples: 6,
    testExamples: 1,
    normalisation: { mean: [0.13], deviation: [0.3] },
    shards: [{ url: SHARD.path, examples: 6 }],
  };
  const failures: unknown[] = [];
  const onFailure = (error: unknown): void => void failures.push(error);
  const run = new Run({
    settings: settingsFor(config, { run: "test", data, layout }),
    layout,
    solver: config,
    center,
    ledger: { append: () => Promise.resolve() },
    incarnation: 1,
    secret: new Uint8Array(32),
    nowMs: () => performance.now(),
    nowIso: () => new Date().toISOString(),
    onFailure,
  });
  const clientFolder = await makeClientFolder();
  const closeRest = async (): Promise<void> => {
    await center.close();
    await rm(clientFolder, { recursive: true });
  };
  const server = await start({
    run,
    host: "127.0.0.1",
    port: 0,
    tls: null,
    clientFolder,
    shards: [SHARD],
    onFailure,
    ...options,
  }).catch(async (error: unknown) => {
    await closeRest();
    throw error;
  });
  return {
    run,
    center,
    server,
    url: server.url,
    socketUrl: `${server.url.replace("http", "ws")}/ws`,
    payloadBytes: 4 * layout.elements,
    layoutHash: layout.hash,
    failures,
    close: async () => {
      await server.close();
      await closeRest();
    },
  };
}

export async function makeClientFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "drove-client-"));
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html><title>volunteer</title>");
  await writeFile(join(folder, "operator.html"), "<!doctype html><title>operator</title>");
  await writeFile(join(folder, "assets", "page-1a2b3c.js"), `// ${"long ".repeat(1000)}\n`);
  return folder;
}
