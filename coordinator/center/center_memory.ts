/**
 * Where everything lies in the center's one shared memory, and the pool of areas behind it:
 *
 *   control block | center | velocity | accumulator | area | area | …
 *
 * Each vector is padded to whole cache lines; the padding is zero and stays zero under every kernel. Only the main
 * thread takes, returns and adds areas; the applier threads are told byte offsets.
 */

import { isAdapted } from "../../shared/engine/optimizer.ts";
import type { ParameterLayout } from "../../shared/model/layout.ts";
import { CONTROL_BYTES } from "./control.ts";
import { WASM_PAGE_BYTES, webAssembly, type WasmMemory } from "./wasm_api.ts";

const LINE_ELEMENTS = 16;
const CPU_PAGE_BYTES = 4096;
/**
 * Where in a page areas begin; the center begins at 0. A load that has the low twelve bits of a store just before it
 * waits for that store, so the two streams of an apply keep half a page apart: 3 to 5 % faster than any offset below
 * 1024, at 431,080 and at 25 million elements (2-core Xeon 2.5 GHz, 2026-11-21).
 */
const AREA_OFFSET_BYTES = 2048;
/** All that 32 bits address but for the last page, so that the end of a vector never wraps to zero. */
const MAXIMUM_PAGES = 65_535;

/** What the center knows of a model: how long it is, where running statistics begin, and where tensors lie. */
export type CenterShape = Pick<ParameterLayout, "elements" | "trainableElements" | "tensors">;

/** A trained tensor with the gap behind it, in whole cache lines. */
interface TensorRange {
  readonly fromElement: number;
  readonly toElement: number;
  /** Whether LARS gives it a rate of its own and decays it. */
  readonly isAdapted: boolean;
}

/** Byte offsets and the padded length, as the applier threads need them. */
export interface CenterLayout {
  /** Without the padding. */
  readonly elements: number;
  readonly paddedElements: number;
  /** What a step moves by learning rate and momentum; running statistics follow (SPEC E9). */
  readonly trainableElements: number;
  /** Of the trained part, in order. */
  readonly tensors: readonly TensorRange[];
  readonly center: number;
  readonly velocity: number;
  /** Pseudo-gradients since delayed Nesterov last moved its momentum. */
  readonly accumulator: number;
}

export class CenterMemory {
  readonly memory: WasmMemory;
  readonly layout: CenterLayout;
  readonly elements: number;
  readonly #areaStrideBytes: number;
  readonly #free: number[] = [];
  /** First byte behind the last area. */
  #end: number;

  /** `trainableElements`: a multiple of 16, or all. */
  constructor(shape: CenterShape) {
    const { elements, trainableElements } = shape;
    const paddedElements = wholeLinesOf(elements);
    this.elements = elements;
    const vectorBytes = paddedElements * 4;
    this.#areaStrideBytes = wholePagesOf(vectorBytes);
    this.layout = {
      elements,
      paddedElements,
      trainableElements: trainableElements === elements ? paddedElements : trainableElements,
      tensors: trainedRanges(shape),
      center: CONTROL_BYTES,
      velocity: CONTROL_BYTES + vectorBytes,
      accumulator: CONTROL_BYTES + 2 * vectorBytes,
    };
    this.#end = wholePagesOf(CONTROL_BYTES + 3 * vectorBytes) + AREA_OFFSET_BYTES;
    const initial = Math.ceil(this.#end / WASM_PAGE_BYTES);
    if (initial > MAXIMUM_PAGES) {
      throw new Error(`A center of ${elements} parameters does not fit into 4 GiB: train a smaller model.`);
    }
    this.memory = new webAssembly.Memory({ initial, maximum: MAXIMUM_PAGES, shared: true });
  }

  /**
   * An area that nobody holds. What it contains is what its last holder left; its padding is zero. It has room for any codec's
   * words of the whole layout, too.
   */
  takeArea(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const area = this.#end;
    this.#growTo(area + this.#areaStrideBytes);
    this.#end = area + this.#areaStrideBytes;
    return area;
  }

  returnArea(area: number): void {
    if (this.#free.includes(area)) throw new Error("invariant violation: an area was returned twice");
    // Encoded words may have been where the padding is.
    const { elements, paddedElements } = this.layout;
    new Float32Array(this.memory.buffer, area, paddedElements).fill(0, elements);
    this.#free.push(area);
  }

  /** A view of the vector at `offset`, made anew each time because views do not follow the memory's growth. */
  values(offset: number): Float32Array<SharedArrayBuffer> {
    return new Float32Array(this.memory.buffer, offset, this.elements);
  }

  bytes(offset: number): Uint8Array<SharedArrayBuffer> {
    return new Uint8Array(this.memory.buffer, offset, this.elements * 4);
  }

  /** What lies at `offset`, anywhere in an area. */
  room(offset: number, bytes: number): Uint8Array<SharedArrayBuffer> {
    return new Uint8Array(this.memory.buffer, offset, bytes);
  }

  #growTo(endBytes: number): void {
    const missingBytes = endBytes - this.memory.buffer.byteLength;
    if (missingBytes <= 0) return;
    try {
      this.memory.grow(Math.ceil(missingBytes / WASM_PAGE_BYTES));
    } catch (cause) {
      throw new Error(
        `No memory is left for another replica's copy of ${this.elements} parameters (4 GiB are addressable): ` +
          "admit fewer replicas or train a smaller model.",
        { cause },
      );
    }
  }
}

function trainedRanges({ tensors, trainableElements }: CenterShape): readonly TensorRange[] {
  return tensors
    .filter(({ offset }) => offset < trainableElements)
    .map((tensor) => ({
      fromElement: tensor.offset,
      toElement: wholeLinesOf(tensor.offset + tensor.elements),
      isAdapted: isAdapted(tensor),
    }));
}

function wholeLinesOf(elements: number): number {
  return Math.ceil(elements / LINE_ELEMENTS) * LINE_ELEMENTS;
}

function wholePagesOf(bytes: number): number {
  return Math.ceil(bytes / CPU_PAGE_BYTES) * CPU_PAGE_BYTES;
}
