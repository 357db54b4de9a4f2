/**
 * Every operation of a training step beside what the adapter can do: `drove bench kernels [--backend webgpu|wasm]
 * [--workloads mlp,lenet,...] [--batch N] [--runtime chromium|node] [--quick] [--json]`. For each the time, GFLOP/s as a
 * share of the multiply-add peak, GB/s as a share of the copy peak, and a roofline: the least that the peaks and the cost of
 * its dispatches allow. A workload is a model of the catalogue, `gemm-N` (the three products of square matrices) or
 * `conv-64` (3x3, 64 to 64 channels). A real GPU is given `gemm-4096` too. WASM's operations run on one thread.
 */

import { parseArgs } from "node:util";
import type { Job, OperationReport, Workload, WorkloadReport } from "./kernels/job.ts";
import { machine, number, peaksInWords, percent, run, say, table, UsageError } from "./kernels/print.ts";
import { perform, type Runtime } from "./kernels/stage.ts";
import { WORKLOAD_NAMES, workloadNamed } from "./kernels/workloads.ts";

const LIMIT_MS = 30 * 60_000;
const QUICK_LIMIT_MS = 10 * 60_000;
const PIECE_MS = 300;
const QUICK_PIECE_MS = 80;

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "webgpu" },
    workloads: { type: "string" },
    batch: { type: "string" },
    runtime: { type: "string", default: "chromium" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

await run(main, values.json);

async function main(): Promise<object> {
  const { quick, backend } = values;
  if (backend !== "webgpu" && backend !== "wasm") {
    throw new UsageError(`There is no backend "${backend}"; say webgpu or wasm.`);
  }
  const runtime = runtimeNamed(values.runtime);
  const job: Job & { kind: "kernels" } = {
    kind: "kernels",
    backend,
    workloads: workloadsAsked(),
    largeWorkloads: values.workloads === undefined ? [named("gemm-4096")] : [],
    pieceMs: quick ? QUICK_PIECE_MS : PIECE_MS,
  };
  const { peaks, workloads } = await perform(runtime, job, quick ? QUICK_LIMIT_MS : LIMIT_MS);
  say(`\n${peaksInWords(runtime, peaks)}`);
  for (const workload of workloads) say(`\n${wordsOf(workload)}\n\n${operationTable(workload.operations)}`);
  return { bench: "kernels", backend, runtime, ...machine(), quick, peaks, workloads };
}

function wordsOf({ name, batch, compileMs, stepMs, rooflineMs, operations }: WorkloadReport): string {
  const sum = operations.reduce((all, { ms }) => all + ms, 0);
  return `${name}, batch ${batch}: a step takes ${number(stepMs)} ms, its operations one by one ${number(sum)} ms, the roofline ${number(rooflineMs)} ms (${percent((100 * rooflineMs) / stepMs)} of the step); compiled in ${number(compileMs, 0)} ms.`;
}

function operationTable(operations: readonly OperationReport[]): string {
  const heads = ["operation", "launches", "ms", "GFLOP/s", "of peak", "GB/s", "of copy", "roofline ms", "reached"];
  return table(
    heads,
    operations.map((one) => [
      one.operation,
      String(one.launches),
      number(one.ms, 3),
      number(one.gflops),
      percent(one.percentOfFmaPeak),
      number(one.gbPerSecond, 3),
      percent(one.percentOfCopyPeak),
      number(one.rooflineMs, 3),
      percent(one.percentOfRoofline),
    ]),
  );
}

function workloadsAsked(): Workload[] {
  const names = values.workloads?.split(",") ?? [...WORKLOAD_NAMES, "gemm-512", "gemm-1024", "conv-64"];
  return names.map(named);
}

function named(name: string): Workload {
  const batch = values.batch === undefined ? undefined : Number(values.batch);
  if (batch !== undefined && !(Number.isInteger(batch) && batch > 0)) {
    throw new UsageError(`--batch ${values.batch} is no batch; say a whole number above 0.`);
  }
  const workload = workloadNamed(name, batch);
  if (workload) return workload;
  throw new UsageError(`There is no workload "${name}"; say mlp, lenet, cifar-quick, resnet-20, gemm-512 or conv-64.`);
}

function runtimeNamed(name: string): Runtime {
  if (name === "chromium" || name === "node") return name;
  throw new UsageError(`There is no runtime "${name}"; say chromium or node.`);
}
