/** From a measurement with its resampled twins to estimates that the harness judges. */

import { shown } from "../report.ts";
import type { Estimate } from "../statistics.ts";
import type { MeasuredMomentum, Momentum } from "./implicit_momentum.ts";

/** Percentiles of the bootstrap, 95 %; one trial counts as a seed. */
export function estimateOf(measured: MeasuredMomentum, quantity: (found: Momentum) => number): Estimate {
  const sorted = measured.resampled.map(quantity).toSorted((one, other) => one - other);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const variance = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (sorted.length - 1);
  return {
    mean: quantity(measured),
    low: at(0.025),
    high: at(0.975),
    count: measured.trials,
    // Of one trial: what the estimate's own spread makes of it.
    deviation: Math.sqrt(variance * measured.trials),
    scale: "linear",
  };
}

export function withInterval({ mean, low, high }: Estimate): string {
  return `${shown(mean)} (${shown(low)} to ${shown(high)})`;
}
