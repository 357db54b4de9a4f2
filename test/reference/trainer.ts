/**
 * Trains a plan with the naive loops, in double precision: what a backend's `Program` must agree with, operation by
 * operation and step by step.
 */

import type { Evaluation, StepSettings } from "../../shared/engine/backend.ts";
import type { Operation } from "../../shared/engine/operation.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import type { Numbers } from "./convolution.ts";
import { referenceMemory, runOperation, type ReferenceMemory } from "./operations.ts";
import { update, type OptimizerState } from "./optimizer.ts";

export class ReferenceTrainer {
  readonly plan: Plan;
  readonly memory: ReferenceMemory;
  readonly state: OptimizerState;

  /** `images` and `labels` are bytes, as `Program.loadExamples` takes them. */
  constructor(plan: Plan, images: Uint8Array, labels: Uint8Array, parameters: Numbers) {
    this.plan = plan;
    this.memory = referenceMemory(plan, images, labels);
    this.memory.parameters.set(Array.from(parameters));
    const zeros = (): Float64Array => new Float64Array(plan.layout.elements);
    this.state = { parameters: this.memory.parameters, velocity: zeros(), secondMoment: zeros(), updates: 0 };
  }

  /** One step with its update; returns the mean loss before it. */
  step(examples: Numbers, settings: StepSettings): number {
    const { meanLoss, gradient } = this.gradientStep(examples);
    update(this.plan.optimizer, this.plan.layout, this.state, gradient, settings);
    return meanLoss;
  }

  gradientStep(examples: Numbers): { meanLoss: number; gradient: Float64Array<ArrayBuffer> } {
    const { meanLoss } = this.#run(this.plan.forward, examples);
    for (const operation of this.plan.backward) runOperation(operation, this.memory);
    this.memory.draw++;
    return { meanLoss, gradient: this.memory.gradient };
  }

  evaluate(examples: Numbers): Evaluation {
    return this.#run(this.plan.evaluation, examples);
  }

  #run(operations: readonly Operation[], examples: Numbers): Evaluation {
    this.memory.examples = examples;
    for (const operation of operations) runOperation(operation, this.memory);
    const { tensors } = this.memory;
    return { correct: sum(tensors[this.plan.correct]!), meanLoss: sum(tensors[this.plan.losses]!) / this.plan.batch };
  }
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
