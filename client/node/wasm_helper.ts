/** A helper thread of the WASM backend in Node: a worker thread's entry, started by `helper_threads.ts` by path. */

import { parentPort, workerData } from "node:worker_threads";
import { help, type HelperSetup } from "../../shared/engine/wasm/threads/helper.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: wasm_helper.ts runs only as a worker thread");

await help(workerData as HelperSetup, () => port.postMessage("ready"));
