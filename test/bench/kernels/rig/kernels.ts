/** Every operation of a training step, one by one, beside what the adapter's peaks allow: what `drove bench kernels` prints. */

import type { Program } from "../../../../shared/engine/backend.ts";
import type { Operation } from "../../../../shared/engine/operation.ts";
import { compilePlan, type Plan } from "../../../../shared/engine/plan.ts";
import { Kernels, type PreparedDispatch } from "../../../../shared/engine/webgpu/kernels.ts";
import { compileProgram, type WebGpuProgram } from "../../../../shared/engine/webgpu/webgpu_program.ts";
import { initialParameters } from "../../../../shared/model/layout.ts";
import { flopsOf } from "../../../../shared/engine/work.ts";
import { elementsOf } from "../../../../shared/model/model.ts";
import { Random } from "../../../../shared/random.ts";
import type { Job, OperationReport, Peaks, Workload, WorkloadReport } from "../job.ts";
import type { Rig } from "./device.ts";
import { bytesOf } from "./work_of.ts";

type KernelsJob = Extract<Job, { kind: "kernels" }>;

const SETTINGS = { learningRate: 0.001, momentum: 0.9, weightDecay: 0.0005 };
const STEPS = 4;

export async function measureKernels(rig: Rig, job: KernelsJob): Promise<WorkloadReport[]> {
  const reports: Raw[] = [];
  const { workloads, largeWorkloads } = job;
  for (const workload of rig.traits.isFallback ? workloads : [...workloads, ...largeWorkloads]) {
    reports.push(await measureWorkload(rig, job, workload));
    await rig.look();
  }
  return reports.map((report) => withPeaks(report, rig.peaks));
}

export function withPeaks({ name, batch, compileMs, stepMs, operations }: Raw, peaks: Peaks): WorkloadReport {
  const reports = operations.map((operation) => besidePeaks(operation, peaks));
  const rooflineMs = reports.reduce((sum, one) => sum + one.rooflineMs, 0);
  return { name, batch, compileMs, stepMs, rooflineMs, operations: reports };
}

export interface Raw extends Omit<WorkloadReport, "operations" | "rooflineMs"> {
  readonly operations: readonly RawOperation[];
}

export interface RawOperation {
  readonly operation: string;
  readonly launches: number;
  readonly flops: number;
  readonly bytes: number;
  readonly ms: number;
}

async function measureWorkload(rig: Rig, { pieceMs }: KernelsJob, workload: Workload): Promise<Raw> {
  const { model, batch, name } = workload;
  const plan = compilePlan(model, {
    batch,
    datasetExamples: batch,
    normalisation: { mean: [0.45], deviation: [0.25] },
  });
  rig.say(`${name}: compiling.`);
  const begin = performance.now();
  const program = await compileProgram(rig.watch, new Kernels(rig.watch.device, rig.shaders), rig.traits, plan);
  const compileMs = performance.now() - begin;
  try {
    fill(program);
    const stepMs = await leastStepMs(program);
    const operations: RawOperation[] = [];
    for (const { operation, launches } of operationsOf(program)) {
      operations.push(rawOf(plan, operation, launches.length, await rig.time(launches, pieceMs)));
    }
    const updateMs = await rig.time(program.launches.update, pieceMs);
    operations.push(rawUpdate(plan, program.launches.update.length, updateMs));
    rig.say(`${name}: a step takes ${stepMs.toFixed(1)} ms, ${operations.length} operations measured.`);
    return { name, batch, compileMs, stepMs, operations };
  } finally {
    program.close();
  }
}

/** Ordinary numbers everywhere: a few real steps on random images. */
export function fill(program: Program): void {
  const { plan } = program;
  const random = new Random(1);
  const images = Uint8Array.from({ length: plan.batch * elementsOf(plan.model.input) }, () => random.below(256));
  const labels = Uint8Array.from({ length: plan.batch }, () => random.below(Math.min(256, plan.model.classes)));
  program.loadExamples(0, images, labels);
  program.writeParameters(initialParameters(plan.layout, 1));
}

export async function leastStepMs(program: Program): Promise<number> {
  const examples = Uint32Array.from({ length: program.plan.batch }, (_, example) => example);
  const times: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const begin = performance.now();
    program.step(examples, SETTINGS);
    await program.idle();
    times.push(performance.now() - begin);
  }
  return Math.min(...times.slice(1));
}

interface Timed {
  readonly operation: Operation;
  readonly launches: readonly PreparedDispatch[];
}

function operationsOf({ plan, launches }: WebGpuProgram): Timed[] {
  return (["forward", "backward"] as const).flatMap((part) =>
    plan[part].map((operation, at) => ({ operation, launches: launches[part][at]! })),
  );
}

export function rawOf(plan: Plan, operation: Operation, launches: number, ms: number): RawOperation {
  const name = "name" in operation ? `${operation.name} ${operation.kind}` : operation.kind;
  return { operation: name, launches, flops: flopsOf(operation), bytes: bytesOf(plan, operation), ms };
}

/** Gradient, velocity and parameters are read, the last two written. */
function rawUpdate({ layout }: Plan, launches: number, ms: number): RawOperation {
  return { operation: "update", launches, flops: 0, bytes: 20 * layout.trainableElements, ms };
}

function besidePeaks({ operation, launches, flops, bytes, ms }: RawOperation, peaks: Peaks): OperationReport {
  const { fmaGflops, copyGbPerSecond, dispatchMs } = peaks;
  const gflops = flops === 0 ? undefined : flops / ms / 1e6;
  const gbPerSecond = bytes / ms / 1e6;
  const rooflineMs = Math.max(flops / fmaGflops / 1e6, bytes / copyGbPerSecond / 1e6) + launches * dispatchMs;
  return {
    operation,
    launches,
    ms,
    gflops,
    gbPerSecond,
    percentOfFmaPeak: gflops === undefined ? undefined : (100 * gflops) / fmaGflops,
    percentOfCopyPeak: (100 * gbPerSecond) / copyGbPerSecond,
    rooflineMs,
    percentOfRoofline: (100 * rooflineMs) / ms,
  };
}
