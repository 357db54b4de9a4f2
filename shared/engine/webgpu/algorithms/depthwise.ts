/** Depthwise convolution: as many groups as input channels, so there is no GEMM. */

import type { Candidate, Product } from "../choice/candidate.ts";
import { depthOf, outputPixels } from "../choice/shape.ts";
import { elementwise, type Constants } from "../dispatch.ts";
import {
  epilogueConstants,
  NO_SCRATCH,
  Scratch,
  viewOf,
  windowConstants,
  type Launched,
  type ProductOperands,
} from "./operands.ts";
import { sumOfPartials } from "./partials.ts";

export function isDepthwise({ window }: Product): boolean {
  return window.groups > 1 && window.groups === window.input.channels;
}

export function depthwiseConvolution(product: Product, operands: ProductOperands): Launched {
  const view = viewOf(product);
  const { name, source, factor, bias, undone, target } = operands;
  const { GROUPS: _, ...shape } = windowConstants(view);
  const constants: Constants = {
    ...shape,
    ...epilogueConstants(view.transposed, operands),
    BATCH: view.batch,
    UPSAMPLING: view.upsampling,
    TRANSPOSED: view.transposed ? 1 : 0,
  };
  const bindings = [source, factor, bias ?? factor, undone ?? source, target];
  const items = outputPixels(view) * Math.ceil(view.output.channels / 4);
  return { dispatches: [elementwise(name, "depthwise", items, constants, bindings)], scratch: NO_SCRATCH };
}

export function depthwiseFilterGradient(
  { window }: Product,
  { splits }: Candidate,
  operands: ProductOperands,
): Launched {
  const { name, source, factor, target, offsets } = operands;
  const { batch, size, output } = window;
  const { channels } = output;
  const hasBias = offsets.bias !== undefined;
  const weights = depthOf(window) * channels;
  const elements = weights + (hasBias ? channels : 0);
  const scratch = new Scratch(operands.scratch);
  const isSplit = splits > 1;
  const gradients = isSplit ? scratch.take("products", splits * elements) : target;
  const { GROUPS: _, ...shape } = windowConstants(window);
  const constants = {
    ...shape,
    BATCH: batch,
    BIAS: hasBias ? 1 : 0,
    SPLITS: splits,
    CHUNK: Math.ceil((batch * output.height) / splits),
    SPLIT_ELEMENTS: elements,
    WEIGHTS_OFFSET: isSplit ? 0 : offsets.weights,
    BIAS_OFFSET: isSplit ? weights : (offsets.bias ?? 0),
  };
  const items = splits * (size * size + (hasBias ? 1 : 0)) * channels;
  const product = elementwise(name, "depthwise_filter", items, constants, [source, factor, gradients]);
  if (!isSplit) return { dispatches: [product], scratch: NO_SCRATCH };
  const sum = sumOfPartials(operands, gradients, {
    SPLITS: splits,
    STRIDE: elements,
    IN_CHANNELS: depthOf(window),
    OUT_CHANNELS: channels,
    BIAS_PARTIALS: weights,
  });
  return { dispatches: [product, sum], scratch: scratch.elements };
}
