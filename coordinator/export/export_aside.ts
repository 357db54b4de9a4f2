/**
 * Exports beside a run that goes on: in a worker thread, so that nobody's exchange waits for a file of hundreds of megabytes, and one
 * after the other, so that no number of requests takes all memory.
 */

import { Worker } from "node:worker_threads";
import type { ExportRequest } from "./export_of.ts";
import type { ExportTask, ExportWorkerAnswer } from "./export_worker.ts";
import { ExportError, type ExportedFile, type ExportFormat } from "./formats.ts";

/** Requests that wait, and the one that is answered. */
const MOST_AT_ONCE = 4;

let waiting = 0;
let last: Promise<unknown> = Promise.resolve();

/** A center may lie in memory that others write to. */
interface AsideRequest extends Omit<ExportRequest, "center"> {
  readonly center?: { readonly version: number; readonly parameters: Float32Array };
}

/** The center's parameters are copied at once. Rejects with an `ExportError`: a sentence for whoever asked. */
export async function exportAside(format: ExportFormat, request: AsideRequest): Promise<ExportedFile> {
  if (waiting >= MOST_AT_ONCE) {
    throw new ExportError(`${MOST_AT_ONCE} exports are being made already; ask again when they are done.`);
  }
  const { center, ...rest } = request;
  const copied = center && { version: center.version, parameters: new Float32Array(center.parameters) };
  const task: ExportTask = { format, request: { ...rest, ...(copied && { center: copied }) } };
  waiting++;
  const made = last.then(() => make(task));
  last = made.catch(() => undefined);
  try {
    return await made;
  } finally {
    waiting--;
  }
}

async function make(task: ExportTask): Promise<ExportedFile> {
  const { center } = task.request;
  const worker = new Worker(new URL("./export_worker.ts", import.meta.url), {
    workerData: task,
    transferList: center ? [center.parameters.buffer] : [],
  });
  const answer = await new Promise<ExportWorkerAnswer>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () =>
      reject(new Error("invariant violation: the thread that exports ended without an answer")),
    );
  });
  await worker.terminate();
  if (answer.kind === "problem") throw new ExportError(answer.sentence);
  return answer.file;
}
