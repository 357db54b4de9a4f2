/** Starts the WASM backend's helper threads in a browser, where the page is isolated enough for shared memory. */

import type { HelperSetup } from "../../shared/engine/wasm/threads/helper.ts";
import type { HelperThread } from "../../shared/engine/wasm/threads/team.ts";

/** Unasked, that is. More than two have not been measured. */
const MOST_UNASKED = 8;

export function startHelper(setup: HelperSetup): HelperThread {
  const worker = new Worker(new URL("./wasm_helper.ts", import.meta.url), { type: "module" });
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener("message", () => resolve(), { once: true });
    worker.addEventListener("error", ({ message }) =>
      reject(new Error(`A thread of the WASM backend did not start: ${message}`)),
    );
  });
  worker.postMessage(setup);
  return { ready, terminate: () => worker.terminate() };
}

/** Half of the processors, so that the machine stays usable; one where memory cannot be shared. */
export function defaultThreads(): number {
  if (!crossOriginIsolated) return 1;
  return Math.min(MOST_UNASKED, Math.max(1, Math.floor(navigator.hardwareConcurrency / 2)));
}
