/** The launches of the losses, and of their running total. */

import type { OperationOf } from "../../operation.ts";
import { elementwise, type Dispatch } from "../dispatch.ts";
import type { PlanMemory } from "../memory.ts";
import type { Surroundings } from "./surroundings.ts";

const SHADERS = {
  "softmax-cross-entropy": "softmax_cross_entropy",
  "mean-squared-error": "mean_squared_error",
} as const;

export function loss(
  operation: OperationOf<"softmax-cross-entropy" | "mean-squared-error">,
  { memory }: Surroundings,
): Dispatch {
  const { kind, batch, classes, outputs, labels, gradient, losses, correct } = operation;
  const tensors = [outputs, labels, gradient, losses, correct].map((id) => memory.tensor(id));
  // How many examples the mean is over changes from step to step.
  const bindings = [...tensors, memory.clock];
  const constants = { BATCH: batch, CLASSES: classes };
  return elementwise("loss", SHADERS[kind], batch, constants, bindings);
}

/** Adds a part's losses to the running total. */
export function lossTotal(memory: PlanMemory): Dispatch {
  const { microBatch, losses } = memory.plan;
  return {
    name: "loss total",
    shader: "accumulate_loss",
    constants: { BATCH: microBatch },
    bindings: [memory.tensor(losses), { buffer: memory.total }],
    workgroups: [1, 1, 1],
  };
}
