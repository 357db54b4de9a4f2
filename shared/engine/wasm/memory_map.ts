/**
 * Where everything of one program lies in its WebAssembly memory, decided before that memory exists: parameter vectors, the
 * plan's slots, the data set, scratch space, and the tables of addresses that the kernels walk. Nothing moves afterwards.
 */

import { alignUp } from "../../model/layout.ts";
import { elementsOf } from "../../model/model.ts";
import { BLOCK_ELEMENTS } from "../../wire/codec/codec.ts";
import type { TensorId } from "../operation.ts";
import type { Plan } from "../plan.ts";
import type { MemoryView, Part } from "./memory_view.ts";
import { scratchOf, type Scratch } from "./scratch.ts";
import { updateNeedsOf } from "./update_invocations.ts";

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

/** A piece of a vector, of its residual and of its payload lie in the second-level cache together. */
const PIECE_ELEMENTS = 64 * BLOCK_ELEMENTS;

interface CodecStaging {
  /** A multiple of a block. */
  readonly pieceElements: number;
  /** Of a piece, in any codec. */
  readonly payload: number;
  readonly residual: number;
  /** Two blocks. */
  readonly scratch: number;
}

export class MemoryMap implements MemoryView {
  readonly plan: Plan;
  /** All of them. */
  readonly part: Part;
  readonly parameters: number;
  readonly gradient: number;
  readonly batchGradient: number;
  readonly velocity: number;
  /** Of the parts of a batch that have been done; 0 where a batch is done at once. */
  readonly gradientSum: number;
  /** The center that the parameters are compared with. */
  readonly base: number;
  readonly sent: number;
  readonly difference: number;
  /** Where vectors are encoded and decoded, a piece at a time (encoded_exchange.ts). */
  readonly codecStaging: CodecStaging;
  /** Of adamw; 0 where the plan has another optimizer. */
  readonly secondMoment: number;
  /** The step's numbers, as an update reads them, and the factor on the gradient; f32. */
  readonly settings: number;
  /** Of the tensors whose norms the update needs, f64. */
  readonly squareSums: number;
  /** Bytes, NHWC. */
  readonly images: number;
  /** One byte per example. */
  readonly labels: number;
  /** Example numbers of the present batch, u32. */
  readonly examples: number;
  /** Which gathering this is (dice.ts), u32. */
  readonly draw: number;
  /** How many examples the step has, in all its parts, u32. */
  readonly stepExamples: number;
  /** By name of the need; shared by all operations. */
  readonly scratch: Readonly<Record<Exclude<keyof Scratch, "zeroBytes">, number>>;
  /** Stand in for a bias that is not there. */
  readonly zeros: number;
  readonly tables: Table[] = [];
  readonly #slots: readonly number[];
  #end = ALIGNMENT_BYTES;

  constructor(plan: Plan) {
    this.plan = plan;
    this.part = { first: 0, count: plan.microBatch };
    const vectorBytes = plan.layout.elements * WORD_BYTES;
    this.parameters = this.reserve(vectorBytes);
    this.gradient = this.reserve(vectorBytes);
    this.batchGradient = this.gradient;
    this.velocity = this.reserve(vectorBytes);
    this.gradientSum = plan.microBatches === 1 ? 0 : this.reserve(vectorBytes);
    this.base = this.reserve(vectorBytes);
    this.sent = this.reserve(vectorBytes);
    this.difference = this.reserve(vectorBytes);
    const pieceElements = Math.min(PIECE_ELEMENTS, alignUp(plan.layout.elements, BLOCK_ELEMENTS));
    const pieceBytes = pieceElements * WORD_BYTES;
    this.codecStaging = {
      pieceElements,
      payload: this.reserve(pieceBytes),
      residual: this.reserve(pieceBytes),
      scratch: this.reserve(2 * BLOCK_ELEMENTS * WORD_BYTES),
    };
    const update = updateNeedsOf(plan);
    this.secondMoment = update.secondMomentBytes === 0 ? 0 : this.reserve(update.secondMomentBytes);
    this.settings = this.reserve(update.settingsBytes);
    this.squareSums = this.reserve(update.squareSumsBytes);
    this.#slots = plan.slotElements.map((elements) => this.reserve(elements * WORD_BYTES));
    this.images = this.reserve(plan.datasetExamples * elementsOf(plan.model.input));
    this.labels = this.reserve(plan.datasetExamples);
    this.examples = this.reserve(plan.microBatch * WORD_BYTES);
    this.draw = this.reserve(WORD_BYTES);
    this.stepExamples = this.reserve(WORD_BYTES);
    const needs = scratchOf([...plan.forward, ...plan.backward, ...plan.evaluation]);
    this.scratch = {
      packedBytes: this.reserve(needs.packedBytes),
      paddedBytes: this.reserve(needs.paddedBytes),
      sumsBytes: this.reserve(needs.sumsBytes),
    };
    this.zeros = this.addTable(new Uint32Array(needs.zeroBytes / WORD_BYTES));
  }

  tensor(id: TensorId): number {
    const tensor = this.plan.tensors[id];
    const slot = tensor && this.#slots[tensor.slot];
    if (slot === undefined) throw new Error(`invariant violation: tensor ${id} has no slot`);
    return slot;
  }

  /** Reserves room for `words` and returns their address. */
  addTable(words: Uint32Array): number {
    const address = this.reserve(words.byteLength);
    this.tables.push({ address, words });
    return address;
  }

  get pages(): number {
    return Math.ceil(this.#end / PAGE_BYTES);
  }

  /** Room for `bytes`, zeros at first, until the memory is made. */
  reserve(bytes: number): number {
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
