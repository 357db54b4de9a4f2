/** Starts the WASM backend's helper threads in Node. */

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
