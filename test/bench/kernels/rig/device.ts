/** The device that a rig measures: opened as a volunteer opens it, with its peaks measured first. */

import { describeAdapter, featuresOf, limitsOf } from "../../../../client/participation/adapter.ts";
import { DeviceWatch } from "../../../../shared/engine/webgpu/device_watch.ts";
import { Kernels, type PreparedDispatch } from "../../../../shared/engine/webgpu/kernels.ts";
import { leastMs } from "../../../../shared/engine/webgpu/tuner/bench.ts";
import { Stopwatch } from "../../../../shared/engine/webgpu/tuner/stopwatch.ts";
import type { DeviceTraits } from "../../../../shared/engine/webgpu/choice/candidate.ts";
import { MAX_WORKGROUPS } from "../../../../shared/engine/webgpu/dispatch.ts";
import type { Peaks, Question } from "../job.ts";

export interface Rig {
  readonly watch: DeviceWatch;
  readonly shaders: ReadonlyMap<string, string>;
  readonly traits: DeviceTraits;
  /** The best seen so far. */
  readonly peaks: Peaks;
  /** The least milliseconds of one execution. */
  time(launches: readonly PreparedDispatch[], pieceMs: number): Promise<number>;
  /** Measures the peaks once more: on a shared machine they are what the quietest moment gave. */
  look(): Promise<void>;
  say(sentence: string): void;
}

export async function openRig(gpu: GPU, { shaders, peaks }: Question, say: (sentence: string) => void): Promise<Rig> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("WebGPU offers no adapter here.");
  const { description, isFallback } = describeAdapter(adapter.info);
  const device = await adapter.requestDevice({
    requiredFeatures: featuresOf(adapter),
    requiredLimits: limitsOf(adapter),
  });
  const watch = new DeviceWatch(device);
  const stopwatch = await Stopwatch.open(device, () => performance.now());
  const time = async (launches: readonly PreparedDispatch[], pieceMs: number): Promise<number> => {
    const ms = await leastMs((count) => stopwatch.time(launches, count), pieceMs, Number.POSITIVE_INFINITY);
    watch.check();
    return ms;
  };
  const probes = await PeakProbes.open(device, new Map(Object.entries(peaks)), isFallback, time);
  let best = await probes.measure();
  return {
    watch,
    shaders: new Map(Object.entries(shaders)),
    traits: {
      isFallback,
      hasSubgroups: device.features.has("subgroups"),
      hasF16: device.features.has("shader-f16"),
    },
    get peaks() {
      return {
        adapter: description,
        isFallback,
        features: [...device.features].toSorted(),
        submitMs: stopwatch.floorMs,
        usesTimestamps: stopwatch.usesTimestamps,
        ...best,
      };
    },
    time,
    look: async () => {
      const { fmaGflops, copyGbPerSecond, dispatchMs } = await probes.measure();
      best = {
        fmaGflops: Math.max(best.fmaGflops, fmaGflops),
        copyGbPerSecond: Math.max(best.copyGbPerSecond, copyGbPerSecond),
        dispatchMs: Math.min(best.dispatchMs, dispatchMs),
      };
    },
    say,
  };
}

const INVOCATIONS = 64;
const PIECE_MS = 100;
/** The longest launch of the peaks: long against a submit, short against a driver's patience. */
const LAUNCH_MS = 10;
const CHAINS = 4;
const NOTHINGS = 200;

type Time = (launches: readonly PreparedDispatch[], pieceMs: number) => Promise<number>;
type Measured = Pick<Peaks, "fmaGflops" | "copyGbPerSecond" | "dispatchMs">;

class PeakProbes {
  readonly #time: Time;
  readonly #fma: readonly PreparedDispatch[];
  readonly #fmaFlops: number;
  readonly #copy: readonly PreparedDispatch[];
  readonly #copyBytes: number;
  readonly #nothings: readonly PreparedDispatch[];

  private constructor(
    time: Time,
    fma: Fma,
    copy: readonly PreparedDispatch[],
    bytes: number,
    nothing: PreparedDispatch,
  ) {
    this.#time = time;
    this.#fma = fma.launches;
    this.#fmaFlops = fma.flops;
    this.#copy = copy;
    this.#copyBytes = bytes;
    this.#nothings = Array.from({ length: NOTHINGS }, () => nothing);
  }

  static async open(
    device: GPUDevice,
    sources: ReadonlyMap<string, string>,
    isFallback: boolean,
    time: Time,
  ): Promise<PeakProbes> {
    const kernels = new Kernels(device, sources);
    const { STORAGE } = GPUBufferUsage;
    const size = Math.min(isFallback ? 2 ** 24 : 2 ** 28, device.limits.maxStorageBufferBindingSize);
    const [source, result] = ["source", "result"].map((label) => device.createBuffer({ label, size, usage: STORAGE }));
    const fma = await steadyFma(kernels, result!, isFallback ? 2 ** 14 : 2 ** 19, time);
    const copy = await fastestCopy(kernels, [source!, result!], time);
    const [nothing] = await kernels.prepare([
      { name: "nothing", shader: "nothing", constants: {}, bindings: [{ buffer: result! }], workgroups: [1, 1, 1] },
    ]);
    return new PeakProbes(time, fma, copy, 2 * size, nothing!);
  }

  async measure(): Promise<Measured> {
    return {
      fmaGflops: this.#fmaFlops / (await this.#time(this.#fma, PIECE_MS)) / 1e6,
      copyGbPerSecond: this.#copyBytes / (await this.#time(this.#copy, PIECE_MS)) / 1e6,
      dispatchMs: (await this.#time(this.#nothings, PIECE_MS)) / NOTHINGS,
    };
  }
}

interface Fma {
  readonly launches: readonly PreparedDispatch[];
  readonly flops: number;
}

/** Longer loops until what a launch itself costs has vanished. */
async function steadyFma(kernels: Kernels, result: GPUBuffer, threads: number, time: Time): Promise<Fma> {
  for (let rounds = 128; ; rounds *= 4) {
    const launches = await kernels.prepare([
      {
        name: "multiply-add peak",
        shader: "fma_peak",
        constants: { ROUNDS: rounds, INVOCATIONS },
        bindings: [{ buffer: result }],
        workgroups: [threads / INVOCATIONS, 1, 1],
      },
    ]);
    if ((await time(launches, PIECE_MS)) < LAUNCH_MS) continue;
    return { launches, flops: threads * rounds * CHAINS * 4 * 2 };
  }
}

const COPY_INVOCATIONS = 256;
const COPIES = [
  { TURNS: 1, CONTIGUOUS: 0 },
  { TURNS: 4, CONTIGUOUS: 0 },
  { TURNS: 4, CONTIGUOUS: 1 },
  { TURNS: 16, CONTIGUOUS: 1 },
] as const;

async function fastestCopy(
  kernels: Kernels,
  [source, result]: readonly [GPUBuffer, GPUBuffer],
  time: Time,
): Promise<readonly PreparedDispatch[]> {
  const vectors = source.size / 16;
  const timed: { launches: readonly PreparedDispatch[]; ms: number }[] = [];
  for (const { TURNS, CONTIGUOUS } of COPIES) {
    const workgroups = Math.ceil(vectors / TURNS / COPY_INVOCATIONS);
    if (workgroups > MAX_WORKGROUPS) continue;
    const launches = await kernels.prepare([
      {
        name: "copy peak",
        shader: "copy_peak",
        constants: { VECTORS: vectors, INVOCATIONS: COPY_INVOCATIONS, TURNS, CONTIGUOUS },
        bindings: [{ buffer: source }, { buffer: result }],
        workgroups: [workgroups, 1, 1],
      },
    ]);
    timed.push({ launches, ms: await time(launches, PIECE_MS) });
  }
  return timed.toSorted((a, b) => a.ms - b.ms)[0]!.launches;
}
