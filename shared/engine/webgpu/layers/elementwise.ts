/** The launches of operations that take each element by itself: sums, activations, dropout, the parts of concatenations. */

import type { OperationOf } from "../../operation.ts";
import type { DeviceTraits } from "../choice/candidate.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import type { PlanMemory } from "../memory.ts";
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

export function activate(operation: OperationOf<"activate">, { memory, traits }: Surroundings): Dispatch {
  const { name, elements, activation, input, output } = operation;
  const launch = { name: `${name} forward`, shader: "activate", elements };
  return strided(
    launch,
    traits,
    activationConstants(activation),
    [input, output].map((id) => vectorsOf(memory, id)),
  );
}

export function activateGradient(
  operation: OperationOf<"activate-gradient">,
  { memory, traits }: Surroundings,
): Dispatch {
  const { name, elements, activation, input, outputGradient, inputGradient, undo } = operation;
  const { ACTIVATION, SLOPE } = activationConstants(activation);
  const slopes = vectorsOf(memory, outputGradient);
  const bindings = [
    vectorsOf(memory, input),
    slopes,
    undoneBinding(undo, memory, slopes),
    vectorsOf(memory, inputGradient),
  ];
  const constants = { ACTIVATION: ACTIVATION!, BELOW: SLOPE!, ...targetConstants(operation) };
  return strided({ name: `${name} gradient`, shader: "activate_gradient", elements }, traits, constants, bindings);
}

/** `unitRandom(...) < rate` as a comparison of whole numbers, exact. */
function dropoutConstants({ rate, salt }: { rate: number; salt: number }, memory: PlanMemory): Constants {
  return { DROPPED: Math.ceil(rate * 2 ** 24), SCALE: 1 / (1 - rate), SALT: salt, SEED: memory.plan.seed >>> 0 };
}

export function dropout(operation: OperationOf<"dropout">, { memory, traits }: Surroundings): Dispatch {
  const { name, elements, input, output } = operation;
  const bindings = [vectorsOf(memory, input), memory.clock, vectorsOf(memory, output)];
  const launch = { name: `${name} forward`, shader: "dropout", elements };
  return strided(launch, traits, dropoutConstants(operation, memory), bindings);
}

export function dropoutGradient(
  operation: OperationOf<"dropout-gradient">,
  { memory, traits }: Surroundings,
): Dispatch {
  const { name, elements, outputGradient, inputGradient, undo } = operation;
  const slopes = vectorsOf(memory, outputGradient);
  const bindings = [slopes, memory.clock, undoneBinding(undo, memory, slopes), vectorsOf(memory, inputGradient)];
  const constants = { ...dropoutConstants(operation, memory), ...targetConstants(operation) };
  return strided({ name: `${name} gradient`, shader: "dropout_gradient", elements }, traits, constants, bindings);
}

/** Rows side by side; in software each invocation is dear, so it takes several. */
function rowLanes(rows: number, { isFallback }: DeviceTraits): number {
  return Math.ceil(rows / (isFallback ? 8 : 1));
}

export function placeChannels(operation: OperationOf<"place-channels">, { memory, traits }: Surroundings): Dispatch {
  const { name, rows, channels, input, output, outputChannels, offset } = operation;
  const lanes = rowLanes(rows, traits);
  const shape = { ROWS: rows, CHANNELS: channels, OUT_CHANNELS: outputChannels, OFFSET: offset, LANES: lanes };
  return elementwise(`${name} forward`, "place_channels", lanes * Math.ceil(channels / 4), shape, [
    memory.tensor(input),
    vectorsOf(memory, input),
    memory.tensor(output),
  ]);
}

export function takeChannels(operation: OperationOf<"take-channels">, { memory, traits }: Surroundings): Dispatch {
  const { name, rows, channels, outputGradient, outputChannels, offset, inputGradient, undo } = operation;
  const lanes = rowLanes(rows, traits);
  const shape = { ROWS: rows, CHANNELS: channels, OUT_CHANNELS: outputChannels, OFFSET: offset, LANES: lanes };
  const slopes = memory.tensor(outputGradient);
  return elementwise(
    `${name} gradient`,
    "take_channels",
    lanes * Math.ceil(channels / 4),
    { ...shape, ...targetConstants(operation) },
    [slopes, vectorsOf(memory, outputGradient), undoneBinding(undo, memory, slopes), memory.tensor(inputGradient)],
  );
}
