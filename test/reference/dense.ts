/** The dense layer's three passes as plain loops. Weights are [inputs, units]. */

import { maskedByRelu, type Numbers } from "./convolution.ts";

export interface DenseShape {
  readonly batch: number;
  readonly inputs: number;
  readonly units: number;
}

/** output [batch, units] = input [batch, inputs] * weights + bias, then relu if asked. */
export function dense(
  { batch, inputs, units }: DenseShape,
  input: Numbers,
  weights: Numbers,
  bias: Numbers,
  relu: boolean,
): Float64Array<ArrayBuffer> {
  const output = new Float64Array(batch * units);
  for (let b = 0; b < batch; b++) {
    for (let u = 0; u < units; u++) {
      let sum = bias[u]!;
      for (let i = 0; i < inputs; i++) sum += input[b * inputs + i]! * weights[i * units + u]!;
      output[b * units + u] = relu ? Math.max(sum, 0) : sum;
    }
  }
  return output;
}

/** The gradient at the input [batch, inputs]; zero where `reluOutput`, of the same shape, is not positive. */
export function denseDataGradient(
  { batch, inputs, units }: DenseShape,
  outputGradient: Numbers,
  weights: Numbers,
  reluOutput: Numbers | undefined,
): Float64Array<ArrayBuffer> {
  const gradient = new Float64Array(batch * inputs);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < inputs; i++) {
      let sum = 0;
      for (let u = 0; u < units; u++) sum += outputGradient[b * units + u]! * weights[i * units + u]!;
      gradient[b * inputs + i] = sum;
    }
  }
  return maskedByRelu(gradient, reluOutput);
}

/** Gradients of weights [inputs, units] and bias [units]. */
export function denseFilterGradient(
  { batch, inputs, units }: DenseShape,
  input: Numbers,
  outputGradient: Numbers,
): { weights: Float64Array<ArrayBuffer>; bias: Float64Array<ArrayBuffer> } {
  const weights = new Float64Array(inputs * units);
  const bias = new Float64Array(units);
  for (let b = 0; b < batch; b++) {
    for (let u = 0; u < units; u++) {
      bias[u]! += outputGradient[b * units + u]!;
      for (let i = 0; i < inputs; i++)
        weights[i * units + u]! += input[b * inputs + i]! * outputGradient[b * units + u]!;
    }
  }
  return { weights, bias };
}
