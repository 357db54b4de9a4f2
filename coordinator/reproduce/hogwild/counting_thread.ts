/** One thread that adds ones to the center as fast as it can: what is missing at the end is what was lost. */

import { parentPort, workerData } from "node:worker_threads";
import { ApplierCore } from "../../center/applier.ts";
import { Control } from "../../center/control.ts";
import { instantiateKernels } from "../../center/kernels.ts";
import type { CountingInput } from "./dense_work.ts";
import { waitAtGate, wallMs, type Finish, type Lane } from "./racing_threads.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: the racing thread was started as a program");
const { input, index, threads, gate } = workerData as Lane<CountingInput>;
const { module, memory, layout, applier, area, passes } = input;
const core = new ApplierCore(instantiateKernels(module, memory), new Control(memory.buffer), {
  layout,
  applier,
  maxMagnitude: 1e8,
  index,
  threads,
});
const ones = new Float32Array(memory.buffer, area, layout.paddedElements);

port.postMessage("ready");
waitAtGate(gate);
for (let pass = 0; pass < passes; pass++) {
  // The answer takes the place of what was applied.
  ones.fill(1);
  core.applyTo(area, { move: { kind: "update", rate: 1 }, baseVersion: 0, policy: { kind: "none" } });
}
const finish: Finish<null> = { output: null, endMs: wallMs() };
port.postMessage(finish);
