/**
 * Activation functions as data. Those whose derivative follows from their output can be fused into the layer before them;
 * the others need their input again and stay operations of their own.
 */

type FusedKind = "relu" | "leaky-relu" | "tanh" | "sigmoid";
type ActivationKind = FusedKind | "gelu" | "silu";

export interface Activation {
  readonly kind: ActivationKind;
  /** Of a leaky relu below zero; 0 for all others. */
  readonly slope: number;
}

export interface FusedActivation extends Activation {
  readonly kind: FusedKind;
}

/** The number by which kernels of both backends know an activation; 0 means none. */
const ACTIVATION_CODES = { relu: 1, "leaky-relu": 2, tanh: 3, sigmoid: 4, gelu: 5, silu: 6 } as const;

export function isFused(activation: Activation): activation is FusedActivation {
  return activation.kind !== "gelu" && activation.kind !== "silu";
}

export function activationCode(activation: Activation | undefined): number {
  return activation ? ACTIVATION_CODES[activation.kind] : 0;
}
