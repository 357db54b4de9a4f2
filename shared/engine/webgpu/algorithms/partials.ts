/** The end of a filter gradient that was split or lowered: its copies are added into the gradient of the parameters. */

import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import type { ProductOperands } from "./operands.ts";

/** `shape` has at least SPLITS, STRIDE, IN_CHANNELS and OUT_CHANNELS of `sum_partials.wgsl`. */
export function sumOfPartials(
  { name, offsets, target }: ProductOperands,
  partials: GPUBufferBinding,
  shape: Readonly<Record<"SPLITS" | "STRIDE" | "IN_CHANNELS" | "OUT_CHANNELS" | "BIAS_PARTIALS", number>> &
    Readonly<Partial<Record<"INNER" | "OUTER", number>>>,
): Dispatch {
  const { INNER = 1, OUTER = 1, IN_CHANNELS, OUT_CHANNELS } = shape;
  const bias = offsets.bias === undefined ? 0 : OUT_CHANNELS;
  const constants: Constants = {
    ...shape,
    INNER,
    OUTER,
    BIAS: bias,
    WEIGHTS_OFFSET: offsets.weights,
    BIAS_OFFSET: offsets.bias ?? 0,
  };
  const elements = INNER * IN_CHANNELS * OUTER * OUT_CHANNELS + bias;
  return elementwise(`${name}, sum`, "sum_partials", elements, constants, [partials, target]);
}

/** One copy of the bias's gradient for each of `splits` copies of the weights', over the pixels of `outputGradient`. */
export function biasPartials(
  name: string,
  channels: number,
  outputGradient: GPUBufferBinding,
  partials: GPUBufferBinding,
  target: { readonly BIAS_OFFSET: number; readonly SPLIT_ELEMENTS: number },
  splits: number,
): Dispatch {
  const { BIAS_OFFSET, SPLIT_ELEMENTS } = target;
  const pixels = (outputGradient.size ?? 0) / 4 / channels;
  const constants = { PIXELS: pixels, CHANNELS: channels, SPLITS: splits, BIAS_OFFSET, SPLIT_ELEMENTS };
  return elementwise(name, "bias_gradient", channels * splits, constants, [outputGradient, partials]);
}
