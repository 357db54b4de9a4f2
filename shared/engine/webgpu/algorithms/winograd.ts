/**
 * Winograd's F(2x2, 3x3) (Lavin and Gray 2016): four pixels of output by 16 products for 36, as 16 GEMMs between transformed
 * operands. `images` at once bound the memory. Forward passes and data gradients of stride 1.
 */

import type { Candidate, Product } from "../choice/candidate.ts";
import { elementwise, type Dispatch } from "../dispatch.ts";
import { convolution } from "./implicit.ts";
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

/** Products of a tile. */
const POINTS = 16;

export function isWinograd(product: Product): boolean {
  const { size, stride, dilation, upsampling, groups } = viewOf(product);
  return product.pass !== "filter-gradient" && size === 3 && stride === 1 && dilation * upsampling * groups === 1;
}

function tilesOf({ output }: View): { readonly TILES_Y: number; readonly TILES_X: number } {
  return { TILES_Y: Math.ceil(output.height / 2), TILES_X: Math.ceil(output.width / 2) };
}

/** Words that the transformed input and the products of one image take. */
export function winogradElements(view: View): number {
  const { TILES_Y, TILES_X } = tilesOf(view);
  return POINTS * TILES_Y * TILES_X * (view.input.channels + view.output.channels);
}

export function winogradConvolution(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const view = viewOf(product);
  const { input, output, batch } = view;
  const scratch = new Scratch(operands.scratch);
  const { TILES_Y, TILES_X } = tilesOf(view);
  const images = Math.min(candidate.images, batch);
  const weightElements = input.channels * output.channels;
  const tiles = images * TILES_Y * TILES_X;
  const buffers: WinogradBuffers = {
    weights: alignedPieces(scratch, "lowered", weightElements),
    transformed: alignedPieces(scratch, "lowered", tiles * input.channels),
    products: alignedPieces(scratch, "products", tiles * output.channels),
  };
  const constants = {
    IN_CHANNELS: input.channels,
    OUT_CHANNELS: output.channels,
    TRANSPOSED: view.transposed ? 1 : 0,
  };
  const bindings = [operands.factor, buffers.weights.whole];
  const dispatches = [
    elementwise(`${operands.name}, weights`, "winograd_weights", weightElements, constants, bindings),
  ];
  for (let first = 0; first < batch; first += images) {
    const count = Math.min(images, batch - first);
    dispatches.push(...winogradPart(view, candidate, operands, buffers, first, count));
  }
  return { dispatches, scratch: scratch.elements };
}

/** Sixteen matrices side by side, and the whole that they are. */
interface Pieces {
  readonly whole: GPUBufferBinding;
  readonly at: (point: number, elements: number) => GPUBufferBinding;
}

interface WinogradBuffers {
  readonly weights: Pieces;
  readonly transformed: Pieces;
  readonly products: Pieces;
}

function alignedPieces(scratch: Scratch, which: "lowered" | "products", elements: number): Pieces {
  const whole = scratch.take(which, POINTS * elements);
  return { whole, at: (point, used) => imagesOf(whole, used, point, 1) };
}

function winogradPart(
  view: View,
  { tile }: Candidate,
  operands: ProductOperands,
  { weights, transformed, products }: WinogradBuffers,
  first: number,
  images: number,
): Dispatch[] {
  const { input, output } = view;
  const { TILES_Y, TILES_X } = tilesOf(view);
  const tiles = images * TILES_Y * TILES_X;
  const { name, bias, undone } = operands;
  const inputElements = input.height * input.width * input.channels;
  const outputElements = output.height * output.width * output.channels;
  const source = imagesOf(operands.source, inputElements, first, images);
  const target = imagesOf(operands.target, outputElements, first, images);
  const shape = { BATCH: images, TILES_Y, TILES_X };
  const lowering = elementwise(
    `${name}, input`,
    "winograd_input",
    tiles * Math.ceil(input.channels / 4),
    { ...shape, IN_HEIGHT: input.height, IN_WIDTH: input.width, CHANNELS: input.channels, PADDING: view.padding },
    [source, wholeVectors(source), transformed.whole],
  );
  const dense = denseWindow({ batch: tiles, inputs: input.channels, units: output.channels });
  const gemm: View = { ...dense, upsampling: 1, transposed: false };
  const gemms = Array.from({ length: POINTS }, (_, point) =>
    convolution(`${name}, product ${point}`, gemm, tile, NO_EPILOGUE, {
      input: transformed.at(point, tiles * input.channels),
      weights: weights.at(point, input.channels * output.channels),
      output: products.at(point, tiles * output.channels),
    }),
  );
  const lifting = elementwise(
    `${name}, output`,
    "winograd_output",
    tiles * output.channels,
    {
      ...shape,
      ...epilogueConstants(view.transposed, operands),
      OUT_HEIGHT: output.height,
      OUT_WIDTH: output.width,
      CHANNELS: output.channels,
    },
    [products.whole, bias ?? products.whole, undone ? imagesOf(undone, outputElements, first, images) : source, target],
  );
  return [lowering, ...gemms, lifting];
}

/** Whether every matrix begins where a binding may begin. */
export function isAligned(view: View, images: number): boolean {
  const { TILES_Y, TILES_X } = tilesOf(view);
  const { input, output, batch } = view;
  const last = batch % images === 0 ? images : batch % images;
  return (
    [images, last].every((count) =>
      [count * TILES_Y * TILES_X * input.channels, count * TILES_Y * TILES_X * output.channels].every(
        (elements) => elements % 64 === 0,
      ),
    ) && (input.channels * output.channels) % 64 === 0
  );
}
