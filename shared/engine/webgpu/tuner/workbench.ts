/**
 * The tuner's own place on a device: operands of one product at a time, with ordinary numbers in them, and kernels of its own
 * that are forgotten afterwards. Nothing of a program is touched, and an error in here is a candidate's, not the device's.
 */

import { Random } from "../../../random.ts";
import type { ProductOperands, ScratchBuffers } from "../algorithms/operands.ts";
import { productKey, type Candidate, type Product } from "../choice/candidate.ts";
import { depthOf, inputPixels, outputPixels } from "../choice/shape.ts";
import type { DeviceWatch } from "../device_watch.ts";
import { kernelKey, type Kernels, type PreparedDispatch } from "../kernels.ts";
import { productDispatches, productScratch } from "../products.ts";
import { leastMs, type Bench, type LoadedCandidate, type ProductBench, type ProductEdges } from "./bench.ts";
import { runPass } from "../webgpu_program.ts";
import { Stopwatch } from "./stopwatch.ts";

/** A prime, so that the pattern repeats in step with no tensor. */
const PATTERN_ELEMENTS = 65_521;
/** Of an output, spread over it: what is compared is to be read in a moment. */
const SAMPLES = 16;
const SAMPLE_ELEMENTS = 16_384;

export class Workbench implements Bench {
  readonly kernels: Kernels;
  readonly #watch: DeviceWatch;
  readonly #nowMs: () => number;
  /** That one candidate may need: in software each can take a second to compile. */
  readonly #mostKernels: number;
  readonly #pattern: Float32Array<ArrayBuffer>;
  /** Made when something is measured for the first time. */
  #stopwatch: Stopwatch | undefined;
  #spentMs = 0;

  constructor(watch: DeviceWatch, kernels: Kernels, nowMs: () => number, mostKernels: number) {
    this.#watch = watch;
    this.kernels = kernels;
    this.#nowMs = nowMs;
    this.#mostKernels = mostKernels;
    const random = new Random(1);
    // Neither zeros nor denormals, both of which some devices calculate with at another speed.
    this.#pattern = Float32Array.from({ length: PATTERN_ELEMENTS }, () => {
      const magnitude = 0.25 + random.uniform();
      return random.uniform() < 0.5 ? -magnitude : magnitude;
    });
  }

  get spentMs(): number {
    return this.#spentMs;
  }

  check(): void {
    this.#watch.check();
  }

  /** `work`, with its time on the account. */
  async charge<T>(work: () => Promise<T>): Promise<T> {
    const beganMs = this.#nowMs();
    try {
      return await work();
    } finally {
      this.#spentMs += this.#nowMs() - beganMs;
    }
  }

  /** One execution's milliseconds; waits for its turn and for the queue, which costs nothing. */
  measure(launches: readonly PreparedDispatch[], pieceMs: number, losingMs: number): Promise<number> {
    return this.#watch.turn.take(async () => {
      await this.#watch.device.queue.onSubmittedWorkDone();
      this.check();
      const ms = await this.charge(async () => {
        const stopwatch = await this.#openStopwatch();
        return leastMs((executions) => stopwatch.time(launches, executions), pieceMs, losingMs);
      });
      this.check();
      return ms;
    });
  }

  open(product: Product, edges: ProductEdges): Promise<ProductBench> {
    return this.charge(async () => {
      const { device } = this.#watch;
      const operands = await Operands.make(device, product, edges, this.#pattern);
      return {
        load: (candidate) => this.#load(operands, candidate),
        close: () => operands.close(),
      };
    });
  }

  #load(operands: Operands, candidate: Candidate): Promise<LoadedCandidate> {
    return this.charge(async () => {
      const { device } = this.#watch;
      const launches = await withoutErrors(device, async () => {
        const dispatches = operands.dispatches(candidate);
        const count = new Set(dispatches.map(kernelKey)).size;
        if (count > this.#mostKernels)
          throw new Error(`It needs ${count} kernels; ${this.#mostKernels} are compiled at most.`);
        return this.kernels.prepare(dispatches);
      });
      return {
        measure: (pieceMs, losingMs) => withoutErrors(device, () => this.measure(launches, pieceMs, losingMs)),
        output: () => this.charge(() => operands.output(launches)),
      };
    });
  }

  async #openStopwatch(): Promise<Stopwatch> {
    this.#stopwatch ??= await Stopwatch.open(this.#watch.device, this.#nowMs);
    return this.#stopwatch;
  }

  close(): void {
    this.#stopwatch?.close();
  }
}

/** Rejects with what the device reports of `work`, which nobody else hears. */
async function withoutErrors<T>(device: GPUDevice, work: () => Promise<T>): Promise<T> {
  const filters = ["validation", "out-of-memory", "internal"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const popped = async (): Promise<string | undefined> => {
    const errors = await Promise.all(filters.map(() => device.popErrorScope()));
    return errors.find((error) => error !== null)?.message;
  };
  try {
    const result = await work();
    const message = await popped();
    if (message !== undefined) throw new Reported(message);
    return result;
  } catch (error) {
    if (!(error instanceof Reported)) await popped();
    throw error;
  }
}

class Reported extends Error {}

/** The buffers of one product. */
class Operands {
  readonly #device: GPUDevice;
  readonly #product: Product;
  readonly #edges: ProductEdges;
  readonly #bindings: Readonly<Partial<Record<BindingName, GPUBufferBinding>>>;
  readonly #buffers: GPUBuffer[] = [];
  readonly #scratch: Partial<Record<keyof ScratchBuffers, GPUBuffer>> = {};

  static make(
    device: GPUDevice,
    product: Product,
    edges: ProductEdges,
    pattern: Float32Array<ArrayBuffer>,
  ): Promise<Operands> {
    return withoutErrors(device, () => Promise.resolve(new Operands(device, product, edges, pattern)));
  }

  private constructor(device: GPUDevice, product: Product, edges: ProductEdges, pattern: Float32Array<ArrayBuffer>) {
    this.#device = device;
    this.#product = product;
    this.#edges = { ...edges, offsets: nearOffsets(product, edges) };
    const bindings: Partial<Record<BindingName, GPUBufferBinding>> = {};
    try {
      for (const [name, elements] of Object.entries(elementsOf(product, this.#edges)) as [BindingName, number][]) {
        if (elements === 0) continue;
        const buffer = this.#make(elements);
        bindings[name] = { buffer, offset: 0, size: elements * 4 };
        if (name !== "target") fill(device, buffer, pattern);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.#bindings = bindings;
  }

  dispatches(candidate: Candidate): ReturnType<typeof productDispatches> {
    const { lowered, products } = productScratch(this.#product, candidate, this.#edges.hasBias);
    const scratch = { lowered: this.#room("lowered", lowered), products: this.#room("products", products) };
    return productDispatches(this.#product, candidate, this.#operands(scratch));
  }

  #operands(scratch: ScratchBuffers): ProductOperands {
    const { source, factor, bias, undone, target } = this.#bindings;
    const { activation, accumulate, offsets } = this.#edges;
    return {
      name: productKey(this.#product),
      source: source!,
      factor: factor!,
      bias,
      activation,
      undone,
      accumulate,
      target: target!,
      offsets,
      scratch,
    };
  }

  /** Launches made before keep theirs: buffers are destroyed at the end only. */
  #room(which: keyof ScratchBuffers, elements: number): GPUBuffer {
    const known = this.#scratch[which];
    if (known && known.size >= elements * 4) return known;
    const buffer = this.#make(elements);
    this.#scratch[which] = buffer;
    return buffer;
  }

  #make(elements: number): GPUBuffer {
    const buffer = bufferOf(this.#device, elements);
    this.#buffers.push(buffer);
    return buffer;
  }

  /** What one execution writes into zeros: a sample of it where it is long. */
  async output(launches: readonly PreparedDispatch[]): Promise<Float32Array> {
    const { buffer, size = 0 } = this.#bindings.target!;
    // Before it lie other layers' gradients.
    const ranges = rangesOf(this.#product.pass === "filter-gradient" ? this.#edges.offsets.weights : 0, size / 4);
    const elements = ranges.reduce((sum, { count }) => sum + count, 0);
    const { COPY_DST, MAP_READ } = GPUBufferUsage;
    const staging = this.#device.createBuffer({ size: elements * 4, usage: COPY_DST | MAP_READ });
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.clearBuffer(buffer);
      runPass(encoder, launches);
      let at = 0;
      for (const { first, count } of ranges) {
        encoder.copyBufferToBuffer(buffer, first * 4, staging, at * 4, count * 4);
        at += count;
      }
      this.#device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      return new Float32Array(staging.getMappedRange().slice(0));
    } finally {
      staging.destroy();
    }
  }

  close(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}

type BindingName = "source" | "factor" | "bias" | "undone" | "target";

/** Words of each; 0 where there is none. */
function elementsOf({ pass, window }: Product, edges: ProductEdges): Record<BindingName, number> {
  const { channels } = window.output;
  const input = inputPixels(window) * window.input.channels;
  const output = outputPixels(window) * channels;
  const weights = depthOf(window) * channels;
  const { hasBias, activation, offsets } = edges;
  switch (pass) {
    case "forward":
      return { source: input, factor: weights, target: output, bias: hasBias ? channels : 0, undone: 0 };
    case "data-gradient":
      return { source: output, factor: weights, target: input, bias: 0, undone: activation ? input : 0 };
    case "filter-gradient": {
      const target = Math.max(offsets.weights + weights, (offsets.bias ?? 0) + (hasBias ? channels : 0));
      return { source: input, factor: output, target, bias: 0, undone: 0 };
    }
    default:
      return pass satisfies never;
  }
}

/** Gradients further on than this are measured at the beginning of the vector: it need not all be there. */
const FAR_ELEMENTS = 2 ** 22;

function nearOffsets({ pass, window }: Product, { hasBias, offsets }: ProductEdges): ProductEdges["offsets"] {
  if (pass !== "filter-gradient" || Math.max(offsets.weights, offsets.bias ?? 0) < FAR_ELEMENTS) return offsets;
  const behindWeights = Math.ceil((depthOf(window) * window.output.channels) / 4) * 4;
  return { weights: 0, bias: hasBias ? behindWeights : undefined };
}

function bufferOf(device: GPUDevice, elements: number): GPUBuffer {
  // Views as vectors of 4 need whole ones.
  const size = Math.max(16, Math.ceil(elements / 4) * 16);
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  if (size > limit) throw new Error(`It needs a buffer of ${size} bytes; this device has ${limit} at most.`);
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  return device.createBuffer({ label: "tuner", size, usage: STORAGE | COPY_DST | COPY_SRC });
}

function fill(device: GPUDevice, buffer: GPUBuffer, pattern: Float32Array<ArrayBuffer>): void {
  const words = buffer.size / 4;
  for (let at = 0; at < words; at += pattern.length) {
    device.queue.writeBuffer(buffer, at * 4, pattern, 0, Math.min(pattern.length, words - at));
  }
}

/** All from `first` to `end`, or pieces spread over it. */
function rangesOf(first: number, end: number): { first: number; count: number }[] {
  const elements = end - first;
  if (elements <= SAMPLES * SAMPLE_ELEMENTS) return [{ first, count: elements }];
  const step = (elements - SAMPLE_ELEMENTS) / (SAMPLES - 1);
  return Array.from({ length: SAMPLES }, (_, sample) => ({
    first: first + Math.floor(sample * step),
    count: SAMPLE_ELEMENTS,
  }));
}
