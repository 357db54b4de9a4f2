/** The dense layer's three passes as plain loops, in double precision. */

import type { Numbers } from "./convolution.ts";

export interface DenseShape {
  readonly batch: number;
  readonly inputs: number;
  readonly units: number;
}

/** output [batch, units] = input [batch, inputs] * weights [inputs, units] + bias. */
export function dense(
  { batch, inputs, units }: DenseShape,
  input: Numbers,
  weights: Numbers,
  bias: Numbers | undefined,
): Float64Array<ArrayBuffer> {
  const output = new Float64Array(batch * units);
  for (let b = 0; b < batch; b++) {
    for (let u = 0; u < units; u++) {
      let sum = bias?.[u] ?? 0;
      for (let i = 0; i < inputs; i++) sum += input[b * inputs + i]! * weights[i * units + u]!;
      output[b * units + u] = sum;
    }
  }
  return output;
}

/** The gradient at the input [batch, inputs]. */
export function denseDataGradient(
  { batch, inputs, units }: DenseShape,
  outputGradient: Numbers,
  weights: Numbers,
): Float64Array<ArrayBuffer> {
  const gradient = new Float64Array(batch * inputs);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < inputs; i++) {
      let sum = 0;
      for (let u = 0; u < units; u++) sum += outputGradient[b * units + u]! * weights[i * units + u]!;
      gradient[b * inputs + i] = sum;
    }
  }
  return gradient;
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
      const gradient = outputGradient[b * units + u]!;
      bias[u]! += gradient;
      for (let i = 0; i < inputs; i++) weights[i * units + u]! += input[b * inputs + i]! * gradient;
    }
  }
  return { weights, bias };
}
