/**
 * One real volunteer in Node (WASM) behind a slow, long line to a real coordinator, each a process of its own: how much of its
 * time it spends in local steps, and how many of them there are to an exchange.
 */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FromWorker, ReplicaProgress } from "../../client/messages.ts";
import { startCoordinator } from "./coordinator_process.ts";
import { startShapedProxy, type LineShape } from "./shaped_proxy.ts";

const VOLUNTEER = fileURLToPath(new URL("telling_volunteer.ts", import.meta.url));

export interface ShapedRunOptions {
  readonly line: LineShape;
  /** Of `drove serve`. */
  readonly args: readonly string[];
  /** Measured over so many exchanges, after the first few. Now and then another shard comes down the same line meanwhile. */
  readonly exchanges: number;
  readonly timeoutMs: number;
  readonly onProgress?: (progress: ReplicaProgress) => void;
}

export interface Overlap {
  /** Of the time in which it was measured. */
  readonly busyShare: number;
  /** Local steps of an exchange, as they came to be and as they are asked for. */
  readonly effectivePeriod: number;
  readonly nominalPeriod: number;
  /** Up and down, as the replica counts them. */
  readonly bytesPerExchange: number;
  readonly msPerStep: number;
  readonly exchanges: number;
  readonly refused: number;
}

/** Answered before the measurement begins. */
const FIRST_EXCHANGES = 3;

interface Told {
  readonly progress: ReplicaProgress;
  /** Since training began. */
  readonly ms: number;
}

export async function runShaped(options: ShapedRunOptions): Promise<Overlap> {
  const coordinator = await startCoordinator({ args: options.args });
  try {
    const proxy = await startShapedProxy(coordinator.port, options.line);
    try {
      const [first, last] = await watch(`http://127.0.0.1:${proxy.port}/`, options);
      return overlapBetween(first, last);
    } finally {
      await proxy.close();
    }
  } finally {
    await coordinator.stop();
  }
}

function overlapBetween(first: Told, last: Told): Overlap {
  const exchanges = last.progress.exchanges - first.progress.exchanges;
  const steps = stepsTold(last.progress) - stepsTold(first.progress);
  return {
    busyShare: (busyMs(last) - busyMs(first)) / (last.ms - first.ms),
    effectivePeriod: steps / exchanges,
    nominalPeriod: last.progress.assignment?.communicationPeriod ?? 0,
    bytesPerExchange: (bytesOf(last.progress) - bytesOf(first.progress)) / exchanges,
    msPerStep: (last.ms - first.ms) / (last.progress.localSteps - first.progress.localSteps),
    exchanges,
    refused: last.progress.refused,
  };
}

function busyMs({ progress, ms }: Told): number {
  return (progress.busyShare ?? 0) * ms;
}

function bytesOf({ bytesUp, bytesDown }: ReplicaProgress): number {
  return bytesUp + bytesDown;
}

function stepsTold({ exchanges, stepsPerExchange = 0 }: ReplicaProgress): number {
  return exchanges * stepsPerExchange;
}

/** The volunteer's numbers when the measurement begins and when it ends. */
async function watch(url: string, { exchanges, timeoutMs, onProgress }: ShapedRunOptions): Promise<[Told, Told]> {
  const child = spawn(process.execPath, [VOLUNTEER, url], { stdio: ["pipe", "pipe", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const measured = Promise.withResolvers<[Told, Told]>();
  const timer = setTimeout(
    () => measured.reject(new Error(`The measurement took longer than ${timeoutMs} ms.\n${log}`)),
    timeoutMs,
  );
  let first: Told | undefined;
  let beganMs = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line) as FromWorker;
    if (message.kind === "failed") measured.reject(new Error(`${message.sentence}\n${log}`));
    if (message.kind === "phase" && message.phase === "training") beganMs = performance.now();
    if (message.kind !== "progress") return;
    const { progress } = message;
    onProgress?.(progress);
    const told = { progress, ms: performance.now() - beganMs };
    if (progress.applied >= FIRST_EXCHANGES) first ??= told;
    if (first && progress.exchanges >= first.progress.exchanges + exchanges) measured.resolve([first, told]);
  });
  void exited.then(() => measured.reject(new Error(`The volunteer ended before it was measured.\n${log}`)));
  try {
    return await measured.promise;
  } finally {
    clearTimeout(timer);
    child.stdin.end();
    const lastResort = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await exited;
    clearTimeout(lastResort);
  }
}
