/** What a Web Worker gives a participation: its time, the coordinator's address, a browser's sockets and backends. */

import { Random } from "../../shared/random.ts";
import type { ToWorker } from "../messages.ts";
import type { Surroundings } from "../participation/surroundings.ts";
import { openWasm, openWebGpu } from "./backends.ts";
import { defaultThreads } from "./helper_threads.ts";
import { connectBySocket } from "./socket_link.ts";
import { StoredWinners } from "./winners.ts";
import { createWorkerClock } from "./worker_clock.ts";

export function createSurroundings({
  dataUrl,
  socketUrl,
  threads,
}: Pick<Extract<ToWorker, { kind: "start" }>, "dataUrl" | "socketUrl" | "threads">): Surroundings {
  const clock = createWorkerClock();
  const abort = new AbortController();
  return {
    clock,
    abort,
    random: new Random(crypto.getRandomValues(new Uint32Array(1))[0]!),
    fetch: (path) => fetch(new URL(path, dataUrl), { signal: abort.signal }),
    connect: connectBySocket(socketUrl),
    winners: new StoredWinners(),
    openBackend: (name) => (name === "webgpu" ? openWebGpu(clock) : openWasm(threads ?? defaultThreads())),
    warn: (problem) => console.warn(problem),
    advice: { noBackend: "Try a current Chrome, Edge or Firefox.", noDevice: "Reload the page." },
  };
}
