/**
 * Caffe con Troll's three lowerings: a convolution as lowering, one GEMM and lifting, for `images` images at once. Type 1
 * stores whole windows and lifts nothing; type 2 stores their rows and sums over rows; type 3 stores nothing and sums
 * over all taps. A data gradient is lowered as the convolution that it is.
 */

import type { Algorithm, Candidate, Product } from "../choice/candidate.ts";
import { withBatch } from "../choice/shape.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import { convolution, filterProduct } from "./implicit.ts";
import { biasPartials, sumOfPartials } from "./partials.ts";
import {
  denseWindow,
  epilogueConstants,
  imagesOf,
  NO_EPILOGUE,
  Scratch,
  viewOf,
  wholeVectors,
  type Launched,
  type ProductOperands,
  type View,
} from "./operands.ts";

/** Which axes a lowering writes out; the others are lifted. */
interface Axes {
  readonly lowersY: boolean;
  readonly lowersX: boolean;
}

export function axesOf(algorithm: Algorithm): Axes {
  return { lowersY: algorithm === "lowering-1", lowersX: algorithm !== "lowering-3" };
}

/** The sizes that a lowered convolution of one image has. */
interface LoweredSizes {
  /** Taps that are lowered, and taps that are lifted. */
  readonly inner: number;
  readonly outer: number;
  /** Rows of the GEMM per image. */
  readonly height: number;
  readonly width: number;
  /** Columns of the lowered matrix, and of the product. */
  readonly depth: number;
  readonly units: number;
  /** Whether anything is written out before the product, and summed after it. */
  readonly isLowered: boolean;
  readonly isLifted: boolean;
}

export function loweredSizes(view: View, { lowersY, lowersX }: Axes): LoweredSizes {
  const { input, output, size } = view;
  const inner = (lowersY ? size : 1) * (lowersX ? size : 1);
  const outer = (size * size) / inner;
  const isPlain = size === 1 && view.stride === 1 && view.upsampling === 1 && view.padding === 0;
  return {
    isLowered: !isPlain && (lowersY || lowersX),
    isLifted: !isPlain && !(lowersY && lowersX),
    inner,
    outer,
    height: lowersY ? output.height : input.height,
    width: lowersX ? output.width : input.width,
    depth: inner * input.channels,
    units: outer * output.channels,
  };
}

/** Words that a lowered convolution of one image writes and reads again. */
export function loweredElements(view: View, axes: Axes): number {
  const { isLowered, isLifted, height, width, depth, units } = loweredSizes(view, axes);
  return height * width * ((isLowered ? depth : 0) + (isLifted ? units : 0));
}

export function loweredConvolution(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const view = viewOf(product);
  const axes = axesOf(candidate.algorithm);
  const sizes = loweredSizes(view, axes);
  const scratch = new Scratch(operands.scratch);
  const images = Math.min(candidate.images, view.batch);
  const pixels = sizes.height * sizes.width;
  const dispatches: Dispatch[] = [];
  let weights = operands.factor;
  if (!liesAsWanted(view, sizes)) {
    weights = scratch.take("lowered", sizes.depth * sizes.units);
    dispatches.push(turnedWeights(view, sizes, operands, weights));
  }
  const buffers = {
    lowered: sizes.isLowered ? scratch.take("lowered", images * pixels * sizes.depth) : undefined,
    product: sizes.isLifted ? scratch.take("products", images * pixels * sizes.units) : undefined,
  };
  for (let first = 0; first < view.batch; first += images) {
    const part = partOf(view, operands, first, Math.min(images, view.batch - first));
    dispatches.push(...loweredPart(part, axes, sizes, candidate, weights, buffers));
  }
  return { dispatches, scratch: scratch.elements };
}

/** With all taps lifted, the forward pass's weights are the transposed matrix as they lie. */
function isTransposedGemm(view: View, { inner }: LoweredSizes): boolean {
  return view.transposed && inner === 1;
}

/** Whether the forward pass's weights are the matrix of the product, as it stands or transposed. */
function liesAsWanted(view: View, sizes: LoweredSizes): boolean {
  return view.transposed ? isTransposedGemm(view, sizes) : sizes.outer === 1;
}

function turnedWeights(
  view: View,
  { inner, outer, depth, units }: LoweredSizes,
  { name, factor }: ProductOperands,
  turned: GPUBufferBinding,
): Dispatch {
  const constants = {
    INNER: inner,
    OUTER: outer,
    IN_CHANNELS: view.input.channels,
    OUT_CHANNELS: view.output.channels,
    TRANSPOSED: view.transposed ? 1 : 0,
  };
  return elementwise(`${name}, weights`, "turn_weights", depth * units, constants, [factor, turned]);
}

/** A view of some images, with their part of every tensor. */
interface Part {
  readonly view: View;
  readonly operands: ProductOperands;
}

function partOf(view: View, operands: ProductOperands, first: number, images: number): Part {
  const { input, output } = view;
  const inputElements = input.height * input.width * input.channels;
  const outputElements = output.height * output.width * output.channels;
  return {
    view: { ...view, ...withBatch(view, images) },
    operands: {
      ...operands,
      source: imagesOf(operands.source, inputElements, first, images),
      target: imagesOf(operands.target, outputElements, first, images),
      undone: operands.undone && imagesOf(operands.undone, outputElements, first, images),
    },
  };
}

interface LoweredBuffers {
  readonly lowered: GPUBufferBinding | undefined;
  readonly product: GPUBufferBinding | undefined;
}

function loweredPart(
  { view, operands }: Part,
  axes: Axes,
  sizes: LoweredSizes,
  { tile }: Candidate,
  weights: GPUBufferBinding,
  buffers: LoweredBuffers,
): Dispatch[] {
  const { name, source, target, bias, undone } = operands;
  const rows = view.batch * sizes.height * sizes.width;
  const dispatches: Dispatch[] = [];
  const lowered = buffers.lowered && firstOf(buffers.lowered, rows * sizes.depth);
  if (lowered) dispatches.push(lowering(`${name}, lower`, view, axes, source, lowered));
  const output = buffers.product && firstOf(buffers.product, rows * sizes.units);
  const epilogue = epilogueConstants(view.transposed, operands);
  const dense = denseWindow({ batch: rows, inputs: sizes.depth, units: sizes.units });
  const gemm: View = { ...dense, upsampling: 1, transposed: isTransposedGemm(view, sizes) };
  dispatches.push(
    convolution(`${name}, product`, gemm, tile, output ? NO_EPILOGUE : epilogue, {
      input: lowered ?? source,
      weights,
      bias: output ? undefined : bias,
      undone: output ? undefined : undone,
      output: output ?? target,
    }),
  );
  if (!output) return dispatches;
  const constants = {
    ...axisConstants(view, !axes.lowersY, !axes.lowersX),
    ...epilogue,
    IMAGES: view.batch,
    CHANNELS: view.output.channels,
    IN_HEIGHT: sizes.height,
    IN_WIDTH: sizes.width,
    OUT_HEIGHT: view.output.height,
    OUT_WIDTH: view.output.width,
    REVERSED: isTransposedGemm(view, sizes) ? 1 : 0,
  };
  const bindings = [output, wholeVectors(output), bias ?? weights, undone ?? output, target];
  const items = view.batch * view.output.height * view.output.width * Math.ceil(view.output.channels / 4);
  return [...dispatches, elementwise(`${name}, lift`, "lift", items, constants, bindings)];
}

function firstOf({ buffer, offset = 0 }: GPUBufferBinding, elements: number): GPUBufferBinding {
  return { buffer, offset, size: elements * 4 };
}

/** An axis that takes part has the view's taps; one that does not is left as it is. */
function axisConstants(view: View, hasY: boolean, hasX: boolean): Constants {
  const { size, stride, padding, dilation, upsampling } = view;
  const axis = (name: "Y" | "X", takesPart: boolean): Constants => ({
    [`TAPS_${name}`]: takesPart ? size : 1,
    [`STRIDE_${name}`]: takesPart ? stride : 1,
    [`PADDING_${name}`]: takesPart ? padding : 0,
    [`DILATION_${name}`]: takesPart ? dilation : 1,
    [`UPSAMPLING_${name}`]: takesPart ? upsampling : 1,
  });
  return { ...axis("Y", hasY), ...axis("X", hasX) };
}

function lowering(name: string, view: View, axes: Axes, source: GPUBufferBinding, lowered: GPUBufferBinding): Dispatch {
  const { inner, height, width } = loweredSizes(view, axes);
  const { channels } = view.input;
  const constants = {
    ...axisConstants(view, axes.lowersY, axes.lowersX),
    IMAGES: view.batch,
    CHANNELS: channels,
    IN_HEIGHT: view.input.height,
    IN_WIDTH: view.input.width,
    OUT_HEIGHT: height,
    OUT_WIDTH: width,
  };
  const items = view.batch * height * width * inner * Math.ceil(channels / 4);
  return elementwise(name, "lower", items, constants, [source, wholeVectors(source), lowered]);
}

/**
 * The filter gradient of a lowered convolution: the taps that the type lowers are written out of the input, those that it
 * lifts out of the output gradient, and the product of both is the gradient of the turned weights.
 */
export function loweredFilterGradient(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const { window } = product;
  const axes = axesOf(candidate.algorithm);
  const forward = viewOf({ pass: "forward", window });
  const backward = viewOf({ pass: "data-gradient", window });
  const sizes = loweredSizes(forward, axes);
  const scratch = new Scratch(operands.scratch);
  const images = Math.min(candidate.images, window.batch);
  const pixels = sizes.height * sizes.width;
  const hasBias = operands.offsets.bias !== undefined;
  // With no taps lifted the product's own last row is the bias's gradient.
  const biasRow = hasBias && !sizes.isLifted;
  const weights = sizes.depth * sizes.units;
  const stride = weights + (hasBias ? window.output.channels : 0);
  const copies = Math.ceil(window.batch / images) * candidate.splits;
  const lowered = sizes.isLowered ? scratch.take("lowered", images * pixels * sizes.depth) : undefined;
  const spread = sizes.isLifted ? scratch.take("lowered", images * pixels * sizes.units) : undefined;
  const partials = scratch.take("products", copies * stride);
  const dispatches: Dispatch[] = [];
  for (let first = 0, copy = 0; first < window.batch; first += images, copy += candidate.splits) {
    const count = Math.min(images, window.batch - first);
    const rows = count * pixels;
    const input = imagesOf(operands.source, elementsOf(window.input), first, count);
    const gradient = imagesOf(operands.factor, elementsOf(window.output), first, count);
    const { name } = operands;
    const matrix = lowered && firstOf(lowered, rows * sizes.depth);
    if (matrix) dispatches.push(lowering(`${name}, lower`, { ...forward, batch: count }, axes, input, matrix));
    const spreadPart = spread && firstOf(spread, rows * sizes.units);
    if (spreadPart) {
      const others = { lowersY: !axes.lowersY, lowersX: !axes.lowersX };
      dispatches.push(lowering(`${name}, spread`, { ...backward, batch: count }, others, gradient, spreadPart));
    }
    const dense = denseWindow({ batch: rows, inputs: sizes.depth, units: sizes.units });
    const target = { WEIGHTS_OFFSET: copy * stride, BIAS_OFFSET: copy * stride + weights, SPLIT_ELEMENTS: stride };
    dispatches.push(
      filterProduct(`${name}, product`, dense, candidate, biasRow, target, {
        input: matrix ?? input,
        outputGradient: spreadPart ?? gradient,
        gradients: partials,
      }),
    );
    if (hasBias && !biasRow) {
      dispatches.push(
        biasPartials(`${name}, bias`, window.output.channels, gradient, partials, target, candidate.splits),
      );
    }
  }
  const sum = sumOfPartials(operands, partials, {
    SPLITS: copies,
    STRIDE: stride,
    INNER: sizes.inner,
    OUTER: sizes.outer,
    IN_CHANNELS: window.input.channels,
    OUT_CHANNELS: window.output.channels,
    BIAS_PARTIALS: weights,
  });
  return { dispatches: [...dispatches, sum], scratch: scratch.elements };
}

function elementsOf({ height, width, channels }: { height: number; width: number; channels: number }): number {
  return height * width * channels;
}
