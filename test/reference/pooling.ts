/** Pools and their gradients as plain loops. Taps outside the image are left out; windows may overlap or leave a rim unread. */

import type { WindowGeometry } from "../../shared/engine/operation.ts";
import type { Numbers } from "./convolution.ts";

/** Calls `visit` for every output element and every input element inside the image that its window covers, in order. */
function forEachTap(
  window: WindowGeometry,
  visit: (outputIndex: number, image: number, atInImage: number) => void,
): void {
  const { batch, input, output, size, stride, padding } = window;
  const { channels } = output;
  for (let index = 0; index < batch * output.height * output.width * channels; index++) {
    const channel = index % channels;
    const x = Math.floor(index / channels) % output.width;
    const y = Math.floor(index / (channels * output.width)) % output.height;
    const image = Math.floor(index / (channels * output.width * output.height));
    for (let ky = 0; ky < size; ky++) {
      for (let kx = 0; kx < size; kx++) {
        const inY = y * stride + ky - padding;
        const inX = x * stride + kx - padding;
        if (inY < 0 || inY >= input.height || inX < 0 || inX >= input.width) continue;
        visit(index, image, (inY * input.width + inX) * channels + channel);
      }
    }
  }
}

function elementsOfInput({ input }: WindowGeometry): number {
  return input.height * input.width * input.channels;
}

function outputElements({ batch, output }: WindowGeometry): number {
  return batch * output.height * output.width * output.channels;
}

/**
 * output [batch, outH, outW, channels], the largest of each window; and `choice`, of the same shape: the index within the
 * image (channels included) of the input that won. The first of equals wins.
 */
export function maxPool(
  window: WindowGeometry,
  input: Numbers,
): { output: Float64Array<ArrayBuffer>; choice: Float64Array<ArrayBuffer> } {
  const output = new Float64Array(outputElements(window)).fill(-Infinity);
  const choice = new Float64Array(output.length);
  forEachTap(window, (index, image, at) => {
    const value = input[image * elementsOfInput(window) + at]!;
    if (value <= output[index]!) return;
    output[index] = value;
    choice[index] = at;
  });
  return { output, choice };
}

/** The gradient at the input [batch, inH, inW, channels]: each output's gradient goes to the input that won. */
export function maxPoolGradient(
  window: WindowGeometry,
  outputGradient: Numbers,
  choice: Numbers,
): Float64Array<ArrayBuffer> {
  const inputElements = elementsOfInput(window);
  const imageOutputs = outputElements(window) / window.batch;
  const gradient = new Float64Array(window.batch * inputElements);
  for (let index = 0; index < outputElements(window); index++) {
    const image = Math.floor(index / imageOutputs);
    gradient[image * inputElements + choice[index]!]! += outputGradient[index]!;
  }
  return gradient;
}

/** output [batch, outH, outW, channels]: the mean of each window's taps inside the image. */
export function averagePool(window: WindowGeometry, input: Numbers): Float64Array<ArrayBuffer> {
  const output = new Float64Array(outputElements(window));
  const counts = tapCounts(window);
  forEachTap(window, (index, image, at) => {
    output[index]! += input[image * elementsOfInput(window) + at]! / counts[index]!;
  });
  return output;
}

export function averagePoolGradient(window: WindowGeometry, outputGradient: Numbers): Float64Array<ArrayBuffer> {
  const gradient = new Float64Array(window.batch * elementsOfInput(window));
  const counts = tapCounts(window);
  forEachTap(window, (index, image, at) => {
    gradient[image * elementsOfInput(window) + at]! += outputGradient[index]! / counts[index]!;
  });
  return gradient;
}

function tapCounts(window: WindowGeometry): Uint32Array {
  const counts = new Uint32Array(outputElements(window));
  forEachTap(window, (index) => counts[index]!++);
  return counts;
}

export interface Pixels {
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
}

/** output [batch, channels] = mean of input [batch, pixels, channels]. */
export function globalAveragePool({ batch, pixels, channels }: Pixels, input: Numbers): Float64Array<ArrayBuffer> {
  const output = new Float64Array(batch * channels);
  for (let index = 0; index < batch * pixels * channels; index++) {
    const image = Math.floor(index / (pixels * channels));
    output[image * channels + (index % channels)]! += input[index]! / pixels;
  }
  return output;
}

export function globalAveragePoolGradient(
  { batch, pixels, channels }: Pixels,
  outputGradient: Numbers,
): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: batch * pixels * channels }, (_, index) => {
    const image = Math.floor(index / (pixels * channels));
    return outputGradient[image * channels + (index % channels)]! / pixels;
  });
}
