/** Starts the WASM backend's helper threads in Node, and says how many threads a volunteer should take. */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { HelperSetup } from "../../shared/engine/wasm/threads/helper.ts";
import type { HelperThread } from "../../shared/engine/wasm/threads/team.ts";

export function startHelper(setup: HelperSetup): HelperThread {
  const worker = new Worker(new URL("./wasm_helper.ts", import.meta.url), { workerData: setup });
  // A program that is not closed must not keep the process alive.
  worker.unref();
  const ready = new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", (error) => reject(new Error(`A thread of the WASM backend did not start: ${String(error)}`)));
  });
  return { ready, terminate: () => void worker.terminate() };
}

/** This machine's processors, shared out among `volunteers`. */
export function threadsEach(volunteers: number): number {
  return Math.max(1, Math.floor(availableParallelism() / volunteers));
}
