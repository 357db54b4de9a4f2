/** Optimizers in every shape that matters, and a model of odd sizes with several tensors, for the tests of both backends. */

import type { StepSettings } from "../../shared/engine/backend.ts";
import type { Optimizer } from "../../shared/engine/optimizer.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import type { OptimizerState } from "../reference/optimizer.ts";

export interface OptimizerCase {
  readonly title: string;
  readonly optimizer: Optimizer;
  readonly settings: StepSettings;
}

const SETTINGS: StepSettings = { learningRate: 0.05, momentum: 0.8, weightDecay: 0.01 };
/** Shorter than any gradient of `stateOf`. */
const CLIP = 0.5;
const HUGE_CLIP = 1e6;

export const OPTIMIZER_CASES: readonly OptimizerCase[] = [
  {
    title: "plain SGD",
    optimizer: { kind: "momentum" },
    settings: { learningRate: 0.05, momentum: 0, weightDecay: 0 },
  },
  { title: "momentum", optimizer: { kind: "momentum" }, settings: SETTINGS },
  { title: "momentum, clipped", optimizer: { kind: "momentum", clipNorm: CLIP }, settings: SETTINGS },
  { title: "momentum, short enough", optimizer: { kind: "momentum", clipNorm: HUGE_CLIP }, settings: SETTINGS },
  { title: "nesterov", optimizer: { kind: "nesterov" }, settings: SETTINGS },
  { title: "nesterov, clipped", optimizer: { kind: "nesterov", clipNorm: CLIP }, settings: SETTINGS },
  { title: "lars", optimizer: { kind: "lars", trust: 0.02 }, settings: { ...SETTINGS, learningRate: 1 } },
  { title: "lars, clipped", optimizer: { kind: "lars", trust: 0.02, clipNorm: CLIP }, settings: SETTINGS },
  { title: "adamw", optimizer: { kind: "adamw" }, settings: { ...SETTINGS, learningRate: 0.01 } },
  {
    title: "adamw, clipped",
    optimizer: { kind: "adamw", beta2: 0.9, epsilon: 1e-4, clipNorm: CLIP },
    settings: SETTINGS,
  },
];

/** Three tensors that are adapted and two that are not; no length a multiple of four, and one tensor longer than a chunk of norms. */
const MODEL: ModelDescription = {
  name: "odd",
  input: { height: 7, width: 5, channels: 3 },
  classes: 7,
  layers: [
    { kind: "conv2d", name: "conv", kernel: 3, channels: 13 },
    { kind: "relu", name: "relu" },
    { kind: "dense", name: "hidden", units: 101, bias: false },
    { kind: "dense", name: "out", units: 7 },
  ],
};

export function optimizerPlan(optimizer: Optimizer): Plan {
  return compilePlan(MODEL, {
    batch: 3,
    datasetExamples: 5,
    normalisation: { mean: [0.4], deviation: [0.3] },
    optimizer,
  });
}

/** Drawn at random, with `elements` of f32 each; the gaps between tensors are zero. */
export function randomVector({ layout }: Plan, random: Random, scale = 1): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(layout.elements);
  for (const { offset, elements } of layout.tensors) {
    for (let at = offset; at < offset + elements; at++) vector[at] = scale * random.normal();
  }
  return vector;
}

export function emptyState(parameters: Float32Array): OptimizerState {
  const zeros = (): Float64Array => new Float64Array(parameters.length);
  return { parameters: Float64Array.from(parameters), velocity: zeros(), secondMoment: zeros(), updates: 0 };
}

/** The largest |actual - expected|, in units of the largest |expected|; NaN where anything is NaN. */
export function relativeError(actual: Float32Array, expected: Float64Array): number {
  const errors = Array.from(actual, (value, index) => Math.abs(value - expected[index]!));
  return Math.max(...errors) / Math.max(...Array.from(expected, Math.abs));
}
