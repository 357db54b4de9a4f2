/**
 * Where everything of one program lies in its WebAssembly memory, decided before that memory exists: parameter vectors, the
 * plan's slots, the data set, scratch space, and the tables of addresses that the kernels walk. Nothing moves afterwards.
 */

import { alignUp } from "../../model/layout.ts";
import { elementsOf } from "../../model/model.ts";
import type { TensorId } from "../operation.ts";
import type { Plan } from "../plan.ts";
import { scratchOf, type Scratch } from "./scratch.ts";

const PAGE_BYTES = 65_536;
const MAXIMUM_BYTES = 65_536 * PAGE_BYTES;
/** A cache line. */
const ALIGNMENT_BYTES = 64;
/** Kernels work on whole vectors and tiles: they read up to 7 and write up to 3 elements past a buffer's end. */
const SLACK_BYTES = 64;
const WORD_BYTES = 4;

/** Addresses, or other words, that are written once when the memory is made. */
interface Table {
  readonly address: number;
  readonly words: Uint32Array;
}

export class MemoryMap {
  readonly plan: Plan;
  readonly parameters: number;
  readonly gradient: number;
  readonly velocity: number;
  /** The center that the parameters are compared with. */
  readonly base: number;
  readonly sent: number;
  readonly difference: number;
  /** Bytes, NHWC. */
  readonly images: number;
  /** One byte per example. */
  readonly labels: number;
  /** Example numbers of the present batch, u32. */
  readonly examples: number;
  /** By name of the need; shared by all operations. */
  readonly scratch: Readonly<Record<keyof Scratch, number>>;
  readonly tables: Table[] = [];
  readonly #slots: readonly number[];
  #end = ALIGNMENT_BYTES;

  constructor(plan: Plan) {
    this.plan = plan;
    const vectorBytes = plan.layout.elements * WORD_BYTES;
    this.parameters = this.#reserve(vectorBytes);
    this.gradient = this.#reserve(vectorBytes);
    this.velocity = this.#reserve(vectorBytes);
    this.base = this.#reserve(vectorBytes);
    this.sent = this.#reserve(vectorBytes);
    this.difference = this.#reserve(vectorBytes);
    this.#slots = plan.slotElements.map((elements) => this.#reserve(elements * WORD_BYTES));
    this.images = this.#reserve(plan.datasetExamples * elementsOf(plan.model.input));
    this.labels = this.#reserve(plan.datasetExamples);
    this.examples = this.#reserve(plan.batch * WORD_BYTES);
    const needs = scratchOf([...plan.forward, ...plan.backward, ...plan.evaluation]);
    this.scratch = {
      packedBytes: this.#reserve(needs.packedBytes),
      paddedBytes: this.#reserve(needs.paddedBytes),
      zeroBytes: this.#reserve(needs.zeroBytes),
      sinkBytes: this.#reserve(needs.sinkBytes),
    };
  }

  tensor(id: TensorId): number {
    const tensor = this.plan.tensors[id];
    const slot = tensor && this.#slots[tensor.slot];
    if (slot === undefined) throw new Error(`invariant violation: tensor ${id} has no slot`);
    return slot;
  }

  /** Reserves room for `words` and returns their address. */
  addTable(words: Uint32Array): number {
    const address = this.#reserve(words.byteLength);
    this.tables.push({ address, words });
    return address;
  }

  get pages(): number {
    return Math.ceil(this.#end / PAGE_BYTES);
  }

  #reserve(bytes: number): number {
    const address = this.#end;
    this.#end = alignUp(address + bytes + SLACK_BYTES, ALIGNMENT_BYTES);
    if (this.#end > MAXIMUM_BYTES) {
      const { batch, datasetExamples, model } = this.plan;
      throw new Error(
        `Model "${model.name}" at batch ${batch} with ${datasetExamples} examples needs more than the 4 GiB that ` +
          "WebAssembly can address; lower the batch or the number of examples.",
      );
    }
    return address;
  }
}
