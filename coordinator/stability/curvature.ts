/**
 * The greatest curvature of a loss at given parameters: the largest eigenvalue of its Hessian by power iteration, where the
 * Hessian times a vector is the difference of two gradients. Needs gradients only, and is handed them.
 */

import type { Random } from "../../shared/random.ts";

export interface GradientPort {
  /** Of the same examples at every call. The result is valid until the next call. */
  gradientAt(parameters: Float32Array): Promise<Float32Array>;
}

export interface CurvatureOptions {
  readonly parameters: Float32Array;
  /** Elements 0 up to this are trained; what follows keeps its value. */
  readonly trainableElements: number;
  /** Two gradients each. */
  readonly iterations: number;
  readonly random: Random;
  /** Asked before each iteration but the first. */
  readonly mayGoOn: () => boolean;
}

/**
 * How far the two gradients lie apart, as a share of the parameters' norm. In f32 the difference of gradients keeps three digits
 * so; further away, rectifiers switch that are not part of the curvature.
 */
const RELATIVE_DISTANCE = 1e-3;

/** A lower estimate, which grows towards the eigenvalue of largest magnitude; 0 where the loss is flat. */
export async function greatestCurvature(port: GradientPort, options: CurvatureOptions): Promise<number> {
  const { parameters, trainableElements, iterations, random, mayGoOn } = options;
  const direction = new Float32Array(parameters.length);
  for (let index = 0; index < trainableElements; index++) direction[index] = random.normal();
  const distance = RELATIVE_DISTANCE * Math.max(1, norm(parameters));
  let curvature = 0;
  for (let iteration = 0; iteration < iterations && (iteration === 0 || mayGoOn()); iteration++) {
    scale(direction, distance / norm(direction));
    const above = (await port.gradientAt(moved(parameters, direction, 1))).slice();
    const below = await port.gradientAt(moved(parameters, direction, -1));
    let along = 0;
    for (let index = 0; index < trainableElements; index++) {
      const change = (above[index]! - below[index]!) / 2;
      along += change * direction[index]!;
      direction[index] = change;
    }
    // Rayleigh's quotient of the direction that was tried.
    curvature = Math.max(curvature, along / distance ** 2);
    if (norm(direction) === 0) break;
  }
  return curvature;
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

function scale(values: Float32Array, factor: number): void {
  for (let index = 0; index < values.length; index++) values[index]! *= factor;
}

function moved(parameters: Float32Array, direction: Float32Array, sign: 1 | -1): Float32Array {
  const result = new Float32Array(parameters.length);
  for (let index = 0; index < result.length; index++) result[index] = parameters[index]! + sign * direction[index]!;
  return result;
}
