/**
 * The quadratic with 24 modes on which the estimators are checked: f(w) = sum h w^2 / 2 with curvatures h spread
 * geometrically, and white noise on each draw of the gradient. Here the mean of the trajectories obeys the theorem exactly.
 */

import type { Random } from "../../../shared/random.ts";
import type { Objective } from "./objective.ts";

const MODES = 24;
const HIGHEST_CURVATURE = 1;
const LOWEST_CURVATURE = 0.02;

/** `noise`: standard deviation of each element of a drawn gradient. All modes begin at 1. */
export function quadratic(noise: number): Objective {
  const curvatures = Float64Array.from(
    { length: MODES },
    (_, mode) => HIGHEST_CURVATURE * (LOWEST_CURVATURE / HIGHEST_CURVATURE) ** (mode / (MODES - 1)),
  );
  const gradient = new Float32Array(MODES);
  const gradientAt = (parameters: Float32Array, deviation: number, random: Random): Float32Array => {
    for (const [mode, curvature] of curvatures.entries()) {
      const disturbance = deviation === 0 ? 0 : deviation * random.normal();
      gradient[mode] = curvature * (parameters[mode] ?? 0) + disturbance;
    }
    return gradient;
  };
  return {
    shape: { elements: MODES, trainableElements: MODES, tensors: [] },
    start: new Float32Array(MODES).fill(1),
    draw: (parameters, random) => gradientAt(parameters, noise, random),
    observe: (parameters, random) => gradientAt(parameters, 0, random),
  };
}
