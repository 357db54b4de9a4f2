/** What a product calculates with, and the space that it borrows: the words that all algorithms share. */

import { activationCode, type FusedActivation } from "../../activation.ts";
import type { WindowGeometry } from "../../operation.ts";
import type { Product } from "../choice/candidate.ts";
import type { Constants, Dispatch } from "../dispatch.ts";

/** The buffers of one product, and what happens to its sums on their way out. */
export interface ProductOperands {
  /** The layer's. */
  readonly name: string;
  /** The layer's input; in a data gradient the gradient at its output. */
  readonly source: GPUBufferBinding;
  /** The layer's weights; in a filter gradient the gradient at its output. */
  readonly factor: GPUBufferBinding;
  /** Forward only. */
  readonly bias: GPUBufferBinding | undefined;
  /** Forward: applied to the sums. Data gradient: undone, together with `undone`. */
  readonly activation: FusedActivation | undefined;
  /** The output of the layer before, from which its activation's derivative follows; data gradient only. */
  readonly undone: GPUBufferBinding | undefined;
  /** Data gradient: adds to the target. */
  readonly accumulate: boolean;
  /** Where the sums go; in a filter gradient the gradients of all parameters. */
  readonly target: GPUBufferBinding;
  /** Filter gradient: where in the target weights and bias (if there is one) begin, in elements. */
  readonly offsets: { readonly weights: number; readonly bias: number | undefined };
  readonly scratch: ScratchBuffers;
}

/** A launch may not read and write one buffer, so what goes into a product and what comes out of it lie in two. */
export interface ScratchBuffers {
  /** Lowered operands. */
  readonly lowered: GPUBuffer;
  /** Products before they are lifted or added. */
  readonly products: GPUBuffer;
}

/** Words of each. */
export type ScratchElements = Readonly<Record<keyof ScratchBuffers, number>>;

export const NO_SCRATCH: ScratchElements = { lowered: 0, products: 0 };

/** Launches, and the scratch memory that they use. */
export interface Launched {
  readonly dispatches: Dispatch[];
  readonly scratch: ScratchElements;
}

/** Hands out the scratch buffers piece by piece. */
export class Scratch {
  readonly #buffers: ScratchBuffers;
  readonly #elements = { lowered: 0, products: 0 };

  constructor(buffers: ScratchBuffers) {
    this.#buffers = buffers;
  }

  get elements(): ScratchElements {
    return { ...this.#elements };
  }

  /** A piece of `elements` words, begun where a binding may begin. */
  take(which: keyof ScratchBuffers, elements: number): GPUBufferBinding {
    const offset = this.#elements[which] * 4;
    this.#elements[which] += Math.ceil(elements / BINDING_ELEMENTS) * BINDING_ELEMENTS;
    return { buffer: this.#buffers[which], offset, size: elements * 4 };
  }
}

/** WebGPU's default `minStorageBufferOffsetAlignment`, in words. */
const BINDING_ELEMENTS = 64;

/** The same range seen as vectors of 4, its last words included: buffers are padded to whole vectors. */
export function wholeVectors({ buffer, offset = 0, size = 0 }: GPUBufferBinding): GPUBufferBinding {
  return { buffer, offset, size: Math.ceil(size / 16) * 16 };
}

/** `images` of the images of a tensor, from `first` on. */
export function imagesOf(tensor: GPUBufferBinding, elements: number, first: number, images: number): GPUBufferBinding {
  const { buffer, offset = 0 } = tensor;
  return { buffer, offset: offset + first * elements * 4, size: images * elements * 4 };
}

/**
 * A forward pass or a data gradient as the convolution that it is: a data gradient convolves the output gradient with the
 * filter turned round, and what was stride becomes upsampling.
 */
export interface View extends WindowGeometry {
  readonly upsampling: number;
  /** The weights are the forward pass's, to be read with taps in reverse and channels swapped. */
  readonly transposed: boolean;
}

export function viewOf({ pass, window }: Product): View {
  if (pass !== "data-gradient") return { ...window, upsampling: 1, transposed: false };
  const { input, output, size, stride, padding, dilation } = window;
  return {
    ...window,
    input: output,
    output: input,
    stride: 1,
    padding: dilation * (size - 1) - padding,
    upsampling: stride,
    transposed: true,
  };
}

/** The shape of a window as `convolve` and its like take it. */
export function windowConstants(window: WindowGeometry): Constants {
  const { input, output, size, stride, padding, dilation, groups } = window;
  return {
    OUT_HEIGHT: output.height,
    OUT_WIDTH: output.width,
    IN_HEIGHT: input.height,
    IN_WIDTH: input.width,
    IN_CHANNELS: input.channels,
    OUT_CHANNELS: output.channels,
    SIZE: size,
    STRIDE: stride,
    PADDING: padding,
    DILATION: dilation,
    GROUPS: groups,
  };
}

/** What happens to a sum on its way out. */
export function epilogueConstants(transposed: boolean, operands: ProductOperands): Constants {
  const { activation, undone, accumulate, bias } = operands;
  const code = activationCode(activation);
  return {
    ACTIVATION: transposed ? 0 : code,
    UNDO: transposed && undone ? code : 0,
    SLOPE: activation?.slope ?? 0,
    ACCUMULATE: accumulate ? 1 : 0,
    BIAS: bias ? 1 : 0,
  };
}

/** Sums that go out as they are. */
export const NO_EPILOGUE: Constants = { ACTIVATION: 0, UNDO: 0, SLOPE: 0, ACCUMULATE: 0, BIAS: 0 };

function onePixel(channels: number): WindowGeometry["input"] {
  return { height: 1, width: 1, channels };
}

/** A dense product as a window: `batch` images of one pixel. */
export function denseWindow(shape: { batch: number; inputs: number; units: number }): WindowGeometry {
  return {
    batch: shape.batch,
    input: onePixel(shape.inputs),
    output: onePixel(shape.units),
    size: 1,
    stride: 1,
    padding: 0,
    dilation: 1,
    groups: 1,
  };
}
