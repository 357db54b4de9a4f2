/**
 * One applier thread: a worker that performs the jobs it is sent, one after the other, and reports each outcome under
 * the job's number. An exception is our own bug and ends the thread; `applier_threads.ts` then answers for it.
 */

import { parentPort, workerData } from "node:worker_threads";
import { ApplierCore, type ApplierSettings } from "./applier.ts";
import { Control } from "./control.ts";
import type { Job, Outcome } from "./jobs.ts";
import { instantiateKernels } from "./kernels.ts";
import type { WasmMemory, WasmModule } from "./wasm_api.ts";

export interface ThreadData {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly settings: ApplierSettings;
}

export interface ToThread {
  readonly number: number;
  readonly job: Job;
}

export interface FromThread {
  readonly number: number;
  readonly outcome: Outcome;
}

const port = parentPort;
if (!port) throw new Error("invariant violation: the applier thread was started as a program");

const { module, memory, settings } = workerData as ThreadData;
const core = new ApplierCore(instantiateKernels(module, memory), new Control(memory.buffer), settings);

port.on("message", ({ number, job }: ToThread) => {
  const reply: FromThread = { number, outcome: core.perform(job) };
  port.postMessage(reply);
});

/** The first message, once the kernels are instantiated. */
port.postMessage("ready");
