/**
 * The convolution's three passes as plain loops, the definition of correct for both backends. Sums run in double
 * precision. Activations NHWC, filters HWIO, square windows, with stride, padding, dilation and groups.
 */

import type { WindowGeometry } from "../../shared/engine/operation.ts";

export type Numbers = ArrayLike<number>;

/** Calls `visit` for every pair of input and weight that meets in an output, padding left out. */
function forEachProduct(
  window: WindowGeometry,
  visit: (outputIndex: number, inputIndex: number, weightIndex: number) => void,
): void {
  const { batch, input, output, size, stride, padding, dilation, groups } = window;
  const depth = input.channels / groups;
  const width = output.channels / groups;
  for (let image = 0; image < batch; image++) {
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        const outputBase = ((image * output.height + y) * output.width + x) * output.channels;
        for (let ky = 0; ky < size; ky++) {
          for (let kx = 0; kx < size; kx++) {
            const inY = y * stride + ky * dilation - padding;
            const inX = x * stride + kx * dilation - padding;
            if (inY < 0 || inY >= input.height || inX < 0 || inX >= input.width) continue;
            const inputBase = ((image * input.height + inY) * input.width + inX) * input.channels;
            const weightBase = (ky * size + kx) * depth * output.channels;
            for (let o = 0; o < output.channels; o++) {
              const group = Math.floor(o / width);
              for (let c = 0; c < depth; c++) {
                visit(outputBase + o, inputBase + group * depth + c, weightBase + c * output.channels + o);
              }
            }
          }
        }
      }
    }
  }
}

function outputElements({ batch, output }: WindowGeometry): number {
  return batch * output.height * output.width * output.channels;
}

/** output [batch, outH, outW, outChannels] = input [batch, inH, inW, inChannels] * weights + bias. */
export function convolve(
  window: WindowGeometry,
  input: Numbers,
  weights: Numbers,
  bias: Numbers | undefined,
): Float64Array<ArrayBuffer> {
  const output = new Float64Array(outputElements(window));
  for (let index = 0; index < output.length; index++) output[index] = bias?.[index % window.output.channels] ?? 0;
  forEachProduct(window, (outputIndex, inputIndex, weightIndex) => {
    output[outputIndex]! += input[inputIndex]! * weights[weightIndex]!;
  });
  return output;
}

/** The gradient at the input [batch, inH, inW, inChannels]. */
export function convolveDataGradient(
  window: WindowGeometry,
  outputGradient: Numbers,
  weights: Numbers,
): Float64Array<ArrayBuffer> {
  const { batch, input } = window;
  const gradient = new Float64Array(batch * input.height * input.width * input.channels);
  forEachProduct(window, (outputIndex, inputIndex, weightIndex) => {
    gradient[inputIndex]! += outputGradient[outputIndex]! * weights[weightIndex]!;
  });
  return gradient;
}

/** Gradients of weights [size, size, inChannels / groups, outChannels] and bias [outChannels]. */
export function convolveFilterGradient(
  window: WindowGeometry,
  input: Numbers,
  outputGradient: Numbers,
): { weights: Float64Array<ArrayBuffer>; bias: Float64Array<ArrayBuffer> } {
  const { size, groups, input: inputShape, output } = window;
  const weights = new Float64Array((size * size * inputShape.channels * output.channels) / groups);
  const bias = new Float64Array(output.channels);
  forEachProduct(window, (outputIndex, inputIndex, weightIndex) => {
    weights[weightIndex]! += input[inputIndex]! * outputGradient[outputIndex]!;
  });
  for (let index = 0; index < outputElements(window); index++) {
    bias[index % output.channels]! += outputGradient[index]!;
  }
  return { weights, bias };
}
