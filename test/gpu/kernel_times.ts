/**
 * Measures a model's kernels in the page that loads it: `test/bench/kernels_webgpu.ts` opens that page and prints the
 * answer. Every round runs each launch once, so that a neighbour's load meets all alike.
 */

import type { Operation } from "../../shared/engine/operation.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import type { PreparedDispatch } from "../../shared/engine/webgpu/kernels.ts";
import { runPass, type WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import { isModelName, MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { elementsOf, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import type { KernelTimes, KernelTimesOptions } from "../bench/kernels/report.ts";
import fmaPeak from "./fma_peak.wgsl?raw";
import { TestDevice } from "./gpu_device.ts";

const EXAMPLES = 1024;
const SETTINGS = { learningRate: 0.01, momentum: 0.9, weightDecay: 0.0005 };

/** A dense layer whose three passes are 512 x 512 x 512 products. */
const GEMM_512: ModelDescription = {
  name: "gemm",
  input: { height: 1, width: 512, channels: 1 },
  classes: 512,
  layers: [
    { kind: "dense", name: "before", units: 512 },
    { kind: "dense", name: "gemm 512", units: 512 },
  ],
};

export async function measureKernels({ model, batch, rounds, traits }: KernelTimesOptions): Promise<KernelTimes> {
  const shared = await TestDevice.open();
  const description = isModelName(model) ? MODELS[model] : GEMM_512;
  const plan = compilePlan(description, {
    batch,
    datasetExamples: EXAMPLES,
    normalisation: { mean: [0.1307], deviation: [0.3081] },
  });
  const begin = performance.now();
  const program = await shared.compile(plan, traits);
  const compileMs = performance.now() - begin;
  fill(program);
  const stepTimes: number[] = [];
  const timed = launchesOf(program).map(({ launch, flops }) => ({ launch, flops, timesMs: [] as number[] }));
  const peak = await peakLaunch(shared.device);
  const peakTimes: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    stepTimes.push(await timeOf(shared.device, () => program.step(batchOf(plan, round), SETTINGS)));
    for (const { launch, timesMs } of timed)
      timesMs.push(await timeOf(shared.device, () => run(shared.device, launch)));
    peakTimes.push(await timeOf(shared.device, () => run(shared.device, peak.launch)));
  }
  return {
    adapter: [shared.device.adapterInfo.vendor, shared.device.adapterInfo.architecture].join(" "),
    compileMs,
    stepMs: median(stepTimes),
    peakGflops: peak.flops / median(peakTimes) / 1e6,
    launches: timed.map(({ launch: { name }, flops, timesMs }) => {
      const ms = median(timesMs);
      return { name, ms, gflops: flops / ms / 1e6 };
    }),
  };
}

/** Bytes to calculate with; nothing is learnt here. */
function fill(program: WebGpuProgram): void {
  const { plan } = program;
  const random = new Random(1);
  const images = Uint8Array.from({ length: EXAMPLES * elementsOf(plan.model.input) }, () => random.below(256));
  program.loadExamples(
    0,
    images,
    Uint8Array.from({ length: EXAMPLES }, () => random.below(plan.model.classes) % 256),
  );
  program.writeParameters(initialParameters(plan.layout, 1));
}

function batchOf(plan: Plan, round: number): Uint32Array {
  return Uint32Array.from({ length: plan.batch }, (_, row) => (round * plan.batch + row) % EXAMPLES);
}

interface Launch {
  readonly launch: PreparedDispatch;
  /** 0 where a launch is not made of products. */
  readonly flops: number;
}

function launchesOf({ plan, launches }: WebGpuProgram): Launch[] {
  return [
    ...withFlops(plan.forward, launches.forward),
    ...withFlops(plan.backward, launches.backward),
    ...[...launches.lossTotal, ...launches.update, ...launches.difference].map((launch) => ({ launch, flops: 0 })),
  ];
}

/** The first launch of an operation is its product; a fold or a sum may follow. */
function withFlops(operations: readonly Operation[], all: readonly (readonly PreparedDispatch[])[]): Launch[] {
  return operations.flatMap((operation, at) =>
    all[at]!.map((launch, nth) => ({ launch, flops: nth === 0 ? flopsOf(operation) : 0 })),
  );
}

/** Multiplications and additions of an operation. */
function flopsOf(operation: Operation): number {
  if ("inputs" in operation) return 2 * operation.batch * operation.inputs * operation.units;
  if (!("window" in operation) || !("weights" in operation)) return 0;
  const { batch, input, output, size } = operation.window;
  return 2 * batch * output.height * output.width * output.channels * size * size * input.channels;
}

const PEAK_INVOCATIONS = 16_384;
const PEAK_ROUNDS = 500;

async function peakLaunch(device: GPUDevice): Promise<Launch> {
  const module = device.createShaderModule({ code: fmaPeak });
  const pipeline = await device.createComputePipelineAsync({
    layout: "auto",
    compute: { module, entryPoint: "main", constants: { ROUNDS: PEAK_ROUNDS } },
  });
  const buffer = device.createBuffer({ size: PEAK_INVOCATIONS * 16, usage: GPUBufferUsage.STORAGE });
  const layout = pipeline.getBindGroupLayout(0);
  const bindGroup = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
  const workgroups = [PEAK_INVOCATIONS / 64, 1, 1] as const;
  return { launch: { name: "peak", pipeline, bindGroup, workgroups }, flops: PEAK_INVOCATIONS * PEAK_ROUNDS * 32 };
}

function run(device: GPUDevice, launch: PreparedDispatch): void {
  const encoder = device.createCommandEncoder();
  runPass(encoder, [launch]);
  device.queue.submit([encoder.finish()]);
}

async function timeOf(device: GPUDevice, enqueue: () => void): Promise<number> {
  const begin = performance.now();
  enqueue();
  await device.queue.onSubmittedWorkDone();
  return performance.now() - begin;
}

/** Of all but the first, which warms up. */
function median(timesMs: readonly number[]): number {
  const warm = timesMs.slice(1).toSorted((a, b) => a - b);
  return warm[Math.floor(warm.length / 2)]!;
}
