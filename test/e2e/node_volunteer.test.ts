/**
 * Volunteers without a browser: `drove join --node` and `drove train --node` with a real coordinator, on WASM and on Dawn.
 * They survive a coordinator that is killed, a device that is lost, and end with their coordinator, run or parent.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { FromWorker } from "../../client/messages.ts";
import { findNodeAdapter } from "../../coordinator/node/adapter.ts";
import type { RunView } from "../../shared/run_view.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";

const fileOf = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const DROVE = fileOf("coordinator/cli/drove.ts");
const VOLUNTEER = fileOf("client/node/volunteer.ts");
const FRAGILE_VOLUNTEER = fileOf("test/support/fragile_volunteer.ts");

const REACTION_TIMEOUT_MS = 180_000;
/** Small enough that a step in software takes some 10 ms. */
const PACE = ["--model", "mlp", "--batch", "32", "--communication-period", "8", "--learning-rate", "0.02"];

const dawn = await findNodeAdapter(fileOf("client/node/probe.ts"));
const withoutDawn =
  dawn.problem === undefined ? "" : ` (skipped: the package webgpu cannot be loaded: ${dawn.problem})`;

interface Program {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** Everything that it wrote to stderr. */
  readonly notes: readonly string[];
  readonly exitCode: Promise<number | null>;
}

const started: ChildProcess[] = [];

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Program {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...environment }, stdio: "pipe" });
  started.push(child);
  const lines: string[] = [];
  const notes: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  createInterface({ input: child.stderr }).on("line", (line) => notes.push(line));
  const exitCode = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  return { child, lines, notes, exitCode };
}

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

function connected({ replicas }: RunView): RunView["replicas"] {
  return replicas.filter((replica) => replica.connected);
}

describe("`drove join --node`", () => {
  let coordinator: CoordinatorProcess;
  let runsFolder: string;

  beforeAll(async () => {
    runsFolder = await mkdtemp(join(tmpdir(), "drove-node-"));
    coordinator = await startCoordinator({ args: ["--name", "node", ...PACE], runsFolder });
  });

  afterAll(async () => {
    await coordinator.stop();
    await rm(runsFolder, { recursive: true, force: true });
  });

  const joinBy = (backend: string): Program =>
    start([DROVE, "join", coordinator.url, "--node", "--backend", backend, "--json"]);

  test.skipIf(withoutDawn !== "")(
    `One volunteer on WASM and one on Dawn make accepted exchanges, come back to a killed coordinator, and end with the run${withoutDawn}`,
    async () => {
      const joined = [joinBy("wasm"), joinBy("webgpu")];
      const both = await coordinator.until(
        "exchanges of both",
        ({ replicas }) =>
          ["wasm", "webgpu"].every((name) => replicas.some(({ backend, applied }) => backend === name && applied >= 2)),
        REACTION_TIMEOUT_MS,
      );
      expect(both.replicas.map(({ refused }) => refused)).toEqual([0, 0]);
      expect(both.replicas.find(({ backend }) => backend === "webgpu")!.device).toBe(dawn.adapter);

      const { port } = coordinator;
      await coordinator.kill();
      coordinator = await startCoordinator({ args: ["--name", "node", "--resume", ...PACE], runsFolder, port });
      const back = await coordinator.until(
        "both are back",
        (view) => connected(view).length === 2,
        REACTION_TIMEOUT_MS,
      );
      const counts = new Map(back.replicas.map(({ id, applied }) => [id, applied]));
      await coordinator.until(
        "both exchange again",
        (view) => connected(view).every(({ id, applied }) => applied >= (counts.get(id) ?? 0) + 2),
        REACTION_TIMEOUT_MS,
      );

      await coordinator.stop();
      for (const { exitCode, lines, notes } of joined) {
        expect([await exitCode, notes.join("\n")]).toEqual([0, expect.stringContaining("trains.")]);
        expect(notes.join("\n")).toMatch(/The exam is passed: \d+ operations and one whole gradient/);
        expect(JSON.parse(lines.at(-1)!)).toMatchObject({ volunteers: 1, reason: "The run is over. Thank you." });
      }
      coordinator = await startCoordinator({ args: ["--name", "node", "--resume", ...PACE], runsFolder });
    },
  );

  test.skipIf(withoutDawn !== "")(
    `A lost device is rebuilt from the last center, and training continues on the GPU${withoutDawn}`,
    async () => {
      const { lines, child, exitCode } = start([FRAGILE_VOLUNTEER, coordinator.url], dawn.environment);
      const messages = (): (FromWorker & { readonly devices: number })[] =>
        lines.map((line) => JSON.parse(line) as FromWorker & { readonly devices: number });
      const applied = (): number =>
        Math.max(0, ...messages().map((one) => (one.kind === "progress" ? one.progress.applied : 0)));
      await coordinator.until("five applied exchanges", () => applied() >= 5, REACTION_TIMEOUT_MS);
      child.stdin!.end();
      expect(await exitCode).toBe(0);

      const choices = messages().flatMap((one) => (one.kind === "backend" ? [one.choice] : []));
      expect(choices.map(({ backend }) => backend)).toEqual(["webgpu", "webgpu"]);
      expect(choices[1]!.reason).toMatch(
        /^The GPU device was lost: .*Training goes on with WebGPU on .*last center\.$/,
      );
      expect(messages().at(-1)!.devices).toBe(2);
      // The new device went on from what the old one had sent: its first loss is one of a trained model, not ln 10.
      const losses = messages().flatMap((one) =>
        one.kind === "progress" && one.devices === 2 && one.progress.loss !== undefined ? [one.progress.loss] : [],
      );
      expect(Math.max(...losses)).toBeLessThan(2);
    },
  );

  test.skipIf(withoutDawn !== "")(
    `A volunteer asked for both devices trains on Dawn and WASM at once, examined, and says what each does alone${withoutDawn}`,
    async () => {
      const { child, notes } = joinBy("hybrid");
      const view = await coordinator.until(
        "exchanges of a hybrid",
        (now) => connected(now).some(({ backend, applied }) => backend === "hybrid" && applied >= 2),
        REACTION_TIMEOUT_MS,
      );
      const hybrid = connected(view).find(({ backend }) => backend === "hybrid")!;
      expect(hybrid.device).toContain(`${dawn.adapter} together with WASM SIMD`);
      expect(hybrid.refused).toBe(0);
      expect(notes.join("\n")).toMatch(
        /WASM SIMD.*: \S+ samples\/s\. WebGPU on .*Hybrid was asked for\. The exam is passed/,
      );
      child.kill("SIGTERM");
      await coordinator.until("it has left", (now) => connected(now).length === 0, REACTION_TIMEOUT_MS);
    },
  );

  test("Volunteers end when the program that started them is killed", async () => {
    const { child } = joinBy("wasm");
    const trains = await coordinator.until(
      "it trains",
      (view) => connected(view).some(({ backend, applied }) => backend === "wasm" && applied > 0),
      REACTION_TIMEOUT_MS,
    );
    child.kill("SIGKILL");
    const view = await coordinator.until("it has left", (now) => connected(now).length === 0, REACTION_TIMEOUT_MS);
    const id = connected(trains).find(({ backend }) => backend === "wasm")!.id;
    expect(view.replicas.find((replica) => replica.id === id)).toMatchObject({ backend: "wasm", refused: 0 });
  });
});

test("`drove train --node` reaches its target without a browser", async () => {
  const coordinator = await startCoordinator({
    command: "train",
    args: ["--node", "--backend", "wasm", "--volunteers", "2", "--target-accuracy", "0.8", ...PACE],
  });
  const { exitCode, lastLine } = await coordinator.ended;
  expect([exitCode, coordinator.log()]).toEqual([0, expect.stringContaining("volunteers: Volunteer 2 of 2: trains.")]);
  expect(JSON.parse(lastLine)).toMatchObject({ state: "reached" });
});

test("A self-signed coordinator is trusted by its key's hash over https and wss, and by nothing less", async () => {
  const runsFolder = await mkdtemp(join(tmpdir(), "drove-node-tls-"));
  const serve = start([DROVE, "serve", "--port", "0", "--runs-folder", runsFolder, "--tls-self-signed", ...PACE]);
  try {
    const link = (): RegExpExecArray | null => /(https:\S+) --trust (\S+)/.exec(serve.lines.join("\n"));
    await expect.poll(link, { timeout: REACTION_TIMEOUT_MS }).not.toBeNull();
    const [, url = "", trust = ""] = link()!;
    const otherTrust = trust.replace(/^./, (first) => (first === "A" ? "B" : "A"));
    const wrong = start([VOLUNTEER, url, "--backend", "wasm", "--trust", otherTrust]);
    expect([await wrong.exitCode, wrong.lines.join("\n")]).toEqual([1, expect.stringContaining("another key")]);

    const right = start([DROVE, "join", url, "--node", "--backend", "wasm", "--trust", trust]);
    // What the coordinator shows on its way.
    await expect.poll(() => serve.notes.join("\n"), { timeout: REACTION_TIMEOUT_MS }).toMatch(/\| [1-9]\d* exchanges/);
    right.child.kill("SIGTERM");
    expect([await right.exitCode, right.notes.join("\n")]).toEqual([0, expect.stringContaining("trains.")]);
    serve.child.kill("SIGINT");
    expect(await serve.exitCode).toBe(0);
  } finally {
    serve.child.kill("SIGKILL");
    await serve.exitCode;
    await rm(runsFolder, { recursive: true, force: true });
  }
});
