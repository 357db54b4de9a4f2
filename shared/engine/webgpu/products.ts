/**
 * The launches of operations with weights. A dense layer is a convolution whose images have one pixel, so the six passes
 * need two kernels: an implicit GEMM over windows (`convolve`), and one over pixels (`filter_gradient`).
 */

import type { ImageShape } from "../../model/model.ts";
import type { OperationOf, Undo, Weighted, WindowGeometry } from "../operation.ts";
import { elementwise, type Constants, type Dispatch } from "./dispatch.ts";
import { chooseSplit, chooseTile, isLowered, type DeviceTraits, type Tile } from "./kernel_choice.ts";
import type { PlanMemory } from "./memory.ts";

function onePixel(channels: number): ImageShape {
  return { height: 1, width: 1, channels };
}

/** A dense layer as a window over images of one pixel. */
export function denseWindow(shape: { batch: number; inputs: number; units: number }): WindowGeometry {
  const { batch, inputs, units } = shape;
  return {
    batch,
    input: onePixel(inputs),
    output: onePixel(units),
    size: 1,
    stride: 1,
    padding: 0,
    dilation: 1,
    groups: 1,
  };
}

function pixelsOf({ batch, output }: WindowGeometry): number {
  return batch * output.height * output.width;
}

/** Products that an output sums: k of the GEMM. */
function depthOf({ size, input }: WindowGeometry): number {
  return size * size * input.channels;
}

/** The constants of a window that convolve, filter_gradient and fold share. */
function windowConstants({ input, output, size, stride, padding }: WindowGeometry): Constants {
  return {
    OUT_HEIGHT: output.height,
    OUT_WIDTH: output.width,
    IN_HEIGHT: input.height,
    IN_WIDTH: input.width,
    IN_CHANNELS: input.channels,
    SIZE: size,
    STRIDE: stride,
    PADDING: padding,
  };
}

function tileConstants({ rows, columns, invocations }: Tile): Constants {
  return { ROWS: rows, COLUMNS: columns, INVOCATIONS: invocations };
}

/** The same range seen as vectors of 4, its last words included: buffers are padded to whole vectors. */
function wholeVectors({ buffer, offset = 0, size = 0 }: GPUBufferBinding): GPUBufferBinding {
  return { buffer, offset, size: Math.ceil(size / 16) * 16 };
}

export function maskOf(undo: Undo | undefined, memory: PlanMemory): GPUBufferBinding | undefined {
  return undo === undefined ? undefined : memory.tensor(undo.output);
}

interface Convolution {
  readonly name: string;
  readonly window: WindowGeometry;
  readonly flags: Constants;
  readonly input: GPUBufferBinding;
  readonly weights: GPUBufferBinding;
  readonly bias?: GPUBufferBinding;
  readonly mask?: GPUBufferBinding | undefined;
  readonly output: GPUBufferBinding;
}

function convolution(parts: Convolution, traits: DeviceTraits): Dispatch {
  const { name, window, flags, input, weights, bias, mask, output } = parts;
  const pixels = pixelsOf(window);
  const { channels } = window.output;
  const tile = chooseTile(traits, channels, pixels);
  return {
    name,
    shader: tile.variant === "quads" ? "convolve_quads" : "convolve",
    constants: {
      ...windowConstants(window),
      ...tileConstants(tile),
      ...flags,
      PIXELS: pixels,
      OUT_CHANNELS: channels,
      BIAS: bias ? 1 : 0,
      MASK: mask ? 1 : 0,
    },
    // A binding that a flag turns off still needs a buffer.
    bindings: [input, wholeVectors(input), weights, bias ?? weights, mask ?? input, output],
    workgroups: [Math.ceil(pixels / (4 * tile.columns * tile.invocations)), Math.ceil(channels / tile.rows), 1],
  };
}

type Forward = OperationOf<"convolve"> | OperationOf<"dense">;

export function forward(
  operation: Forward,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch {
  const parts: Convolution = {
    name: `${operation.name} forward`,
    window,
    flags: { RELU: operation.activation?.kind === "relu" ? 1 : 0 },
    input: memory.tensor(operation.input),
    weights: memory.parameter(operation.weights),
    ...(operation.bias ? { bias: memory.parameter(operation.bias) } : {}),
    output: memory.tensor(operation.output),
  };
  return convolution(parts, traits);
}

type DataGradient = OperationOf<"convolve-data-gradient"> | OperationOf<"dense-data-gradient">;

export function dataGradient(
  operation: DataGradient,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch[] {
  return isLowered(window)
    ? loweredDataGradient(operation, window, memory, traits)
    : [directDataGradient(operation, window, memory, traits)];
}

/** The convolution of the output gradient with the filter turned round: what was stride becomes upsampling. */
function directDataGradient(
  operation: DataGradient,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch {
  const { batch, input, output, size, stride, padding } = window;
  const parts: Convolution = {
    name: `${operation.name} data gradient`,
    window: {
      batch,
      input: output,
      output: input,
      size,
      stride: 1,
      padding: size - 1 - padding,
      dilation: 1,
      groups: 1,
    },
    flags: { TRANSPOSED: 1, UPSAMPLING: stride },
    input: memory.tensor(operation.outputGradient),
    weights: memory.parameter(operation.weights),
    mask: maskOf(operation.undo, memory),
    output: memory.tensor(operation.inputGradient),
  };
  return convolution(parts, traits);
}

/** A GEMM gives the gradient at every window's elements; folding adds those that are the same input. */
function loweredDataGradient(
  operation: DataGradient,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch[] {
  const columns = { buffer: memory.scratch, offset: 0, size: loweredElements(window) * 4 };
  const product: Convolution = {
    name: `${operation.name} data gradient, columns`,
    window: denseWindow({ batch: pixelsOf(window), inputs: window.output.channels, units: depthOf(window) }),
    flags: { TRANSPOSED: 1 },
    input: memory.tensor(operation.outputGradient),
    weights: memory.parameter(operation.weights),
    output: columns,
  };
  const pixels = window.batch * window.input.height * window.input.width;
  const mask = maskOf(operation.undo, memory);
  const fold = elementwise(
    `${operation.name} data gradient, fold`,
    "fold",
    pixels * Math.ceil(window.input.channels / 4),
    { ...windowConstants(window), PIXELS: pixels, MASK: mask ? 1 : 0 },
    [columns, wholeVectors(columns), mask ?? columns, memory.tensor(operation.inputGradient)],
  );
  return [convolution(product, traits), fold];
}

/** Words of the columns of a lowered data gradient; none where it is not lowered. */
export function loweredElements(window: WindowGeometry): number {
  return isLowered(window) ? pixelsOf(window) * depthOf(window) : 0;
}

/** Words of the copies that a split filter gradient writes; none where it writes the gradient itself. */
export function partialElements(window: WindowGeometry, traits: DeviceTraits): number {
  const { channels } = window.output;
  const rowsOfWeights = depthOf(window) + 1;
  const { splits } = chooseSplit(traits, channels, rowsOfWeights, pixelsOf(window));
  return splits === 1 ? 0 : splits * rowsOfWeights * channels;
}

type FilterGradient = OperationOf<"convolve-filter-gradient"> | OperationOf<"dense-filter-gradient">;

export function filterGradient(
  operation: FilterGradient,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch[] {
  const { channels } = window.output;
  const weightElements = depthOf(window) * channels;
  // The bias is one more row of weights.
  const { splits } = chooseSplit(traits, channels, depthOf(window) + 1, pixelsOf(window));
  const gradient = { buffer: memory.vectors.gradient };
  const target = { WEIGHTS_OFFSET: operation.weights.offset, BIAS_OFFSET: operation.bias?.offset ?? 0 };
  if (splits === 1) return [filterProduct(operation, window, memory, traits, target, gradient)];
  const elements = weightElements + channels;
  const partials = { buffer: memory.scratch, offset: 0, size: splits * elements * 4 };
  const inScratch = { WEIGHTS_OFFSET: 0, BIAS_OFFSET: weightElements };
  const sum = elementwise(
    `${operation.name} filter gradient, sum`,
    "sum_partials",
    elements,
    { ...target, SPLITS: splits, WEIGHTS: weightElements, CHANNELS: channels },
    [partials, gradient],
  );
  return [filterProduct(operation, window, memory, traits, inScratch, partials), sum];
}

function filterProduct(
  operation: FilterGradient & Weighted,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
  target: Constants,
  gradients: GPUBufferBinding,
): Dispatch {
  const { channels } = window.output;
  const rowsOfWeights = depthOf(window) + 1;
  const pixels = pixelsOf(window);
  const { chunk, splits } = chooseSplit(traits, channels, rowsOfWeights, pixels);
  const tile = chooseTile(traits, channels, rowsOfWeights, splits);
  const input = memory.tensor(operation.input);
  return {
    name: `${operation.name} filter gradient`,
    shader: tile.variant === "quads" ? "filter_gradient_quads" : "filter_gradient",
    constants: {
      ...windowConstants(window),
      ...tileConstants(tile),
      ...target,
      PIXELS: pixels,
      OUT_CHANNELS: channels,
      CHUNK: chunk,
      SPLIT_ELEMENTS: rowsOfWeights * channels,
    },
    bindings: [input, wholeVectors(input), memory.tensor(operation.outputGradient), gradients],
    workgroups: [
      Math.ceil(rowsOfWeights / (4 * tile.columns * tile.invocations)),
      Math.ceil(channels / tile.rows),
      splits,
    ],
  };
}
