/**
 * Every buffer of a compiled plan, made once: one per slot of the plan, the parameter-sized vectors, the data set, and
 * two scratch buffers that operations use one after another. Refuses by name what is too large for the device.
 */

import type { ParameterTensor } from "../../model/layout.ts";
import type { TensorId } from "../operation.ts";
import { channelValue, type Plan } from "../plan.ts";
import type { ScratchElements } from "./algorithms/operands.ts";
import { bufferBytes, imageWords, refusal, slotName } from "./buffer_sizes.ts";
import { EXAMPLES_WORD, partWords, SETTINGS_WORDS, slotWords, STEP_SLOTS } from "./step_inputs.ts";
import { makeUpdateMemory, type UpdateMemory } from "./updates.ts";

const WORD_BYTES = 4;

/** Words of the loss total; 16 bytes keep it bindable as a vector. */
export const TOTAL_WORDS = 4;

/** Parameter-sized vectors. `scratch` of the exchange, `difference`, is one of them. */
type VectorName = "parameters" | "gradient" | "velocity" | "base" | "sent" | "difference";

export class PlanMemory {
  readonly plan: Plan;
  /** Bytes that this plan holds on the device. */
  bytes: number;
  readonly vectors: Readonly<Record<VectorName, GPUBuffer>>;
  readonly images: GPUBuffer;
  readonly labels: GPUBuffer;
  /** What the host says of steps that are queued (step_inputs.ts). */
  readonly stepInputs: GPUBuffer;
  /** What it says of the part of a batch that is being done: `clock` and `examples`. */
  readonly batchInputs: GPUBuffer;
  /** Which draw this is (dice.ts), and how many examples the step has in all its parts. */
  readonly clock: GPUBufferBinding;
  readonly examples: GPUBufferBinding;
  /** Mean and deviation of each channel of the input. */
  readonly normalisation: GPUBuffer;
  /** The numbers of an update (`updateWords`). */
  readonly settings: GPUBuffer;
  readonly update: UpdateMemory;
  /** The moving rate, and the range that is moved. */
  readonly pull: GPUBuffer;
  /** Of a batch that is done in parts: their gradients so far. */
  readonly gradientSum: GPUBuffer;
  /** The sum of the losses of the steps' examples since the last readback. */
  readonly total: GPUBuffer;
  scratch: GPUBuffer;
  /** What a product writes before it is lifted or added; a launch may not read and write one buffer. */
  scratchProducts: GPUBuffer;
  /** A vector and the loss total, for the host. */
  readonly readback: GPUBuffer;
  /** Losses and correctness of one batch, for the host. */
  readonly evaluation: GPUBuffer;
  /** The loss total, for the host. */
  readonly loss: GPUBuffer;
  readonly #slots: readonly GPUBuffer[];
  #buffers: GPUBuffer[] = [];
  readonly #device: GPUDevice;

  constructor(device: GPUDevice, plan: Plan, scratch: ScratchElements) {
    this.plan = plan;
    this.#device = device;
    const { storage, uniform, staging } = usages();
    const { batch, datasetExamples, layout } = plan;
    const vector = (name: VectorName): GPUBuffer => this.#make(name, layout.elements, storage);
    this.vectors = {
      parameters: vector("parameters"),
      gradient: vector("gradient"),
      velocity: vector("velocity"),
      base: vector("base"),
      sent: vector("sent"),
      difference: vector("difference"),
    };
    this.images = this.#make("data set", datasetExamples * imageWords(plan), storage);
    this.labels = this.#make("labels of the data set", datasetExamples, storage);
    this.stepInputs = this.#make("inputs of queued steps", STEP_SLOTS * slotWords(plan), storage);
    this.batchInputs = this.#make("inputs of a batch", partWords(plan), storage | uniform);
    this.clock = { buffer: this.batchInputs, offset: 0, size: 16 };
    const examplesBytes = plan.microBatch * WORD_BYTES;
    this.examples = { buffer: this.batchInputs, offset: EXAMPLES_WORD * WORD_BYTES, size: examplesBytes };
    this.normalisation = this.#make("normalisation", 2 * plan.model.input.channels, storage);
    device.queue.writeBuffer(this.normalisation, 0, normalisationWords(plan));
    this.settings = this.#make("settings", SETTINGS_WORDS, uniform);
    this.update = makeUpdateMemory(plan, (name, words) => this.#make(name, words, storage), device.queue);
    this.pull = this.#make("moving rate", 4, uniform);
    this.gradientSum =
      plan.microBatches > 1
        ? this.#make("gradient of a batch in parts", layout.elements, storage)
        : this.vectors.gradient;
    this.total = this.#make("loss total", TOTAL_WORDS, storage);
    this.scratch = this.#make("scratch", Math.max(scratch.lowered, 4), storage);
    this.scratchProducts = this.#make("scratch of products", Math.max(scratch.products, 4), storage);
    this.#slots = plan.slotElements.map((elements, slot) => this.#make(slotName(plan, slot), elements, storage));
    this.readback = this.#make("readback", layout.elements + TOTAL_WORDS, staging);
    this.evaluation = this.#make("evaluation readback", 2 * batch, staging);
    this.loss = this.#make("loss readback", TOTAL_WORDS, staging);
    this.bytes = this.#buffers.reduce((sum, { size }) => sum + size, 0);
  }

  tensor(id: TensorId): GPUBufferBinding {
    const { slot, elements } = this.plan.tensors[id]!;
    return { buffer: this.#slots[slot]!, offset: 0, size: elements * WORD_BYTES };
  }

  parameter({ offset, elements }: ParameterTensor): GPUBufferBinding {
    return { buffer: this.vectors.parameters, offset: offset * WORD_BYTES, size: elements * WORD_BYTES };
  }

  /**
   * The gradients of a layer's neighbouring tensors, from the first to the last. Kernels get offsets within it: layers of one
   * shape share a pipeline then, wherever their parameters lie.
   */
  gradients(first: ParameterTensor, last: ParameterTensor = first): GPUBufferBinding {
    const size = (last.offset + last.elements - first.offset) * WORD_BYTES;
    return { buffer: this.vectors.gradient, offset: first.offset * WORD_BYTES, size };
  }

  /**
   * Other scratch buffers for launches that are yet to be made, where the old ones are too small: both exist until the launches
   * that use the one or the other are given up. Throws where they do not fit.
   */
  exchangeScratch({ lowered, products }: ScratchElements): ScratchExchange {
    const old = [this.scratch, this.scratchProducts] as const;
    const isEnough = lowered * WORD_BYTES <= old[0].size && products * WORD_BYTES <= old[1].size;
    if (isEnough) return { keepNew: () => {}, keepOld: () => {} };
    const { storage } = usages();
    this.#bytesOf("scratch", lowered);
    this.#bytesOf("scratch of products", products);
    const next = [
      this.#make("scratch", Math.max(lowered, 4), storage),
      this.#make("scratch of products", Math.max(products, 4), storage),
    ] as const;
    const keep = (kept: readonly [GPUBuffer, GPUBuffer], others: readonly GPUBuffer[]): void => {
      [this.scratch, this.scratchProducts] = kept;
      this.#buffers = this.#buffers.filter((buffer) => !others.includes(buffer));
      for (const buffer of others) buffer.destroy();
      this.bytes = this.#buffers.reduce((sum, { size }) => sum + size, 0);
    };
    [this.scratch, this.scratchProducts] = next;
    return { keepNew: () => keep(next, old), keepOld: () => keep(old, next) };
  }

  /** A buffer that only some programs need, made when one does. */
  add(name: string, words: number, usage: "storage" | "uniform" = "storage"): GPUBuffer {
    const buffer = this.#make(name, words, usages()[usage]);
    this.bytes += buffer.size;
    return buffer;
  }

  close(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }

  #make(name: string, elements: number, usage: GPUBufferUsageFlags): GPUBuffer {
    try {
      const buffer = this.#device.createBuffer({ label: name, size: this.#bytesOf(name, elements), usage });
      this.#buffers.push(buffer);
      return buffer;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Throws where the device binds less. */
  #bytesOf(name: string, elements: number): number {
    const reason = refusal(this.plan, name, elements, this.#device.limits);
    if (reason) throw new Error(reason);
    return bufferBytes(elements);
  }
}

interface ScratchExchange {
  keepNew(): void;
  keepOld(): void;
}

/** Mean and deviation of channel 0, of channel 1, … */
function normalisationWords({ model, normalisation }: Plan): Float32Array<ArrayBuffer> {
  const { mean, deviation } = normalisation;
  return Float32Array.from({ length: 2 * model.input.channels }, (_, at) =>
    channelValue(at % 2 === 0 ? mean : deviation, Math.floor(at / 2)),
  );
}

/** Looked up late: the constants exist only where WebGPU does. */
function usages(): Readonly<Record<"storage" | "uniform" | "staging", GPUBufferUsageFlags>> {
  const { STORAGE, UNIFORM, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  return { storage: STORAGE | COPY_DST | COPY_SRC, uniform: UNIFORM | COPY_DST, staging: MAP_READ | COPY_DST };
}
