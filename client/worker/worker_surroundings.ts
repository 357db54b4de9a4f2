/** What a Web Worker gives a participation: its time, the coordinator's address, a browser's sockets and backends. */

import { Random } from "../../shared/random.ts";
import type { ToWorker } from "../messages.ts";
import { openHybrid } from "../participation/hybrid.ts";
import type { OpenPeer } from "../replica/peer_port.ts";
import type { Surroundings } from "../participation/surroundings.ts";
import { openWasm, openWebGpu } from "./backends.ts";
import { defaultThreads } from "./helper_threads.ts";
import { meteredFetch } from "./metered_fetch.ts";
import { connectBySocket } from "./socket_link.ts";
import { StoredWinners } from "./winners.ts";
import { createWorkerClock } from "./worker_clock.ts";

export function createSurroundings(
  { dataUrl, socketUrl, threads }: Pick<Extract<ToWorker, { kind: "start" }>, "dataUrl" | "socketUrl" | "threads">,
  openPeer: OpenPeer,
): Surroundings {
  const clock = createWorkerClock();
  const abort = new AbortController();
  const gpu = (): ReturnType<typeof openWebGpu> => openWebGpu(clock);
  const cpu = (): ReturnType<typeof openWasm> => openWasm(threads ?? defaultThreads());
  return {
    clock,
    abort,
    random: new Random(crypto.getRandomValues(new Uint32Array(1))[0]!),
    fetch: (path, onBytes) => meteredFetch(new URL(path, dataUrl), abort.signal, onBytes),
    ...(isSecureContext ? { sha256: (bytes: ArrayBuffer) => crypto.subtle.digest("SHA-256", bytes) } : {}),
    connect: connectBySocket(socketUrl),
    openPeer,
    winners: new StoredWinners(),
    openBackend: (name, speeds) => {
      if (name === "webgpu") return gpu();
      return name === "wasm" ? cpu() : openHybrid(gpu, cpu, clock, speeds);
    },
    warn: (problem) => console.warn(problem),
    advice: { noBackend: "Try a current Chrome, Edge or Firefox.", noDevice: "Reload the page." },
  };
}
