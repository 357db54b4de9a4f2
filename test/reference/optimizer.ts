/** The optimizers as plain loops in double precision: what the updates of both backends must agree with. */

import type { StepSettings } from "../../shared/engine/backend.ts";
import { OPTIMIZER_DEFAULTS, type Optimizer } from "../../shared/engine/optimizer.ts";
import type { ParameterLayout, ParameterTensor } from "../../shared/model/layout.ts";
import type { Numbers } from "./convolution.ts";
import { heavyBall } from "./update.ts";

/** What an optimizer keeps between steps, and moves. All vectors have the layout's `elements`. */
export interface OptimizerState {
  readonly parameters: Float64Array;
  readonly velocity: Float64Array;
  /** Of adamw: the mean of g^2; `velocity` is then the mean of g. */
  readonly secondMoment: Float64Array;
  /** Since the state was zero. */
  updates: number;
}

/** In place, by `gradient`, which stays as it is. */
export function update(
  optimizer: Optimizer,
  layout: ParameterLayout,
  state: OptimizerState,
  gradient: Numbers,
  settings: StepSettings,
): void {
  state.updates++;
  const { trainableElements } = layout;
  const clipped = clippedTo(optimizer.clipNorm ?? Infinity, Float64Array.from(gradient).subarray(0, trainableElements));
  switch (optimizer.kind) {
    case "momentum":
      return heavyBall(state.parameters, state.velocity, clipped, settings, trainableElements);
    case "nesterov":
      return nesterov(state, clipped, settings);
    case "lars":
      for (const tensor of layout.tensors) {
        if (tensor.offset < trainableElements) lars(optimizer, tensor, state, clipped, settings);
      }
      return;
    case "adamw":
      return adamw(optimizer, state, clipped, settings);
    default:
      return optimizer.kind satisfies never;
  }
}

function norm(values: Numbers): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]! ** 2;
  return Math.sqrt(sum);
}

function clippedTo(longest: number, gradient: Float64Array): Float64Array {
  const length = norm(gradient);
  return length > longest ? gradient.map((value) => (value * longest) / length) : gradient;
}

function nesterov(state: OptimizerState, gradient: Numbers, settings: StepSettings): void {
  const { learningRate, momentum, weightDecay } = settings;
  for (let index = 0; index < gradient.length; index++) {
    const slope = gradient[index]! + weightDecay * state.parameters[index]!;
    state.velocity[index] = momentum * state.velocity[index]! - learningRate * slope;
    state.parameters[index]! += momentum * state.velocity[index]! - learningRate * slope;
  }
}

function lars(
  { trust = OPTIMIZER_DEFAULTS.trust }: Optimizer,
  { offset, elements, shape }: ParameterTensor,
  state: OptimizerState,
  gradient: Float64Array,
  { learningRate, momentum, weightDecay }: StepSettings,
): void {
  const [parameters, velocity, slope] = [state.parameters, state.velocity, gradient].map((vector) =>
    vector.subarray(offset, offset + elements),
  ) as [Float64Array, Float64Array, Float64Array];
  if (shape.length === 1) {
    return heavyBall(parameters, velocity, slope, { learningRate, momentum, weightDecay: 0 }, elements);
  }
  const [size, steepness] = [norm(parameters), norm(slope)];
  const ratio = size > 0 && steepness > 0 ? (trust * size) / (steepness + weightDecay * size) : 1;
  heavyBall(parameters, velocity, slope, { learningRate: learningRate * ratio, momentum, weightDecay }, elements);
}

function adamw(
  { beta2 = OPTIMIZER_DEFAULTS.beta2, epsilon = OPTIMIZER_DEFAULTS.epsilon }: Optimizer,
  { parameters, velocity, secondMoment, updates }: OptimizerState,
  gradient: Numbers,
  { learningRate, momentum, weightDecay }: StepSettings,
): void {
  for (let index = 0; index < gradient.length; index++) {
    const slope = gradient[index]!;
    velocity[index] = momentum * velocity[index]! + (1 - momentum) * slope;
    secondMoment[index] = beta2 * secondMoment[index]! + (1 - beta2) * slope * slope;
    const mean = velocity[index]! / (1 - momentum ** updates);
    const square = secondMoment[index]! / (1 - beta2 ** updates);
    parameters[index]! -= learningRate * (mean / (Math.sqrt(square) + epsilon) + weightDecay * parameters[index]!);
  }
}
