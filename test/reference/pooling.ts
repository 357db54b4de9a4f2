/** Max-pooling and its gradient as plain loops. No padding; windows may overlap or leave a rim unread. */

import type { WindowGeometry } from "../../shared/engine/operation.ts";
import { maskedByRelu, type Numbers } from "./convolution.ts";

/**
 * output [batch, outH, outW, channels], the largest of each window, then relu if asked; and `choice`, of the same shape:
 * the index within the image (channels included) of the input that won. The first of equals wins.
 */
export function maxPool(
  window: WindowGeometry,
  input: Numbers,
  relu: boolean,
): { output: Float64Array<ArrayBuffer>; choice: Float64Array<ArrayBuffer> } {
  const { batch, input: inputShape, output: outputShape, size, stride } = window;
  const { channels } = outputShape;
  const imageElements = inputShape.height * inputShape.width * channels;
  const elements = batch * outputShape.height * outputShape.width * channels;
  const output = new Float64Array(elements);
  const choice = new Float64Array(elements);
  for (let index = 0; index < elements; index++) {
    const channel = index % channels;
    const x = Math.floor(index / channels) % outputShape.width;
    const y = Math.floor(index / (channels * outputShape.width)) % outputShape.height;
    const image = Math.floor(index / (channels * outputShape.width * outputShape.height));
    let best = -Infinity;
    let bestAt = -1;
    for (let ky = 0; ky < size; ky++) {
      for (let kx = 0; kx < size; kx++) {
        const at = ((y * stride + ky) * inputShape.width + x * stride + kx) * channels + channel;
        const value = input[image * imageElements + at]!;
        if (value > best) {
          best = value;
          bestAt = at;
        }
      }
    }
    output[index] = relu ? Math.max(best, 0) : best;
    choice[index] = bestAt;
  }
  return { output, choice };
}

/** The gradient at the input [batch, inH, inW, channels]: each output's gradient goes to the input that won. */
export function maxPoolGradient(
  window: WindowGeometry,
  outputGradient: Numbers,
  choice: Numbers,
  reluOutput: Numbers | undefined,
): Float64Array<ArrayBuffer> {
  const { batch, input, output } = window;
  const inputElements = input.height * input.width * input.channels;
  const outputElements = output.height * output.width * output.channels;
  const gradient = new Float64Array(batch * inputElements);
  for (let index = 0; index < batch * outputElements; index++) {
    const image = Math.floor(index / outputElements);
    gradient[image * inputElements + choice[index]!]! += outputGradient[index]!;
  }
  return maskedByRelu(gradient, reluOutput);
}
