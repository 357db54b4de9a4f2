/** Activation functions and their derivatives, in double precision. */

import type { Activation, FusedActivation } from "../../shared/engine/activation.ts";

const GELU_FACTOR = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export function activate({ kind, slope }: Activation, x: number): number {
  switch (kind) {
    case "relu":
      return Math.max(x, 0);
    case "leaky-relu":
      return x > 0 ? x : slope * x;
    case "tanh":
      return Math.tanh(x);
    case "sigmoid":
      return sigmoid(x);
    case "silu":
      return x * sigmoid(x);
    case "gelu":
      return 0.5 * x * (1 + Math.tanh(GELU_FACTOR * (x + GELU_CUBIC * x ** 3)));
    default:
      return kind satisfies never;
  }
}

/** The derivative at `x`; at a kink, that of the left side. */
export function derivative(activation: Activation, x: number): number {
  const { kind } = activation;
  if (kind === "silu") return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  if (kind === "gelu") {
    const t = Math.tanh(GELU_FACTOR * (x + GELU_CUBIC * x ** 3));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_FACTOR * (1 + 3 * GELU_CUBIC * x * x);
  }
  return derivativeFromOutput({ ...activation, kind }, activate(activation, x));
}

/** The derivative where the output is `y`. */
export function derivativeFromOutput({ kind, slope }: FusedActivation, y: number): number {
  switch (kind) {
    case "relu":
      return y > 0 ? 1 : 0;
    case "leaky-relu":
      return y > 0 ? 1 : slope;
    case "tanh":
      return 1 - y * y;
    case "sigmoid":
      return y * (1 - y);
    default:
      return kind satisfies never;
  }
}
