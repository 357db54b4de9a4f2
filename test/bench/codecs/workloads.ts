/**
 * What the codecs are tried on: a model, its data and the circumstances of a simulated run of four replicas of unequal speed. The
 * learning rate falls along a cosine, so that a final accuracy is not a point of a walk.
 */

import type { ModelName } from "../../../shared/model/catalogue.ts";
import { solverOf, type SolverName } from "../../../shared/solver/catalogue.ts";
import type { Scenario } from "../../../coordinator/simulate/scenario.ts";
import type { CodecName } from "../../../shared/wire/codec/codec.ts";

export interface Workload {
  readonly model: ModelName;
  readonly data: "mnist" | "cifar10";
  readonly trainExamples: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly epochs: number;
  readonly seeds: number;
  /** How far the final accuracy may be from that of f32, in points (percent of the test images). */
  readonly tolerancePoints: number;
}

export const WORKLOADS = {
  mlp: mnist("mlp", 0.02, 2),
  lenet: mnist("lenet", 0.01, 3),
  "cifar-quick": {
    model: "cifar-quick",
    data: "cifar10",
    trainExamples: 50_000,
    batch: 32,
    learningRate: 0.02,
    weightDecay: 0.0005,
    epochs: 3,
    seeds: 3,
    tolerancePoints: 1,
  },
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof WORKLOADS;

function mnist(model: "mlp" | "lenet", learningRate: number, epochs: number): Workload {
  return {
    model,
    data: "mnist",
    trainExamples: 60_000,
    batch: 64,
    learningRate,
    weightDecay: 0,
    epochs,
    seeds: 5,
    tolerancePoints: 0.3,
  };
}

/** How vectors travel in a run. */
export interface Arm {
  readonly up: CodecName;
  readonly down: CodecName;
  readonly fragments: number;
}

export const PLAIN: Arm = { up: "f32", down: "f32", fragments: 1 };

export function nameOf({ up, down, fragments }: Arm): string {
  return fragments === 1 ? `${up} up, ${down} down` : `${up} up, ${down} down, ${fragments} fragments`;
}

/** What tells one run from another; two runs of one key have the same result. */
export interface RunKey extends Arm {
  readonly workload: WorkloadName;
  readonly solver: SolverName;
  readonly learningRate: number;
  readonly epochs: number;
  readonly seed: number;
}

const PERIOD = 10;

export function scenarioOf({ workload, solver, learningRate, epochs, seed, up, down, fragments }: RunKey): Scenario {
  const { model, data, trainExamples, batch, weightDecay } = WORKLOADS[workload];
  const samples = trainExamples * epochs;
  const { rule, momentum } = solverOf(solver);
  const isGradient = rule === "gradient";
  // Whole exchanges, as the schedule's clock counts them.
  const steps = PERIOD * Math.floor(samples / batch / PERIOD);
  return {
    model,
    data,
    solver,
    replicas: 4,
    batch,
    communicationPeriod: isGradient ? 1 : PERIOD,
    learningRate,
    momentum: momentum === "none" ? 0 : 0.9,
    weightDecay,
    schedule: { kind: "cosine", steps, floor: 0 },
    samples,
    evaluateEverySamples: samples,
    testImages: 10_000,
    stepSeconds: 0.05,
    stepTimes: { kind: "lognormal", sigma: 0.2 },
    slowness: [1, 1.2, 1.5, 2],
    latencySeconds: 0.02,
    seed,
    codecUp: up,
    codecDown: down,
    fragments,
  };
}
