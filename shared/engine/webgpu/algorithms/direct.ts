/** Direct convolution: strips of neighbouring pixels in registers, which all taps of a row of the filter share. */

import type { WindowGeometry } from "../../operation.ts";
import type { Candidate, Product, Tile } from "../choice/candidate.ts";
import { depthOf } from "../choice/shape.ts";
import { MAX_WORKGROUPS, type Constants, type Dispatch } from "../dispatch.ts";
import { tileConstants } from "./implicit.ts";
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
import { sumOfPartials } from "./partials.ts";

/** Pixels of a row that an invocation has. */
const STRIP = 8;

/** The most input channels that an invocation of the filter gradient keeps, by the taps of a side. */
export const MOST_FILTER_ROWS: Readonly<Record<number, number>> = { 3: 16, 5: 8 };

/** Whether there is a direct kernel for a product. */
export function isDirect(product: Product): boolean {
  const { size, stride, dilation, upsampling } = viewOf(product);
  return (size === 3 || size === 5) && stride <= 2 && dilation === 1 && upsampling === 1;
}

function shapeConstants(window: WindowGeometry): Constants {
  const { SIZE: _, DILATION: __, ...rest } = windowConstants(window);
  return { ...rest, BATCH: window.batch };
}

function shaderName(name: string, { size }: WindowGeometry, { variant }: Tile): string {
  return `${name}${size}${variant === "quads" ? "_quads" : ""}`;
}

export function directConvolution(product: Product, { tile }: Candidate, operands: ProductOperands): Launched {
  const view: View = viewOf(product);
  const { source, factor, bias, undone, target } = operands;
  const { batch, output, groups } = view;
  const { COLUMNS: _, ...tileSize } = tileConstants(tile);
  const workgroups = Math.ceil((batch * output.height * Math.ceil(output.width / STRIP)) / tile.invocations);
  const layers = Math.ceil(workgroups / MAX_WORKGROUPS);
  const dispatch: Dispatch = {
    name: operands.name,
    shader: shaderName("direct", view, tile),
    constants: {
      ...shapeConstants(view),
      ...tileSize,
      ...epilogueConstants(view.transposed, operands),
      TRANSPOSED: view.transposed ? 1 : 0,
    },
    bindings: [source, factor, bias ?? factor, undone ?? source, target],
    workgroups: [Math.ceil(workgroups / layers), groups * Math.ceil(output.channels / groups / tile.rows), layers],
  };
  return { dispatches: [dispatch], scratch: NO_SCRATCH };
}

export function directFilterGradient(
  { window }: Product,
  { tile, splits }: Candidate,
  operands: ProductOperands,
): Launched {
  const { name, source, factor, target, offsets } = operands;
  const { channels } = window.output;
  const weights = depthOf(window) * channels;
  const hasBias = offsets.bias !== undefined;
  const elements = weights + (hasBias ? channels : 0);
  const scratch = new Scratch(operands.scratch);
  const isSplit = splits > 1;
  const gradients = isSplit ? scratch.take("products", splits * elements) : target;
  const places = isSplit
    ? { WEIGHTS_OFFSET: 0, BIAS_OFFSET: weights }
    : { WEIGHTS_OFFSET: offsets.weights, BIAS_OFFSET: offsets.bias ?? 0 };
  const { groups, size, input } = window;
  const dispatch: Dispatch = {
    name,
    shader: shaderName("direct_filter", window, tile),
    constants: {
      ...shapeConstants(window),
      ...tileConstants(tile),
      ...places,
      SPLIT_ELEMENTS: elements,
      BIAS: hasBias ? 1 : 0,
      CHUNK: Math.ceil((window.batch * window.output.height) / splits),
    },
    bindings: [source, factor, wholeVectors(factor), gradients],
    workgroups: [
      size * Math.ceil(input.channels / groups / tile.rows),
      groups * Math.ceil(channels / groups / (4 * tile.columns * tile.invocations)),
      splits,
    ],
  };
  if (!isSplit) return { dispatches: [dispatch], scratch: NO_SCRATCH };
  const sum = sumOfPartials(operands, gradients, {
    SPLITS: splits,
    STRIDE: elements,
    IN_CHANNELS: depthOf(window),
    OUT_CHANNELS: channels,
    BIAS_PARTIALS: weights,
  });
  return { dispatches: [dispatch, sum], scratch: scratch.elements };
}
