import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { readConfig } from "../../coordinator/run_config.ts";
import type { Service } from "../../coordinator/running_service.ts";
import { startService } from "../../coordinator/service.ts";
import { readCheckpoint } from "../../coordinator/store/checkpoint.ts";
import type { RunResult } from "../../coordinator/run_result.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { readRunSettings, type RunSettings } from "../../shared/run_settings.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import { readFromCoordinator, TYPE, type FromCoordinator, type Header } from "../../shared/wire/messages.ts";
import { plainVectors } from "../../shared/wire/vectors.ts";
import { TINY_MODEL } from "../support/tiny_run.ts";
import { makeClientFolder } from "./server_harness.ts";

const LAYOUT = layoutOf(MODELS.mlp);
const PAYLOAD_BYTES = 4 * LAYOUT.elements;

let runsFolder = "";
let clientFolder = "";
beforeAll(async () => {
  runsFolder = await mkdtemp(join(tmpdir(), "drove-runs-"));
  clientFolder = await makeClientFolder();
});
afterAll(async () => {
  await rm(runsFolder, { recursive: true });
  await rm(clientFolder, { recursive: true });
});

function fail(error: unknown): void {
  throw error instanceof Error ? error : new Error(String(error));
}

async function startRun(flags: Record<string, unknown>, resume = false): Promise<Service> {
  const config = readConfig({ flags: { model: "mlp", port: 0, runsFolder, ...flags } });
  return startService(config, {
    clientFolder,
    dataRoot: join(runsFolder, ".data"),
    resume,
    measuresCurvature: false,
    onFailure: fail,
    onNote: fail,
  });
}

/** A replica without an engine: pushes whatever it is told to. */
class Pusher {
  readonly #socket: WebSocket;
  readonly welcome: Header<"welcome">;
  #version: number;
  #exchange: number;

  private constructor(socket: WebSocket, welcome: Header<"welcome">) {
    this.#socket = socket;
    this.welcome = welcome;
    this.#version = welcome.version;
    this.#exchange = welcome.lastExchange;
  }

  static async join(service: Service, resume?: Header<"hello">["resume"]): Promise<Pusher> {
    const socket = new WebSocket(`${service.url.replace("http", "ws")}/ws`);
    await once(socket, "open");
    const hello = {
      layoutHash: LAYOUT.hash,
      backend: "none",
      device: "test",
      samplesPerSecond: 1,
      ...(resume ? { resume } : {}),
    };
    socket.send(encodeHead(TYPE.hello, hello, 0));
    const message = await next(socket);
    if (message.kind !== "welcome") throw new Error(`got ${message.kind} instead of a welcome`);
    return new Pusher(socket, message.header);
  }

  async push(difference: Float32Array): Promise<void> {
    const header: Header<"push"> = {
      exchange: ++this.#exchange,
      incarnation: this.welcome.incarnation,
      baseVersion: this.#version,
      content: "parameters",
      steps: 10,
      samples: 640,
      meanLoss: 1,
    };
    this.#socket.send(encodeHead(TYPE.push, header, PAYLOAD_BYTES), { fin: false });
    this.#socket.send(difference, { fin: true });
    const answer = await next(this.#socket);
    if (answer.kind !== "answer") throw new Error(`got ${answer.kind} instead of an answer`);
    this.#version = answer.header.version;
  }

  next(): Promise<FromCoordinator> {
    return next(this.#socket);
  }
}

async function next(socket: WebSocket): Promise<FromCoordinator> {
  const [data] = (await once(socket, "message")) as [Buffer];
  const message = readFromCoordinator(data, plainVectors(LAYOUT.elements));
  if ("refusal" in message) throw new Error(message.refusal);
  return message;
}

async function linesOf(path: string): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("A run serves its data, takes pushes, and leaves checkpoint, ledger and result; resumed, it goes on where it was", async () => {
  const service = await startRun({ name: "first" });
  const settings = readRunSettings(await (await fetch(`${service.url}/api/run`)).json()) as RunSettings;
  expect(settings.data).toMatchObject({
    name: "mnist",
    trainExamples: 60_000,
    testExamples: 10_000,
    classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  });
  expect(settings.data.shards).toHaveLength(12);
  const shard = await fetch(`${service.url}/${settings.data.shards[11]!.url}`);
  expect((await shard.arrayBuffer()).byteLength).toBe(5000 * (28 * 28 + 1));

  const pusher = await Pusher.join(service);
  await pusher.push(new Float32Array(LAYOUT.elements).fill(0.01));
  await pusher.push(new Float32Array(LAYOUT.elements).fill(0.01));
  const goodbye = pusher.next();
  const result = await service.close("The test is over.");
  expect(await goodbye).toMatchObject({ kind: "finished", header: { reason: "The test is over." } });

  expect(result).toMatchObject({
    run: "first",
    state: "stopped",
    model: "mlp",
    solver: "ea-wild",
    version: 2,
    incarnation: 1,
    testImages: 10_000,
    trainImages: 60_000,
    samples: 1280,
    exchanges: 2,
    applied: 2,
    refused: 0,
    staleness: { mean: 0, max: 0 },
    replicas: [
      {
        id: pusher.welcome.replica,
        backend: "none",
        adapter: "test",
        samples: 1280,
        exchanges: 2,
        applied: 2,
        refused: 0,
      },
    ],
  });
  expect(result.accuracy).toBeGreaterThan(0);
  expect(result.bytesUp).toBeGreaterThan(2 * PAYLOAD_BYTES);
  expect(result.seconds).toBeGreaterThanOrEqual(result.trainingSeconds);
  expect(JSON.parse(await readFile(service.folder.resultPath, "utf8"))).toEqual(result);
  expect(await linesOf(service.folder.ledgerPath)).toMatchObject([
    { exchange: 1, verdict: "applied" },
    { exchange: 2, verdict: "applied" },
  ]);
  const kept = await readCheckpoint(service.folder.path, LAYOUT);
  expect(kept?.version).toBe(2);

  const again = await startRun({ name: "first" }, true);
  const view = again.run.view();
  expect(view).toMatchObject({ incarnation: 2, version: 2, samples: 1280, applied: 2, state: "waiting" });
  const { replica, token } = pusher.welcome;
  const back = await Pusher.join(again, { replica, token, incarnation: 1 });
  expect(back.welcome).toMatchObject({ replica, incarnation: 2, resumed: false, version: 2, lastExchange: 2 });
  await back.push(new Float32Array(LAYOUT.elements).fill(0.01));
  const second: RunResult = await again.close("The test is over.");
  expect(second).toMatchObject({
    incarnation: 2,
    version: 3,
    samples: 1920,
    replicas: [{ id: replica, samples: 1920, applied: 3 }],
  });
});

test("The run ends by itself when its time is over", async () => {
  const service = await startRun({ maxMinutes: 0.01 });
  expect(service.folder.name).toBe("mlp-mnist-ea-wild-1");
  expect(await service.ended).toBe("time");
  expect(await service.close("The time is over.")).toMatchObject({
    accuracy: null,
    version: 0,
    exchanges: 0,
    trainingSeconds: 0,
  });
});

test("The run ends by itself with the center that all test images prove to be good enough, and keeps that one", async () => {
  // One image in twenty is right even by chance.
  const service = await startRun({ name: "easy", targetAccuracy: 0.03 });
  const pusher = await Pusher.join(service);
  await pusher.push(new Float32Array(LAYOUT.elements).fill(1e-4));
  expect(await service.ended).toBe("target");
  await pusher.push(new Float32Array(LAYOUT.elements).fill(0.5));
  const result = await service.close("The target is reached.");
  expect(result).toMatchObject({ state: "reached", version: 1, applied: 2 });
  expect(result.accuracy).toBeGreaterThanOrEqual(0.03);
  expect((await readCheckpoint(service.folder.path, LAYOUT))?.version).toBe(1);
});

test("A push that is under way when the run ends is in the ledger, the result and the checkpoint, or in none of them", async () => {
  const service = await startRun({ name: "ending" });
  const pushers = await Promise.all(Array.from({ length: 8 }, () => Pusher.join(service)));
  const pushing = pushers.map((pusher) => pusher.push(new Float32Array(LAYOUT.elements).fill(0.01)).catch(() => {}));
  await pushing[0];
  const result = await service.close("The test is over.");
  const lines = await linesOf(service.folder.ledgerPath);
  expect(lines.length).toBeGreaterThan(0);
  expect([result.applied, result.exchanges, result.version]).toEqual([lines.length, lines.length, lines.length]);
});

test("A port that is taken leaves no run behind", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  await expect(startRun({ name: "nowhere", port })).rejects.toThrow(/is already in use/);
  other.close();
  expect(await readdir(runsFolder)).not.toContain("nowhere");
});

test("A run that is on is not opened a second time, nor overwritten once it has ended", async () => {
  const service = await startRun({ name: "only" });
  await expect(startRun({ name: "only" }, true)).rejects.toThrow(/is running this run/);
  await service.close("The test is over.");
  await expect(startRun({ name: "only" })).rejects.toThrow(/already a run named "only".*--resume/);
  await access(service.folder.resultPath);
  await expect(startRun({ name: "only", model: "lenet" }, true)).rejects.toThrow(/another model/);
  // The refused starts left the lock free.
  await (await startRun({ name: "only" }, true)).close("The test is over.");
});

test("[X17] Fragments are at least a block each: more than the parameters make are refused before anything is there", async () => {
  const started = startRun({ name: "crumbs", model: TINY_MODEL, fragments: 2 });
  await expect(started).rejects.toThrow(/--fragments is 2.*128 parameters make 1.*accepted is up to 1/);
  await expect(access(join(runsFolder, "crumbs"))).rejects.toThrow(/ENOENT/);
});
