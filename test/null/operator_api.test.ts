/** The operator's addresses (SPEC O1) of a real coordinator: token, views, orders, runs, events; and what of it outlives a kill. */

import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { readConfig } from "../../coordinator/run_config.ts";
import type { Service } from "../../coordinator/running_service.ts";
import { startService } from "../../coordinator/service.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import type { OperatorAnswer } from "../../shared/operator.ts";
import type { RunEvent } from "../../shared/run_log.ts";
import type { PublicView, RunView } from "../../shared/run_view.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import { readFromCoordinator, TYPE, type FromCoordinator, type Header } from "../../shared/wire/messages.ts";
import { plainVectors } from "../../shared/wire/vectors.ts";
import { startCoordinator } from "../support/coordinator_process.ts";
import { runDrove } from "../support/drove_command.ts";
import { makeClientFolder } from "./server_harness.ts";

const LAYOUT = layoutOf(MODELS.mlp);
/** On a busy machine. */
const STARTS_WITHIN_MS = 120_000;

let root = "";
let runsFolder = "";
let clientFolder = "";
let service: Service;
let token = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "drove-operator-"));
  runsFolder = join(root, "runs");
  clientFolder = await makeClientFolder();
  const config = readConfig({ flags: { model: "mlp", port: 0, runsFolder, name: "watched" } });
  service = await startService(config, {
    clientFolder,
    dataRoot: join(runsFolder, ".data"),
    resume: false,
    measuresCurvature: false,
    onFailure: fail,
    onNote: fail,
  });
  token = (await readFile(join(service.folder.path, "operator.token"), "utf8")).trim();
}, STARTS_WITHIN_MS);
afterAll(async () => {
  await service.close("The test is over.");
  await rm(root, { recursive: true });
  await rm(clientFolder, { recursive: true });
}, STARTS_WITHIN_MS);

function fail(error: unknown): void {
  throw error instanceof Error ? error : new Error(String(error));
}

type Init = NonNullable<Parameters<typeof fetch>[1]>;

function ask(path: string, init: Init = {}, bearer = token): Promise<Response> {
  const headers = { ...(init.headers as Record<string, string>), Authorization: `Bearer ${bearer}` };
  return fetch(`${service.url}/api/operator/${path}`, { ...init, headers });
}

async function order(body: unknown): Promise<{ status: number; answer: OperatorAnswer }> {
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await ask("control", { method: "POST", headers, body: text });
  return { status: response.status, answer: (await response.json()) as OperatorAnswer };
}

async function enter(
  url: string,
  resume?: Header<"hello">["resume"],
): Promise<{ socket: WebSocket; first: FromCoordinator }> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
  await once(socket, "open");
  const hello = { layoutHash: LAYOUT.hash, backend: "none", device: "a secret device", samplesPerSecond: 1 };
  socket.send(encodeHead(TYPE.hello, { ...hello, ...(resume ? { resume } : {}) }, 0));
  return { socket, first: await next(socket) };
}

async function next(socket: WebSocket): Promise<FromCoordinator> {
  const [data] = (await once(socket, "message")) as [Buffer];
  const message = readFromCoordinator(data, plainVectors(LAYOUT.elements));
  if ("refusal" in message) throw new Error(message.refusal);
  return message;
}

function welcomeOf(message: FromCoordinator): Header<"welcome"> {
  if (message.kind !== "welcome") throw new Error(`got ${message.kind} in place of a welcome`);
  return message.header;
}

/** The events of a stream as they come, the first `count` of them. */
async function eventsOf(response: Response, count: number): Promise<Record<string, unknown>[]> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.split("\n\n").length <= count) text += (await reader.read()).value ?? "";
  await reader.cancel();
  const events = text.split("\n\n").slice(0, count);
  return events.map((event) => JSON.parse(event.replace(/^data: /, "")) as Record<string, unknown>);
}

describe("Token", () => {
  test("[O1] It lies in the run's folder for this user alone, is in the operator's link, and long enough not to be guessed", async () => {
    const { mode } = await stat(join(service.folder.path, "operator.token"));
    expect(mode & 0o777).toBe(0o600);
    expect(token).toMatch(/^[A-Za-z0-9_-]{22,}$/);
    expect(service.operatorLink).toBe(`${service.url}/operator#token=${token}`);
  });

  test("[O1] Without it, or with another, every address of the operator's answers 401 with a sentence, whether it exists or not", async () => {
    const paths = ["view", "events", "control", "runs", "runs/watched/events", "export/onnx", "nothing", ""];
    for (const path of paths) {
      for (const headers of [{}, { Authorization: "Bearer nonsense" }, { Authorization: `Basic ${token}` }]) {
        const method = path === "control" ? "POST" : "GET";
        const response = await fetch(`${service.url}/api/operator/${path}`, { method, headers });
        expect([path, response.status, response.headers.get("www-authenticate")]).toEqual([
          path,
          401,
          'Bearer realm="drove"',
        ]);
        expect(await response.text()).toMatch(/^This is for the run's operator; .*\.\n$/);
      }
    }
    expect((await ask("view", {}, `${token}x`)).status).toBe(401);
    expect((await ask("view", {}, token.slice(1))).status).toBe(401);
  });

  test("[C2] It is neither in what everybody may ask for, nor in the run's other files", async () => {
    for (const path of ["api/run", "api/view", "metrics", "healthz", ""]) {
      expect(await (await fetch(`${service.url}/${path}`)).text()).not.toContain(token);
    }
    for (const file of ["run.json", "events.jsonl", "state.json"]) {
      expect(await readFile(join(service.folder.path, file), "utf8")).not.toContain(token);
    }
  });
});

describe("Views", () => {
  test("[O1] Everybody sees totals, offered names and their own replica; its operator sees every replica", async () => {
    const { socket, first } = await enter(service.url);
    const { replica } = welcomeOf(first);
    const other = await enter(service.url);
    socket.send(encodeHead(TYPE.profile, { name: "Ada", isHidden: false, dutyCycle: 1 }, 0));
    await expect.poll(() => service.run.view().replicas.map(({ name }) => name)).toContain("Ada");

    const askAll = async (): Promise<PublicView> =>
      (await (await fetch(`${service.url}/api/view?replica=${replica}`)).json()) as PublicView;
    // A view is made at most ten times a second.
    await expect.poll(askAll).toMatchObject({ leaderboard: [{ name: "Ada", samples: 0, share: 0, connected: true }] });
    const ofAll = await askAll();
    expect(ofAll).toMatchObject({
      run: "watched",
      connected: 2,
      left: 0,
      own: { id: replica, name: "Ada", device: "" },
    });
    for (const hidden of ["replicas", "changes", "autotune", "refusals"]) expect(ofAll).not.toHaveProperty(hidden);
    const text = await (await fetch(`${service.url}/api/view?replica=nobody`)).text();
    expect(text).not.toContain("a secret device");
    expect((JSON.parse(text) as PublicView).own).toBeNull();

    const whole = (await (await ask("view")).json()) as RunView;
    expect(whole.replicas.map(({ device }) => device)).toEqual(["a secret device", "a secret device"]);
    expect(whole).toMatchObject({ isPaused: false, changes: [] });
    socket.close();
    other.socket.close();
    await expect.poll(() => service.run.replicas).toBe(0);
  });

  test("Live views bring the history first, and again only when it has grown; charts get 500 points at most", async () => {
    // A view is made at most ten times a second.
    const pointsNow = async (): Promise<number> => ((await (await ask("view")).json()) as RunView).history.length;
    // The first center is judged once, at a time of the coordinator's choice.
    await expect.poll(pointsNow, { timeout: 30_000 }).toBeGreaterThan(0);
    for (let index = 0; index < 1200; index++) {
      service.run.recordEvaluation({ accuracy: index / 2000, meanLoss: 1, images: 10 });
    }
    await expect.poll(pointsNow).toBe(500);
    const reading = [eventsOf(await fetch(`${service.url}/api/events`), 5), eventsOf(await ask("events"), 5)];
    setTimeout(() => service.run.recordEvaluation({ accuracy: 0.9, meanLoss: 1, images: 10 }), 1100);
    for (const events of await Promise.all(reading)) {
      const histories = events.map(({ history }) => history as { accuracy: number }[] | undefined);
      const [whole] = histories;
      expect(whole).toHaveLength(500);
      expect(whole?.at(-1)?.accuracy).toBe(1199 / 2000);
      const later = histories.slice(1).filter((history) => history !== undefined);
      expect(later).toHaveLength(1);
      expect(later.at(-1)?.at(-1)?.accuracy).toBe(0.9);
      expect(events.every(({ run }) => run === "watched")).toBe(true);
    }
  });
});

describe("Control", () => {
  test("[O2] Everybody waits and goes on, and is told so", async () => {
    const { socket } = await enter(service.url);
    const told = next(socket);
    expect(await order({ kind: "pause" })).toEqual({ status: 200, answer: { done: "Everybody waits." } });
    expect(await told).toMatchObject({ kind: "control", header: { order: "pause" } });
    expect(await order({ kind: "pause" })).toMatchObject({ status: 200, answer: { done: "Everybody waits already." } });
    const toldAgain = next(socket);
    expect(await order({ kind: "resume" })).toMatchObject({ status: 200 });
    expect(await toldAgain).toMatchObject({ kind: "control", header: { order: "resume" } });
    socket.close();
  });

  test("Whatever is no order is refused with a sentence: its form, its length, its kind, its fields, another page's", async () => {
    const json = { "Content-Type": "application/json" };
    const refusals: [Init, number, RegExp][] = [
      [{ body: '{"kind":"pause"}', headers: { "Content-Type": "text/plain" } }, 415, /Content-Type/],
      [{ body: "{", headers: json }, 400, /no JSON/],
      [{ body: '{"kind":"explode"}', headers: json }, 400, /field "kind"/],
      [{ body: '{"kind":"retune","changes":{"learningRate":-1}}', headers: json }, 400, /"changes.learningRate"/],
      [{ body: '{"kind":"retune","changes":{"seed":1}}', headers: json }, 400, /"changes.seed"/],
      [{ body: `{"kind":"pause","x":"${"x".repeat(5000)}"}`, headers: json }, 413, /longer than 4096 bytes/],
      [{ body: '{"kind":"pause"}', headers: { ...json, Origin: "http://evil.example" } }, 403, /own pages/],
    ];
    for (const [init, status, problem] of refusals) {
      const response = await ask("control", { method: "POST", ...init });
      const answer = (await response.json()) as { problem?: string };
      expect([status, answer.problem]).toEqual([response.status, expect.stringMatching(problem)]);
    }
    const own = await ask("control", {
      method: "POST",
      headers: { ...json, Origin: service.url },
      body: '{"kind":"resume"}',
    });
    expect(own.status).toBe(200);
    expect((await ask("control")).status).toBe(405);
    expect((await ask("view", { method: "POST" })).status).toBe(405);
    expect(service.run.orders.isPaused).toBe(false);
  });

  test("[O4] A setting that the solver has not, or that no loss makes stable, is refused; another one takes effect", async () => {
    const problems: [object, RegExp][] = [
      [{}, /changes nothing/],
      [{ elasticRate: 1 }, /^"elasticRate" has no effect beside the fixed movingRate 0.25/],
    ];
    expect(await order({ kind: "retune", changes: { movingRate: 0.25 } })).toMatchObject({ status: 200 });
    for (const [changes, problem] of problems) {
      const { status, answer } = await order({ kind: "retune", changes });
      expect([status, "problem" in answer ? answer.problem : ""]).toEqual([409, expect.stringMatching(problem)]);
    }
    const { answer } = await order({
      kind: "retune",
      changes: { learningRate: 0.02, staleness: { kind: "bound", limit: 4 } },
    });
    expect(answer).toEqual({ done: "learningRate 0.03 → 0.02, staleness none → bound:4." });
    expect(service.run.view()).toMatchObject({
      hyperparameters: { learningRate: 0.02, movingRate: 0.25, staleness: { kind: "bound", limit: 4 } },
    });
    // The answer came when the record was on disk.
    const state = JSON.parse(await readFile(service.folder.statePath, "utf8")) as { state: unknown };
    expect(state.state).toMatchObject({
      retuned: { learningRate: 0.02, movingRate: 0.25 },
      changes: [{ setting: "movingRate" }, { setting: "learningRate" }, { setting: "staleness" }],
    });
  });

  test("[O3] Who is kicked is gone, who is unknown is 404", async () => {
    const { socket, first } = await enter(service.url);
    const { replica } = welcomeOf(first);
    const closed = once(socket, "close");
    expect(await order({ kind: "kick", replica })).toMatchObject({ status: 200 });
    expect((await closed)[0]).toBe(4413);
    for (const kind of ["kick", "drain"]) {
      expect(await order({ kind, replica: "r7-7" })).toEqual({
        status: 404,
        answer: { problem: "No replica r7-7 is here." },
      });
    }
  });
});

describe("Runs and events", () => {
  test("The runs of the folder are listed, this one first, and folders that are no runs are not", async () => {
    await mkdir(join(runsFolder, "no-run"));
    await mkdir(join(runsFolder, "older"));
    await writeFile(
      join(runsFolder, "older", "run.json"),
      JSON.stringify({ model: { name: "mine" }, data: "mnist", solver: "downpour" }),
    );
    const result = { state: "reached", accuracy: 0.98, samples: 12, trainingSeconds: 3 };
    await writeFile(join(runsFolder, "older", "result.json"), JSON.stringify(result));
    const runs = (await (await ask("runs")).json()) as { name: string }[];
    expect(runs.toSorted((a, b) => a.name.localeCompare(b.name))).toMatchObject([
      {
        name: "older",
        model: "mine",
        data: "mnist",
        solver: "downpour",
        state: "reached",
        accuracy: 0.98,
        samples: 12,
        seconds: 3,
        isCurrent: false,
      },
      { name: "watched", model: "mlp", data: "mnist", solver: "ea-wild", state: "running", isCurrent: true },
    ]);
    const listed = await runDrove(root, ["runs", "--json"]);
    const { runs: seen } = JSON.parse(listed.stdout.trimEnd().split("\n").at(-1)!) as {
      runs: { name: string; state: string }[];
    };
    expect(Object.fromEntries(seen.map(({ name, state }) => [name, state]))).toEqual({
      older: "reached",
      watched: "running",
    });
  });

  test(
    "`drove status` shows the whole of a run whose token lies in this machine's runs folder, and else what everybody sees",
    { timeout: STARTS_WITHIN_MS },
    async () => {
      const { socket } = await enter(service.url);
      const [whole, elsewhere, named, wrong] = await Promise.all([
        runDrove(root, ["status", service.url]),
        runDrove(tmpdir(), ["status", service.url]),
        runDrove(tmpdir(), ["status", service.operatorLink]),
        runDrove(tmpdir(), ["status", service.url, "--token", "nonsense"]),
      ]);
      expect([whole.exitCode, whole.stdout]).toEqual([0, expect.stringContaining("a secret device")]);
      expect([elsewhere.exitCode, elsewhere.stdout]).toEqual([0, expect.stringMatching(/\d+ replicas? connected, /)]);
      expect(elsewhere.stdout).not.toContain("a secret device");
      expect(named.stdout).toContain("a secret device");
      expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining("does not take this token")]);
      socket.close();
    },
  );

  test("Events of a run come as they were written, and no name leads out of the runs folder", async () => {
    const response = await ask("runs/watched/events");
    expect(response.headers.get("content-type")).toContain("ndjson");
    const events = (await response.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as RunEvent);
    const kinds = events.map(({ kind }) => kind);
    expect(kinds[0]).toBe("began");
    for (const kind of [
      "joined",
      "left",
      "named",
      "paused",
      "resumed",
      "changed",
      "kicked",
      "evaluated",
      "viewed",
    ] as const) {
      expect(kinds).toContain(kind);
    }
    await writeFile(join(root, "events.jsonl"), "secret\n");
    const names = ["..", "%2e%2e", "..%2f..", "watched%2f..%2f..", "watched/..", ".", "", "older", "nothing", "a\\b"];
    for (const name of names) {
      const { port } = service;
      const headers = { Authorization: `Bearer ${token}` };
      const asked = request({ host: "127.0.0.1", port, path: `/api/operator/runs/${name}/events`, headers }).end();
      const [answer] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
      answer.resume();
      expect([name, answer.statusCode]).toEqual([name, 404]);
    }
  });

  test("No file of the run holds a network address of anybody who took part", async () => {
    for (const file of ["events.jsonl", "state.json", "ledger.jsonl"]) {
      expect(await readFile(join(service.folder.path, file), "utf8")).not.toMatch(/127\.0\.0\.1|::1|::ffff/);
    }
  });
});

test(
  "[O3] [O4] Killed right after its answers, a coordinator comes back with its token, its changes and whom it kicked",
  { timeout: 2 * STARTS_WITHIN_MS },
  async () => {
    const folder = join(root, "killed");
    const args = ["--model", "mlp", "--name", "mine"];
    const first = await startCoordinator({ runsFolder: folder, args });
    const own = await first.token();
    const { first: message } = await enter(first.url);
    const { replica, token: proof, incarnation } = welcomeOf(message);
    const changed = await first.control({ kind: "retune", changes: { learningRate: 0.005, communicationPeriod: 4 } });
    const kicked = await first.control({ kind: "kick", replica });
    expect([changed.status, kicked.status]).toEqual([200, 200]);
    await first.kill();

    const second = await startCoordinator({
      runsFolder: folder,
      args: ["--name", "mine", "--resume", "--communication-period", "6"],
    });
    expect(await second.token()).toBe(own);
    // Whoever resumes it sets the period anew.
    expect(await second.view()).toMatchObject({
      incarnation: 2,
      hyperparameters: { learningRate: 0.005, communicationPeriod: 6 },
      changes: [
        { setting: "learningRate", from: "0.03", to: "0.005", by: "operator" },
        { setting: "communicationPeriod" },
      ],
    });
    const { socket, first: refused } = await enter(second.url, { replica, token: proof, incarnation });
    expect(refused).toMatchObject({ kind: "refusal", header: { code: "KICKED" } });
    socket.close();
    const { exitCode } = await (await second.control({ kind: "finish" }), second.ended);
    expect(exitCode).toBe(0);
    const lines = (await readFile(join(folder, "mine", "events.jsonl"), "utf8")).trimEnd().split("\n");
    const kinds = lines.map((line) => (JSON.parse(line) as RunEvent).kind);
    expect(kinds.filter((kind) => kind === "began")).toHaveLength(2);
    expect(kinds.slice(-2)).toEqual(["viewed", "ended"]);
    expect(lines.at(-1)).toContain("The operator ended the run.");
  },
);
