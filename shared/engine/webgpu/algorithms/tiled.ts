/**
 * Implicit GEMM with tiles in workgroup memory, for real GPUs: f32, or operands in f16 with sums in f32. Software spends
 * longer on the barriers than on the product.
 */

import type { Candidate, Product } from "../choice/candidate.ts";
import { chunkOf, depthOf, outputPixels } from "../choice/shape.ts";
import { elementwise, MAX_WORKGROUPS, type Dispatch } from "../dispatch.ts";
import { tileConstants } from "./implicit.ts";
import {
  epilogueConstants,
  Scratch,
  viewOf,
  wholeVectors,
  windowConstants,
  type Launched,
  type ProductOperands,
} from "./operands.ts";
import { sumOfPartials } from "./partials.ts";

/** Invocations along each side of a workgroup. */
export const TILED_SIDE = 16;

/** Both operands as the kernel reads them, and what makes them so. */
interface Stored {
  readonly source: GPUBufferBinding;
  readonly factor: GPUBufferBinding;
  readonly dispatches: Dispatch[];
}

function stored({ storage }: Candidate, operands: ProductOperands, factorElements: number, scratch: Scratch): Stored {
  const { name, source, factor } = operands;
  if (storage === "f32") return { source: wholeVectors(source), factor: wholeVectors(factor), dispatches: [] };
  const dispatches: Dispatch[] = [];
  const half = (values: GPUBufferBinding, elements: number, what: string): GPUBufferBinding => {
    // Two f16 are one word.
    const words = Math.ceil(elements / 4) * 2;
    const target = scratch.take("lowered", words);
    dispatches.push(
      elementwise(`${name}, ${what} in f16`, "to_half", Math.ceil(elements / 4), { ELEMENTS: elements }, [
        values,
        target,
      ]),
    );
    return target;
  };
  const sourceHalf = half(source, (source.size ?? 0) / 4, "source");
  return { source: sourceHalf, factor: half(factor, factorElements, "factor"), dispatches };
}

function shaderName(name: string, { storage }: Candidate): string {
  return storage === "f16" ? `${name}_half` : name;
}

export function tiledConvolution(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const view = viewOf(product);
  const { tile } = candidate;
  const { bias, undone, target } = operands;
  const { groups, output } = view;
  const scratch = new Scratch(operands.scratch);
  const weights = (view.size * view.size * view.input.channels * output.channels) / groups;
  const { source, factor, dispatches } = stored(candidate, operands, weights, scratch);
  const pixels = outputPixels(view);
  const workgroups = Math.ceil(pixels / (TILED_SIDE * 4 * tile.columns));
  const layers = Math.ceil(workgroups / MAX_WORKGROUPS);
  const dispatch: Dispatch = {
    name: operands.name,
    shader: shaderName("tiled", candidate),
    constants: {
      ...windowConstants(view),
      ...tileConstants(tile),
      ...epilogueConstants(view.transposed, operands),
      PIXELS: pixels,
      UPSAMPLING: view.upsampling,
      TRANSPOSED: view.transposed ? 1 : 0,
    },
    bindings: [source, source, factor, factor, bias ?? operands.factor, undone ?? operands.source, target],
    workgroups: [
      Math.ceil(workgroups / layers),
      groups * Math.ceil(output.channels / groups / (TILED_SIDE * tile.rows)),
      layers,
    ],
  };
  return { dispatches: [...dispatches, dispatch], scratch: scratch.elements };
}

export function tiledFilterGradient(product: Product, candidate: Candidate, operands: ProductOperands): Launched {
  const { window } = product;
  const { tile, splits } = candidate;
  const { offsets, target } = operands;
  const { groups, output } = window;
  const { channels } = output;
  const hasBias = offsets.bias !== undefined;
  const weights = depthOf(window) * channels;
  const elements = weights + (hasBias ? channels : 0);
  const rowsOfWeights = depthOf(window) + (hasBias ? 1 : 0);
  const scratch = new Scratch(operands.scratch);
  const pixels = outputPixels(window);
  const { source, factor, dispatches } = stored(candidate, operands, pixels * channels, scratch);
  const isSplit = splits > 1;
  const gradients = isSplit ? scratch.take("products", splits * elements) : target;
  const dispatch: Dispatch = {
    name: operands.name,
    shader: shaderName("tiled_filter", candidate),
    constants: {
      ...windowConstants(window),
      ...tileConstants(tile),
      PIXELS: pixels,
      CHUNK: chunkOf(pixels, splits),
      SPLIT_ELEMENTS: elements,
      WEIGHTS_OFFSET: isSplit ? 0 : offsets.weights,
      BIAS_OFFSET: isSplit ? weights : (offsets.bias ?? 0),
      BIAS: hasBias ? 1 : 0,
    },
    bindings: [source, source, factor, factor, gradients],
    workgroups: [
      Math.ceil(rowsOfWeights / (TILED_SIDE * 4 * tile.columns)),
      groups * Math.ceil(channels / groups / (TILED_SIDE * tile.rows)),
      splits,
    ],
  };
  if (!isSplit) return { dispatches: [...dispatches, dispatch], scratch: scratch.elements };
  const sum = sumOfPartials(operands, gradients, {
    SPLITS: splits,
    STRIDE: elements,
    IN_CHANNELS: depthOf(window),
    OUT_CHANNELS: channels,
    BIAS_PARTIALS: weights,
  });
  return { dispatches: [...dispatches, dispatch, sum], scratch: scratch.elements };
}
