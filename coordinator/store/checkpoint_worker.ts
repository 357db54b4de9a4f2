/** The worker thread behind `checkpoint_writer.ts`: one snapshot in, one receipt or problem out. */

import { parentPort, workerData } from "node:worker_threads";
import { recoverCheckpoint, writeCheckpoint, type Snapshot } from "./checkpoint.ts";
import type { CheckpointWorkerAnswer, CheckpointWorkerData } from "./checkpoint_writer.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: checkpoint_worker.ts runs only as a worker thread");
const { folder, layout } = workerData as CheckpointWorkerData;

/** Before the first write, and after a failed one, the newest pair may lie partly aside. */
let mayLieAside = true;

port.on("message", (snapshot: Snapshot) => {
  void write(snapshot).then((answer) => port.postMessage(answer));
});

async function write(snapshot: Snapshot): Promise<CheckpointWorkerAnswer> {
  const startedMs = performance.now();
  try {
    if (mayLieAside) await recoverCheckpoint(folder);
    mayLieAside = true;
    const { bytes } = await writeCheckpoint(folder, layout, snapshot);
    mayLieAside = false;
    return { receipt: { version: snapshot.version, bytes, durationMs: performance.now() - startedMs } };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
