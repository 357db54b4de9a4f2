/** The launches of layer norm. */

import type { OperationOf } from "../../operation.ts";
import { elementwise, type Dispatch } from "../dispatch.ts";
import { activationConstants, targetConstants, undoneBinding, vectorsOf, type Surroundings } from "./surroundings.ts";

export function layerNorm(operation: OperationOf<"layer-norm">, { memory }: Surroundings): Dispatch {
  const { name, rows, channels, input, output, mean, inverseDeviation, scale, shift, epsilon, activation } = operation;
  const constants = { ROWS: rows, CHANNELS: channels, EPSILON: epsilon, ...activationConstants(activation) };
  return elementwise(`${name} forward`, "layer_norm", rows, constants, [
    memory.tensor(input),
    vectorsOf(memory, input),
    memory.parameter(scale),
    memory.parameter(shift),
    memory.tensor(output),
    memory.tensor(mean),
    memory.tensor(inverseDeviation),
  ]);
}

export function layerNormDataGradient(
  operation: OperationOf<"layer-norm-data-gradient">,
  { memory }: Surroundings,
): Dispatch {
  const { name, rows, channels, input, outputGradient, mean, inverseDeviation, scale, undo, inputGradient } = operation;
  const slopes = memory.tensor(outputGradient);
  const constants = { ROWS: rows, CHANNELS: channels, ...targetConstants(operation) };
  return elementwise(`${name} data gradient`, "layer_norm_data_gradient", rows, constants, [
    memory.tensor(input),
    slopes,
    memory.parameter(scale),
    memory.tensor(mean),
    memory.tensor(inverseDeviation),
    undoneBinding(undo, memory, slopes),
    memory.tensor(inputGradient),
  ]);
}
