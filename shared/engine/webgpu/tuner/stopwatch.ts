/**
 * How long launches take on an otherwise idle queue: by the device's own timestamps where it has them and they are finer, else
 * from the submit until the host hears that it is done.
 */

import type { PreparedDispatch } from "../kernels.ts";
import { runPass } from "../webgpu_program.ts";

const NANOSECONDS = 1e6;
const PROBES = 6;
/** Browsers round timestamps to these against spying, unless they are told not to. */
const COARSE_NS = [100_000n, 65_536n];

export class Stopwatch {
  /** What one execution of nothing takes from the submit until the host hears of it. */
  readonly floorMs: number;
  readonly usesTimestamps: boolean;
  readonly #device: GPUDevice;
  readonly #nowMs: () => number;
  readonly #stamps: Stamps | undefined;

  private constructor(device: GPUDevice, nowMs: () => number, floorMs: number, stamps: Stamps | undefined) {
    this.#device = device;
    this.#nowMs = nowMs;
    this.floorMs = floorMs;
    this.usesTimestamps = stamps !== undefined;
    this.#stamps = stamps;
  }

  static async open(device: GPUDevice, nowMs: () => number): Promise<Stopwatch> {
    const wall: number[] = [];
    const hostClock = new Stopwatch(device, nowMs, 0, undefined);
    for (let probe = 0; probe < PROBES; probe++) wall.push(await hostClock.time([], 1));
    const floorMs = Math.min(...wall);
    if (!device.features.has("timestamp-query")) return new Stopwatch(device, nowMs, floorMs, undefined);
    const stamps = new Stamps(device);
    // What differs between two nothings is the host's clock's grain and its neighbours' noise.
    const spreadMs = wall.toSorted((a, b) => a - b)[PROBES - 2]! - floorMs;
    const isFiner = (await stamps.grainMs()) <= Math.max(spreadMs, 0.01);
    if (!isFiner) stamps.close();
    return new Stopwatch(device, nowMs, floorMs, isFiner ? stamps : undefined);
  }

  /** Milliseconds of all of `executions` times `launches`, in one submit. Without timestamps the floor is in it once. */
  async time(launches: readonly PreparedDispatch[], executions: number): Promise<number> {
    const { queue } = this.#device;
    await queue.onSubmittedWorkDone();
    const encoder = this.#device.createCommandEncoder();
    runPass(encoder, repeated(launches, executions), this.#stamps?.writes);
    this.#stamps?.resolve(encoder);
    const commands = encoder.finish();
    const beganMs = this.#nowMs();
    queue.submit([commands]);
    await queue.onSubmittedWorkDone();
    const wallMs = this.#nowMs() - beganMs;
    const stampedMs = await this.#stamps?.readMs();
    // A driver that resets its clock gives nonsense.
    return stampedMs !== undefined && stampedMs > 0 && stampedMs <= wallMs ? stampedMs : wallMs;
  }

  close(): void {
    this.#stamps?.close();
  }
}

function repeated(launches: readonly PreparedDispatch[], executions: number): PreparedDispatch[] {
  return Array.from({ length: executions }, () => launches).flat();
}

class Stamps {
  readonly writes: GPUComputePassTimestampWrites;
  readonly #device: GPUDevice;
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(device: GPUDevice) {
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    this.#device = device;
    this.#set = device.createQuerySet({ type: "timestamp", count: 2 });
    this.#resolved = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
    this.#staging = device.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
    this.writes = { querySet: this.#set, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  }

  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#set, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 16);
  }

  async read(): Promise<readonly [bigint, bigint]> {
    await this.#staging.mapAsync(GPUMapMode.READ);
    const [begin, end] = new BigUint64Array(this.#staging.getMappedRange());
    const stamps = [begin!, end!] as const;
    this.#staging.unmap();
    return stamps;
  }

  async readMs(): Promise<number> {
    const [begin, end] = await this.read();
    return Number(end - begin) / NANOSECONDS;
  }

  /** What these timestamps are rounded to. */
  async grainMs(): Promise<number> {
    const seen: bigint[] = [];
    for (let probe = 0; probe < PROBES; probe++) {
      const encoder = this.#device.createCommandEncoder();
      runPass(encoder, [], this.writes);
      this.resolve(encoder);
      this.#device.queue.submit([encoder.finish()]);
      seen.push(...(await this.read()));
    }
    const coarse = COARSE_NS.find((grain) => seen.every((stamp) => stamp % grain === 0n));
    return coarse === undefined ? 1 / NANOSECONDS : Number(coarse) / NANOSECONDS;
  }

  close(): void {
    this.#set.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}
