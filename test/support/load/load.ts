/**
 * Many replicas at one coordinator process, some of them exchanging: the whole real command with its ledger, checkpoints and
 * evaluation, bots in processes of their own, and a page that watches. Says what became of every exchange, and what it took.
 */

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunView } from "../../../shared/run_view.ts";
import { startCoordinator, type CoordinatorProcess } from "../coordinator_process.ts";
import type { BotsResult, BotsTask, FromBots, ToBots } from "./messages.ts";
import { ProcessWatch } from "./process_watch.ts";

export interface LoadOptions {
  readonly replicas: number;
  readonly exchanging: number;
  readonly seconds: number;
  readonly periodMs: number;
  /** Of bots. */
  readonly processes: number;
  /** Of `drove serve`: model, data, codecs. */
  readonly args: readonly string[];
  readonly onProgress: (sentence: string) => void;
}

export interface LoadResult {
  readonly replicas: number;
  readonly exchanging: number;
  readonly seconds: number;
  readonly codecUp: string;
  readonly codecDown: string;
  /** Answered. */
  readonly exchanges: number;
  /** Neither answered nor refused. */
  readonly lost: number;
  readonly refused: number;
  readonly refusals: Readonly<Record<string, number>>;
  /** Not pushed, because the answer before had not come within a period. */
  readonly late: number;
  readonly problems: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly joinSeconds: number;
  readonly coordinatorRssMB: {
    /** Before anybody joined, when all had joined, highest, and at the end. */
    readonly start: number;
    readonly joined: number;
    readonly peak: number;
    readonly end: number;
  };
  /** Processors that the coordinator kept busy while replicas exchanged. */
  readonly coordinatorCores: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Of one view, of which a watching page gets two a second. */
  readonly viewBytes: number;
  /** The last view that the watching page got was of so many connected replicas. */
  readonly viewedReplicas: number;
  /** Lines of the ledger: one for each push that was answered or refused. */
  readonly ledgerLines: number;
}

const BOTS = fileURLToPath(new URL("process.ts", import.meta.url));

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { onProgress } = options;
  const coordinator = await startCoordinator({ args: options.args });
  const bots: BotsProcess[] = [];
  const watch = new ProcessWatch(coordinator.pid);
  const page = new Page(coordinator.url, await coordinator.token());
  try {
    // The models' worker and the exam begin with the run; they are no load of replicas.
    await quiet(watch);
    const startMB = watch.residentMB;
    const beganMs = performance.now();
    for (let index = 0; index < options.processes; index++)
      bots.push(new BotsProcess(taskOf(options, coordinator.url, index)));
    const joined = await Promise.all(bots.map((process) => process.joined()));
    const joinSeconds = (performance.now() - beganMs) / 1000;
    const joinedMB = watch.residentMB;
    onProgress(`${options.replicas} replicas joined in ${joinSeconds.toFixed(1)} s, ${joinedMB.toFixed(0)} MB`);
    page.open();
    const before = watch.cpuMs;
    const results = await Promise.all(bots.map((process) => process.exchange(options.seconds)));
    const coordinatorCores = (watch.cpuMs - before) / (1000 * options.seconds);
    const { bytes: viewBytes, view } = await page.close();
    const ledgerLines = await ledgerLinesOf(coordinator);
    const [{ codecUp, codecDown } = { codecUp: "", codecDown: "" }] = joined;
    return {
      replicas: options.replicas,
      exchanging: options.exchanging,
      seconds: options.seconds,
      codecUp,
      codecDown,
      ...summaryOf(results),
      joinSeconds,
      coordinatorRssMB: { start: startMB, joined: joinedMB, peak: watch.peakMB, end: watch.residentMB },
      coordinatorCores,
      viewBytes,
      viewedReplicas: view?.replicas.filter(({ connected }) => connected).length ?? 0,
      ledgerLines,
    };
  } finally {
    watch.stop();
    await page.close();
    for (const process of bots) process.stop();
    await coordinator.stop();
  }
}

function taskOf({ replicas, exchanging, periodMs, processes }: LoadOptions, url: string, index: number): BotsTask {
  const part = (total: number): number =>
    Math.floor((total * (index + 1)) / processes) - Math.floor((total * index) / processes);
  return { url, bots: part(replicas), exchanging: part(exchanging), periodMs };
}

function summaryOf(results: readonly BotsResult[]) {
  const timesMs = results.flatMap((result) => result.timesMs).toSorted((a, b) => a - b);
  const total = (of: (result: BotsResult) => number): number => results.reduce((sum, result) => sum + of(result), 0);
  const quantile = (share: number): number =>
    timesMs[Math.min(timesMs.length - 1, Math.floor(share * timesMs.length))] ?? 0;
  const refusals: Record<string, number> = {};
  for (const result of results) {
    for (const [code, count] of Object.entries(result.refusals)) refusals[code] = (refusals[code] ?? 0) + count;
  }
  return {
    exchanges: timesMs.length,
    lost: total(({ lost }) => lost),
    refused: Object.values(refusals).reduce((sum, count) => sum + count, 0),
    refusals,
    late: total(({ late }) => late),
    problems: results.flatMap(({ problems }) => problems),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: timesMs.at(-1) ?? 0,
    bytesUp: total(({ bytesUp }) => bytesUp),
    bytesDown: total(({ bytesDown }) => bytesDown),
  };
}

async function ledgerLinesOf({ runsFolder }: CoordinatorProcess): Promise<number> {
  const { readdir } = await import("node:fs/promises");
  const names = (await readdir(runsFolder)).filter((name) => !name.startsWith("."));
  if (names.length !== 1) throw new Error(`runs in the folder: ${names.join(", ")}`);
  const text = await readFile(join(runsFolder, names[0]!, "ledger.jsonl"), "utf8");
  return text.split("\n").length - 1;
}

/** Waits until the process rests, ten seconds at most. */
async function quiet(watch: ProcessWatch): Promise<void> {
  for (let tenth = 0; tenth < 10; tenth++) {
    const before = watch.cpuMs;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (watch.cpuMs - before < 200) return;
  }
}

class BotsProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(task: BotsTask) {
    this.#child = fork(BOTS, [JSON.stringify(task)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#ended = once(this.#child, "exit").then(([code]) => {
      throw new Error(`a process of bots ended with code ${String(code)}`);
    });
    this.#ended.catch(() => {});
  }

  async joined(): Promise<Extract<FromBots, { kind: "joined" }>> {
    const message = await this.#next();
    if (message.kind !== "joined") throw new Error(`bots said ${message.kind} before they had joined`);
    return message;
  }

  async exchange(seconds: number): Promise<BotsResult> {
    const result = this.#next();
    this.#tell({ kind: "exchange", seconds });
    const message = await result;
    if (message.kind !== "result") throw new Error(`bots said ${message.kind} in place of a result`);
    return message;
  }

  stop(): void {
    if (this.#child.connected) this.#tell({ kind: "leave" });
  }

  #tell(message: ToBots): void {
    this.#child.send(message);
  }

  async #next(): Promise<FromBots> {
    const [message] = (await Promise.race([once(this.#child, "message"), this.#ended])) as [FromBots];
    return message;
  }
}

/** A page of the operator's: reads the live views as they come. */
class Page {
  readonly #url: string;
  readonly #token: string;
  readonly #stop = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  #newest = "";

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  open(): void {
    this.#reading = this.#read().catch(() => {});
  }

  async close(): Promise<{ readonly bytes: number; readonly view: RunView | undefined }> {
    this.#stop.abort();
    await this.#reading;
    const view = this.#newest === "" ? undefined : (JSON.parse(this.#newest) as RunView);
    return { bytes: Buffer.byteLength(this.#newest), view };
  }

  async #read(): Promise<void> {
    const headers = { Authorization: `Bearer ${this.#token}` };
    const response = await fetch(`${this.#url}/api/operator/events`, { headers, signal: this.#stop.signal });
    if (!response.body) return;
    let text = "";
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      this.#newest = events.at(-1)?.replace(/^data: /, "") ?? this.#newest;
    }
  }
}
