/** Implicit GEMM: windows and pixels are addressed where they lie, and nothing is lowered. */

import type { Candidate, Product, Tile } from "../choice/candidate.ts";
import { chunkOf, depthOf, outputPixels } from "../choice/shape.ts";
import { MAX_WORKGROUPS, type Constants, type Dispatch } from "../dispatch.ts";
import type { WindowGeometry } from "../../operation.ts";
import { sumOfPartials } from "./partials.ts";
import {
  epilogueConstants,
  NO_SCRATCH,
  Scratch,
  viewOf,
  wholeVectors,
  windowConstants,
  type Launched,
  type ProductOperands,
  type View,
} from "./operands.ts";

export function tileConstants({ rows, columns, invocations }: Tile): Constants {
  return { ROWS: rows, COLUMNS: columns, INVOCATIONS: invocations };
}

export function implicitConvolution(product: Product, { tile }: Candidate, operands: ProductOperands): Launched {
  const view = viewOf(product);
  const { source, factor, bias, undone, target } = operands;
  const dispatch = convolution(operands.name, view, tile, epilogueConstants(view.transposed, operands), {
    input: source,
    weights: factor,
    bias,
    undone,
    output: target,
  });
  return { dispatches: [dispatch], scratch: NO_SCRATCH };
}

interface ConvolutionBuffers {
  readonly input: GPUBufferBinding;
  readonly weights: GPUBufferBinding;
  readonly bias?: GPUBufferBinding | undefined;
  readonly undone?: GPUBufferBinding | undefined;
  readonly output: GPUBufferBinding;
}

export function convolution(
  name: string,
  view: View,
  tile: Tile,
  epilogue: Constants,
  { input, weights, bias, undone, output }: ConvolutionBuffers,
): Dispatch {
  const pixels = outputPixels(view);
  const { groups } = view;
  const isQuads = tile.variant === "quads";
  const workgroups = Math.ceil(pixels / (4 * tile.columns * tile.invocations));
  // A dimension is bounded, so the last one takes what is too much for the first.
  const layers = Math.ceil(workgroups / MAX_WORKGROUPS);
  return {
    name,
    shader: isQuads ? "convolve_quads" : "convolve",
    constants: {
      ...windowConstants(view),
      ...tileConstants(tile),
      ...epilogue,
      PIXELS: pixels,
      UPSAMPLING: view.upsampling,
      TRANSPOSED: view.transposed ? 1 : 0,
    },
    // A binding that a flag turns off still needs a buffer.
    bindings: [input, ...(isQuads ? [] : [wholeVectors(input)]), weights, bias ?? weights, undone ?? input, output],
    workgroups: [Math.ceil(workgroups / layers), groups * Math.ceil(view.output.channels / groups / tile.rows), layers],
  };
}

export function implicitFilterGradient(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const { window } = product;
  const { offsets, source, factor, target } = operands;
  const { channels } = window.output;
  const weights = depthOf(window) * channels;
  const elements = weights + (offsets.bias === undefined ? 0 : channels);
  if (candidate.splits === 1) {
    const toTarget = { WEIGHTS_OFFSET: offsets.weights, BIAS_OFFSET: offsets.bias ?? 0 };
    const dispatch = filterProduct(operands.name, window, candidate, offsets.bias !== undefined, toTarget, {
      input: source,
      outputGradient: factor,
      gradients: target,
    });
    return { dispatches: [dispatch], scratch: NO_SCRATCH };
  }
  const scratch = new Scratch(operands.scratch);
  const partials = scratch.take("products", candidate.splits * elements);
  const inScratch = { WEIGHTS_OFFSET: 0, BIAS_OFFSET: weights, SPLIT_ELEMENTS: elements };
  const dispatch = filterProduct(operands.name, window, candidate, offsets.bias !== undefined, inScratch, {
    input: source,
    outputGradient: factor,
    gradients: partials,
  });
  const sum = sumOfPartials(operands, partials, {
    SPLITS: candidate.splits,
    STRIDE: elements,
    IN_CHANNELS: depthOf(window),
    OUT_CHANNELS: channels,
    BIAS_PARTIALS: weights,
  });
  return { dispatches: [dispatch, sum], scratch: scratch.elements };
}

interface FilterBuffers {
  readonly input: GPUBufferBinding;
  readonly outputGradient: GPUBufferBinding;
  readonly gradients: GPUBufferBinding;
}

export function filterProduct(
  name: string,
  window: WindowGeometry,
  { tile, splits }: Candidate,
  hasBias: boolean,
  target: Constants,
  { input, outputGradient, gradients }: FilterBuffers,
): Dispatch {
  const pixels = outputPixels(window);
  const { groups } = window;
  // The bias is one more row of weights.
  const rowsOfWeights = depthOf(window) + (hasBias ? 1 : 0);
  return {
    name,
    shader: tile.variant === "quads" ? "filter_gradient_quads" : "filter_gradient",
    constants: {
      ...windowConstants(window),
      ...tileConstants(tile),
      ...target,
      PIXELS: pixels,
      CHUNK: chunkOf(pixels, splits),
      SPLITS: splits,
      BIAS: hasBias ? 1 : 0,
    },
    bindings: [input, wholeVectors(input), outputGradient, gradients],
    workgroups: [
      Math.ceil(rowsOfWeights / (4 * tile.columns * tile.invocations)),
      groups * Math.ceil(window.output.channels / groups / tile.rows),
      splits,
    ],
  };
}
