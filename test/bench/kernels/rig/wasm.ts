/** Every operation of a training step on the WASM backend, one by one and on one thread, as exercises of a program. */

import type { Backend, Program } from "../../../../shared/engine/backend.ts";
import type { Move } from "../../../../shared/engine/exercise.ts";
import { compilePlan } from "../../../../shared/engine/plan.ts";
import { createWasmBackend } from "../../../../shared/engine/wasm/wasm_backend.ts";
import { leastMs } from "../../../../shared/engine/webgpu/tuner/bench.ts";
import type { Job, Peaks, Question, Workload, WorkloadReport } from "../job.ts";
import { fill, leastStepMs, rawOf, withPeaks, type Raw, type RawOperation } from "./kernels.ts";

type KernelsJob = Extract<Job, { kind: "kernels" }>;

/** Until then V8 has compiled every kernel with its optimiser, in a thread that a busy machine holds up. */
const WARM_UP_MS = 2000;

export async function measureWasm(
  { wasm }: Question,
  { workloads, pieceMs }: KernelsJob,
  say: (sentence: string) => void,
): Promise<{ readonly workloads: WorkloadReport[]; readonly peaks: Peaks }> {
  if (!wasm) throw new Error("invariant violation: a question about WASM came without its modules");
  const backend = await createWasmBackend({ plain: bytesOf(wasm.plain), relaxed: bytesOf(wasm.relaxed) });
  const probe = await openProbe(bytesOf(wasm.relaxedPeak), bytesOf(wasm.plainPeak));
  const raws: Raw[] = [];
  const seen: ProbeRates[] = [await probe(pieceMs)];
  for (const workload of workloads) {
    raws.push(await measureWorkload(backend, workload, pieceMs, say));
    seen.push(await probe(pieceMs));
  }
  const peaks: Peaks = {
    adapter: backend.device,
    isFallback: false,
    features: [],
    fmaGflops: Math.max(...seen.map(({ gflops }) => gflops)),
    copyGbPerSecond: Math.max(...seen.map(({ gbPerSecond }) => gbPerSecond)),
    dispatchMs: 0,
    submitMs: 0,
    usesTimestamps: false,
  };
  return { workloads: raws.map((raw) => withPeaks(raw, peaks)), peaks };
}

async function measureWorkload(
  backend: Backend,
  { model, batch, name }: Workload,
  pieceMs: number,
  say: (sentence: string) => void,
): Promise<Raw> {
  const plan = compilePlan(model, {
    batch,
    datasetExamples: batch,
    normalisation: { mean: [0.45], deviation: [0.25] },
  });
  const begin = performance.now();
  const program = await backend.compile(plan);
  const compileMs = performance.now() - begin;
  try {
    fill(program);
    const warmAt = performance.now() + WARM_UP_MS;
    do await leastStepMs(program);
    while (performance.now() < warmAt);
    const stepMs = await leastStepMs(program);
    const operations: RawOperation[] = [];
    for (const part of ["forward", "backward"] as const) {
      for (const [at, operation] of plan[part].entries()) {
        const move: Move = { kind: "operate", part, at };
        const ms = await leastMs((times) => timeOf(program, move, times), pieceMs, Number.POSITIVE_INFINITY);
        operations.push(rawOf(plan, operation, 1, ms));
      }
    }
    say(`${name}: a step takes ${stepMs.toFixed(1)} ms, ${operations.length} operations measured.`);
    return { name, batch, compileMs, stepMs, operations };
  } finally {
    program.close();
  }
}

const PATTERN = Float32Array.of(0.5);

async function timeOf(program: Program, move: Move, times: number): Promise<number> {
  const examples = Uint32Array.from({ length: program.plan.batch }, (_, example) => example);
  const moves = Array.from({ length: times }, () => move);
  const begin = performance.now();
  await program.exercise(examples, { pattern: PATTERN, moves }, () => {});
  return performance.now() - begin;
}

interface ProbeRates {
  readonly gflops: number;
  readonly gbPerSecond: number;
}

interface ProbeExports {
  readonly multiplyAdd: (rounds: number, factor: number, term: number) => number;
  readonly copy: (bytes: number) => void;
}

/** Pages and Node have it; neither's types are visible here. */
declare const WebAssembly: {
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  instantiate(bytes: Uint8Array<ArrayBuffer>): Promise<{ readonly instance: { readonly exports: unknown } }>;
};

const ROUNDS = 20_000;
/** Chains settle at TERM / (1 - FACTOR): no infinity, no denormal. */
const FACTOR = 0.999;
const TERM = 0.5;
const OPERATIONS_PER_ROUND = 64;
const COPY_BYTES = 24 * 2 ** 20;

async function openProbe(
  relaxed: Uint8Array<ArrayBuffer>,
  plain: Uint8Array<ArrayBuffer>,
): Promise<(pieceMs: number) => Promise<ProbeRates>> {
  const { instance } = await WebAssembly.instantiate(WebAssembly.validate(relaxed) ? relaxed : plain);
  const { multiplyAdd, copy } = instance.exports as ProbeExports;
  const warmAt = performance.now() + WARM_UP_MS;
  while (performance.now() < warmAt) multiplyAdd(ROUNDS, FACTOR, TERM);
  return async (pieceMs) => ({
    gflops:
      (ROUNDS * OPERATIONS_PER_ROUND) / (await timeOfCalls(pieceMs, () => multiplyAdd(ROUNDS, FACTOR, TERM))) / 1e6,
    gbPerSecond: (2 * COPY_BYTES) / (await timeOfCalls(pieceMs, () => copy(COPY_BYTES))) / 1e6,
  });
}

function timeOfCalls(pieceMs: number, work: () => void): Promise<number> {
  const run = (times: number): Promise<number> => {
    const begin = performance.now();
    for (let time = 0; time < times; time++) work();
    return Promise.resolve(performance.now() - begin);
  };
  return leastMs(run, pieceMs, Number.POSITIVE_INFINITY);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
