/**
 * One thread of the dense race: takes gradients of a network at the center that it last saw, and applies them itself, by the
 * center's own kernels over the memory that all threads share.
 */

import { parentPort, workerData } from "node:worker_threads";
import { compilePlan } from "../../../shared/engine/plan.ts";
import { compileVirtual } from "../../../shared/engine/wasm/wasm_backend.ts";
import { Random } from "../../../shared/random.ts";
import { ApplierCore } from "../../center/applier.ts";
import { Control } from "../../center/control.ts";
import { instantiateKernels } from "../../center/kernels.ts";
import { readWasmSources } from "../../evaluation/wasm_sources.ts";
import type { DenseInput, DenseOutput } from "./dense_work.ts";
import { waitAtGate, wallMs, type Finish, type Lane } from "./racing_threads.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: the racing thread was started as a program");
const { input, index, threads, gate } = workerData as Lane<DenseInput>;
const { module, memory, layout, applier, area, model, examples, batch, learningRate, updates, seed } = input;

const program = await compileVirtual(
  await readWasmSources(),
  compilePlan(model, { batch, datasetExamples: examples.count, normalisation: examples.normalisation }),
);
program.loadExamples(0, examples.images, examples.labels);
const control = new Control(memory.buffer);
const core = new ApplierCore(instantiateKernels(module, memory), control, {
  layout,
  applier,
  maxMagnitude: 1e4,
  index,
  threads,
});
const vector = new Float32Array(memory.buffer, area, program.plan.layout.elements);
const random = new Random(seed);
const move = {
  kind: "gradient",
  learningRate,
  momentum: 0,
  weightDecay: 0,
  delayCompensation: 0,
  isLayerwise: false,
} as const;

port.postMessage("ready");
waitAtGate(gate);
let applyMs = 0;
let staleness = 0;
// The area holds the center when the race begins.
let baseVersion = control.version;
for (let update = 0; update < updates; update++) {
  const drawn = Uint32Array.from({ length: batch }, () => random.below(examples.count));
  vector.set(program.gradientAt(vector, drawn).gradient);
  const beginMs = performance.now();
  const result = core.applyTo(area, { move, baseVersion, policy: { kind: "none" } });
  applyMs += performance.now() - beginMs;
  if (result.verdict !== "applied") throw new Error("invariant violation: a push without a policy was refused");
  staleness += result.staleness;
  baseVersion = result.version;
}
const finish: Finish<DenseOutput> = { output: { applySeconds: applyMs / 1000, staleness }, endMs: wallMs() };
port.postMessage(finish);
