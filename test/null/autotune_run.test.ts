/** The optimizer beside a real coordinator: Node volunteers on WASM train real MNIST, leave and come back. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AUTOTUNE_FILE } from "../../coordinator/autotune/run_tuner.ts";
import { NodeSwarm } from "../../coordinator/node/node_swarm.ts";
import { readConfig } from "../../coordinator/run_config.ts";
import { SMALL } from "../../coordinator/reproduce/omnivore/setting.ts";
import type { Service } from "../../coordinator/running_service.ts";
import { startService } from "../../coordinator/service.ts";
import type { AutotuneDecision } from "../../shared/run_view.ts";
import { makeClientFolder } from "./server_harness.ts";

const PROGRAM = fileURLToPath(new URL("../../client/node/volunteer.ts", import.meta.url));

let runsFolder = "";
let clientFolder = "";
const failures: unknown[] = [];

beforeAll(async () => {
  runsFolder = await mkdtemp(join(tmpdir(), "drove-autotune-"));
  clientFolder = await makeClientFolder();
});
afterAll(async () => {
  await rm(runsFolder, { recursive: true });
  await rm(clientFolder, { recursive: true });
});

function startRun(resume: boolean): Promise<Service> {
  const config = readConfig({
    flags: { name: "tuned", model: SMALL, solver: "async-msgd", batch: 64, learningRate: 0.1, volunteers: 2 },
    defaults: { port: 0, runsFolder, autotune: true },
  });
  return startService(config, {
    clientFolder,
    dataRoot: join(runsFolder, ".data"),
    resume,
    measuresCurvature: false,
    onFailure: (error) => failures.push(error),
    onNote: () => {},
  });
}

function volunteers(service: Service, count: number): NodeSwarm {
  return new NodeSwarm({
    program: PROGRAM,
    url: service.url,
    volunteers: count,
    backend: "wasm",
    threads: 1,
    trust: undefined,
    environment: {},
    onLine: () => {},
  });
}

async function until(isSo: () => boolean, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isSo()) {
    if (failures.length > 0) throw failures[0];
    if (performance.now() > end) throw new Error("it did not happen in time");
    await sleep(50);
  }
}

async function decisionsOnDisk(service: Service): Promise<AutotuneDecision[]> {
  const text = await readFile(join(service.folder.path, AUTOTUNE_FILE), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as AutotuneDecision);
}

test("A real run is tuned, goes on while volunteers leave and join, and resumes with its last decision", async () => {
  const service = await startRun(false);
  const steady = volunteers(service, 1);
  const fickle = volunteers(service, 1);
  const decisions = (): readonly AutotuneDecision[] => service.run.view().autotune;
  await until(() => decisions().length > 0, 60_000);
  await fickle.stop();
  const late = volunteers(service, 1);
  await until(() => decisions().some(({ phase }) => phase === "search"), 240_000);
  const before = service.run.view().samples;
  await until(() => service.run.view().samples > before + 2000, 30_000);

  const result = await service.close("The test has seen enough.");
  await Promise.all([steady.stop(), late.stop()]);
  expect(result.autotune[0]).toMatchObject({ phase: "groups" });
  expect(result.autotune[0]?.reason).toMatch(/per update/);
  expect(result.autotune.find(({ phase }) => phase === "search")?.reason).toMatch(
    /had (the lowest|a) loss .*of \d+ tried/,
  );
  const last = result.autotune.at(-1);
  const { groups, momentum, learningRate } = result.hyperparameters;
  expect({ groups, momentum, learningRate }).toEqual({
    groups: last?.groups,
    momentum: last?.momentum,
    learningRate: last?.learningRate,
  });
  expect(await decisionsOnDisk(service)).toEqual(result.autotune);
  // Training went somewhere while it was tuned: chance is 0.1.
  expect(result.accuracy).toBeGreaterThan(0.5);

  const resumed = await startRun(true);
  const again = volunteers(resumed, 2);
  await until(() => resumed.run.view().autotune.length > result.autotune.length, 60_000);
  const first = resumed.run.view().autotune[result.autotune.length];
  await resumed.close("The test has seen enough.");
  await again.stop();
  expect(first).toMatchObject({ phase: "resumed", groups, momentum, learningRate });
  expect(failures).toEqual([]);
}, 480_000);
