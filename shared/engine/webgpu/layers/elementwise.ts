/** The launches of operations that take each element by itself: sums, activations, dropout. */

import type { OperationOf } from "../../operation.ts";
import type { Dispatch } from "../dispatch.ts";
import {
  activationConstants,
  strided,
  targetConstants,
  undoneBinding,
  vectorsOf,
  type Surroundings,
} from "./surroundings.ts";

export function add(operation: OperationOf<"add">, { memory, traits }: Surroundings): Dispatch {
  const { name, elements, first, second, output, activation } = operation;
  const bindings = [first, second, output].map((id) => vectorsOf(memory, id));
  const launch = { name: `${name} forward`, shader: "add", elements };
  return strided(launch, traits, activationConstants(activation), bindings);
}

export function passGradient(operation: OperationOf<"pass-gradient">, { memory, traits }: Surroundings): Dispatch {
  const { name, elements, outputGradient, inputGradient, undo } = operation;
  const slopes = vectorsOf(memory, outputGradient);
  const bindings = [slopes, undoneBinding(undo, memory, slopes), vectorsOf(memory, inputGradient)];
  const launch = { name: `${name} gradient`, shader: "pass_gradient", elements };
  return strided(launch, traits, targetConstants(operation), bindings);
}
