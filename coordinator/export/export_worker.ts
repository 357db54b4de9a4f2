/** The worker thread behind `export_aside.ts`: one export, handed over without another copy. */

import { parentPort, workerData } from "node:worker_threads";
import { ModelError } from "../../shared/model/model.ts";
import { ConfigError } from "../config_error.ts";
import { DataError } from "../data/idx.ts";
import { StoreError } from "../store/durable_file.ts";
import { exportOf, type ExportRequest } from "./export_of.ts";
import { ExportError, type ExportedFile, type ExportFormat } from "./formats.ts";

export interface ExportTask {
  readonly format: ExportFormat;
  readonly request: ExportRequest;
}

export type ExportWorkerAnswer =
  | { readonly kind: "file"; readonly file: ExportedFile }
  | { readonly kind: "problem"; readonly sentence: string };

/** What a person can do something about; everything else is our own bug. */
const EXPECTED = [ExportError, StoreError, DataError, ConfigError, ModelError];

const port = parentPort;
if (!port) throw new Error("invariant violation: export_worker.ts runs only as a worker thread");
const { format, request } = workerData as ExportTask;

try {
  const file = await exportOf(format, request);
  const whole = new Uint8Array(file.byteLength);
  let at = 0;
  for (const part of file.parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  const answer: ExportWorkerAnswer = { kind: "file", file: { ...file, parts: [whole] } };
  port.postMessage(answer, [whole.buffer]);
} catch (error) {
  if (!EXPECTED.some((kind) => error instanceof kind)) throw error;
  const answer: ExportWorkerAnswer = { kind: "problem", sentence: (error as Error).message };
  port.postMessage(answer);
}
