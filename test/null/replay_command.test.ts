/** `drove replay` of a run that a real one left: its lines and its summary, and the server behind the operator's page, without a coordinator. */

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startReplayServer, type ReplayServer } from "../../coordinator/server/replay_server.ts";
import { RunReplay } from "../../shared/run_replay.ts";
import type { RunView } from "../../shared/run_view.ts";
import { runDrove } from "../support/drove_command.ts";

const REPLAYED = fileURLToPath(new URL("../support/replay/replayed", import.meta.url));
const TOKEN = "a-token-of-thirty-two-characters";

let folder: string;
let log: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-replay-"));
  await cp(REPLAYED, join(folder, "runs", "replayed"), { recursive: true });
  log = await readFile(join(REPLAYED, "events.jsonl"), "utf8");
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("The lines of a replay are the run's events in order, and its summary has the accuracy of the run's result", async () => {
  const args = ["replay", "replayed", "--runs-folder", "runs", "--print", "--speed", "1e6", "--json"];
  const { exitCode, stdout, stderr } = await runDrove(folder, args);
  expect(exitCode).toBe(0);
  const result = JSON.parse(await readFile(join(REPLAYED, "result.json"), "utf8")) as { accuracy: number };
  expect(JSON.parse(stdout.trim())).toMatchObject({ run: "replayed", state: "stopped", accuracy: result.accuracy });
  const lines = stderr.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^ +0\.0 s {2}The run began$/);
  expect(lines.at(-1)).toMatch(/30\.8 s {2}The run ended: it was stopped\. The operator ended the run\.$/);
  const seconds = lines.map((line) => Number.parseFloat(line));
  expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
});

test("What cannot be shown is refused with what is accepted", async () => {
  const unknown = await runDrove(folder, ["replay", "nobody", "--runs-folder", "runs"]);
  expect([unknown.exitCode, unknown.stderr]).toEqual([2, expect.stringMatching(/no run "nobody".*one of replayed/)]);
  const stopped = await runDrove(folder, ["replay", "replayed", "--runs-folder", "runs", "--print", "--speed", "0"]);
  expect([stopped.exitCode, stopped.stderr]).toEqual([2, expect.stringMatching(/--speed is "0"; accepted is/)]);
  await cp(join(folder, "runs"), join(folder, "older"), { recursive: true });
  await rm(join(folder, "older", "replayed", "events.jsonl"));
  const older = await runDrove(folder, ["replay", "replayed", "--runs-folder", "older", "--print"]);
  expect([older.exitCode, older.stderr]).toEqual([1, expect.stringMatching(/has no event log/)]);
});

describe("The server of a replay", () => {
  let server: ReplayServer;
  const failures: unknown[] = [];

  beforeAll(async () => {
    const clientFolder = join(folder, "client");
    await mkdir(join(clientFolder, "assets"), { recursive: true });
    for (const page of ["index.html", "operator.html", "assets/page.js"])
      await writeFile(join(clientFolder, page), `content of ${page}`);
    const view = RunReplay.of(log.split("\n")).viewAt(Infinity);
    if (view === undefined) throw new Error("The log shows nothing.");
    server = await startReplayServer({
      runsFolder: join(folder, "runs"),
      view,
      token: TOKEN,
      host: "127.0.0.1",
      port: 0,
      clientFolder,
      dataRoot: join(folder, "data"),
      onFailure: (error) => failures.push(error),
    });
  });

  afterAll(async () => {
    await server.close();
    expect(failures).toEqual([]);
  });

  function ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { Authorization: `Bearer ${TOKEN}`, ...(init.headers as Record<string, string> | undefined) };
    return fetch(`${server.url}${path}`, { ...init, headers });
  }

  test("gives the operator's page to everybody, and nothing of the run without the token", async () => {
    expect(await (await fetch(`${server.url}/operator`)).text()).toBe("content of operator.html");
    expect((await fetch(`${server.url}/assets/page.js`)).status).toBe(200);
    expect((await fetch(`${server.url}/`)).status).toBe(404);
    for (const path of ["view", "events", "runs", "runs/replayed/events"])
      expect((await fetch(`${server.url}/api/operator/${path}`)).status, path).toBe(401);
  });

  test("shows the run as it ended, and takes no orders", async () => {
    const view = (await (await ask("/api/operator/view")).json()) as RunView;
    expect(view).toMatchObject({ run: "replayed", state: "stopped", accuracy: 0.9815 });
    const runs = (await (await ask("/api/operator/runs")).json()) as { name: string }[];
    expect(runs.map(({ name }) => name)).toEqual(["replayed"]);
    const headers = { "Content-Type": "application/json" };
    const ordered = await ask("/api/operator/control", { method: "POST", headers, body: '{"kind":"pause"}' });
    expect(ordered.status).toBe(409);
    expect(await ordered.json()).toEqual({ problem: expect.stringMatching(/^This is the replay of a run/) });
  });

  test("gives the event log whole, or from where a reader has it", async () => {
    const path = "/api/operator/runs/replayed/events";
    expect(await (await ask(path)).text()).toBe(log);
    const rest = await ask(path, { headers: { Range: "bytes=1000-" } });
    expect(rest.status).toBe(206);
    expect(await rest.text()).toBe(log.slice(1000));
    const beyond = await ask(path, { headers: { Range: `bytes=${log.length}-` } });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, `bytes */${log.length}`]);
    for (const name of ["..%2Freplayed", "nobody"])
      expect((await ask(`/api/operator/runs/${name}/events`)).status, name).toBe(404);
  });
});
