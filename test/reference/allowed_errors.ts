/**
 * How far each element that an operation writes may be from the reference in f32. Two rules.
 *
 * Sums of products (convolutions, dense layers, pools, sums, copies): `tolerance.ts`, with the reference on absolute values as
 * the magnitude. Everything else by the view of backward errors: a kernel's result is the exact one for inputs that are off by
 * a few roundings each, so every input is moved at random by up to n roundings, n the length of the operation's sums, and an
 * element may be off by a few times what it moved by, and by the roundings of itself.
 *
 * A fused activation, and the undoing of one, multiply an error by their steepest slope at most. Those made of exponentials
 * compute with numbers near 1 and are good to a few units of that (WGSL 15.7.4 grants exp 3 + 2|x| of them).
 */

import type { Activation } from "../../shared/engine/activation.ts";
import type { Operation, OperationKind } from "../../shared/engine/operation.ts";
import { readBy, tensorsOf } from "../../shared/engine/operation_tensors.ts";
import type { ParameterTensor } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import { runOperation, sumLengthOf, type ReferenceMemory } from "./operations.ts";
import { tolerance, UNIT_ROUNDOFF } from "./tolerance.ts";

const TRIALS = 8;
/** Of the largest movement seen in the trials. */
const MOVEMENT_FACTOR = 4;
const OWN_ROUNDINGS = 8;
const ACTIVATION_ROUNDINGS = 32;

const BY_MOVEMENT: ReadonlySet<OperationKind> = new Set<OperationKind>([
  "batch-norm-statistics",
  "batch-norm",
  "batch-norm-scale-gradient",
  "batch-norm-data-gradient",
  "layer-norm",
  "layer-norm-scale-gradient",
  "layer-norm-data-gradient",
  "local-response-norm",
  "local-response-norm-gradient",
  "activate",
  "activate-gradient",
  "mean-squared-error",
]);

export interface Comparison {
  /** After the operation. */
  readonly expected: ReferenceMemory;
  /** For each element of tensors, parameters and gradient the largest |kernel - expected|. */
  readonly allowed: ReferenceMemory;
}

/** Runs the reference on a copy of the inputs in `whole`; tensors that the operation does not touch come out empty. */
export function comparisonOf(operation: Operation, whole: ReferenceMemory): Comparison {
  const inputs = narrowed(operation, whole);
  const expected = copied(inputs);
  runOperation(operation, expected);
  const bare = withoutActivation(operation);
  const allowed = BY_MOVEMENT.has(operation.kind) ? byMovement(bare, inputs) : byMagnitude(bare, inputs);
  const steepest = Math.max(1, Math.abs(activationOf(operation)?.slope ?? 0));
  eachVector(allowed, expected, (errors, results) => {
    for (let index = 0; index < errors.length; index++) {
      errors[index] = errors[index]! * steepest + OWN_ROUNDINGS * UNIT_ROUNDOFF * Math.abs(results[index]!);
    }
  });
  allowForExponentials(operation, inputs, allowed);
  if (operation.kind === "max-pool") allowed.tensors[operation.choice]!.fill(0);
  return { expected, allowed };
}

/** Without what the operation does not touch, which would only be copied. */
function narrowed(operation: Operation, memory: ReferenceMemory): ReferenceMemory {
  const touched = new Set(tensorsOf(operation));
  const nothing = new Float64Array(0);
  return { ...memory, tensors: memory.tensors.map((values, id) => (touched.has(id) ? values : nothing)) };
}

/** The activation that the operation applies or undoes besides what it is for. */
function activationOf(operation: Operation): Activation | undefined {
  if ("undo" in operation && operation.undo) return operation.undo.activation;
  return "activation" in operation ? operation.activation : undefined;
}

function withoutActivation(operation: Operation): Operation {
  if ("undo" in operation) return { ...operation, undo: undefined };
  if (operation.kind === "activate" || !("activation" in operation)) return operation;
  return { ...operation, activation: undefined };
}

function byMagnitude(operation: Operation, inputs: ReferenceMemory): ReferenceMemory {
  const magnitudes = magnitudesOf(operation, inputs);
  const sumLength = sumLengthOf(operation) + 1;
  for (const values of vectorsOf(magnitudes)) {
    for (let index = 0; index < values.length; index++) values[index] = tolerance(sumLength, values[index]!);
  }
  return magnitudes;
}

/** For each output the sum of |a||b| behind it: the operation on absolute values. */
function magnitudesOf(operation: Operation, memory: ReferenceMemory): ReferenceMemory {
  const { mean, deviation } = memory.normalisation;
  const magnitudes = {
    ...memory,
    tensors: memory.tensors.map((values) => values.map(Math.abs)),
    parameters: memory.parameters.map(Math.abs),
    gradient: new Float64Array(memory.gradient.length),
    normalisation: { mean: mean.map((value) => -value), deviation },
  };
  runOperation(operation, magnitudes);
  if (operation.kind === "softmax-cross-entropy") {
    // Losses subtract logits, gradients subtract 1: both are rounded at that size, and exp and log are good to a few
    // units in the last place only (WGSL 15.7.4).
    const largest = Math.max(...memory.tensors[operation.outputs]!.map(Math.abs));
    magnitudes.tensors[operation.losses]!.fill(4 * largest + Math.log(operation.classes));
    magnitudes.tensors[operation.gradient]!.fill(4 / operation.examples);
  }
  return magnitudes;
}

function byMovement(operation: Operation, inputs: ReferenceMemory): ReferenceMemory {
  const random = new Random(1);
  const roundings = sumLengthOf(operation) + 3;
  const still = copied(inputs);
  runOperation(operation, still);
  const largest = copied(inputs);
  for (const values of vectorsOf(largest)) values.fill(0);
  for (let trial = 0; trial < TRIALS; trial++) {
    const moved = copied(inputs);
    const inputVectors = readBy(operation)
      .filter((id) => !("labels" in operation && operation.labels === id))
      .map((id) => moved.tensors[id]!);
    const ranges = parametersOf(operation).flatMap(({ offset, elements }) =>
      [moved.parameters, moved.gradient].map((vector) => vector.subarray(offset, offset + elements)),
    );
    for (const values of [...inputVectors, ...ranges]) {
      for (let index = 0; index < values.length; index++) {
        values[index]! *= 1 + (2 * random.uniform() - 1) * roundings * UNIT_ROUNDOFF;
      }
    }
    runOperation(operation, moved);
    eachVector(largest, moved, (errors, values, from) => {
      for (let index = 0; index < errors.length; index++) {
        const movement = Math.abs(values[index]! - from(still)[index]!);
        errors[index] = Math.max(errors[index]!, MOVEMENT_FACTOR * movement);
      }
    });
  }
  // Sums of terms of one sign are rounded at their own size.
  eachVector(largest, still, (errors, values) => {
    for (let index = 0; index < errors.length; index++) {
      errors[index]! += tolerance(sumLengthOf(operation), Math.abs(values[index]!));
    }
  });
  return largest;
}

/** Every tensor of the parameter buffer that the operation names. */
function parametersOf(operation: Operation): readonly ParameterTensor[] {
  const statistics: unknown[] = "statistics" in operation ? Object.values(operation.statistics) : [];
  const fields: unknown[] = Object.values(operation);
  return [...fields, ...statistics].filter(
    (value): value is ParameterTensor => typeof value === "object" && value !== null && "offset" in value,
  );
}

function allowForExponentials(operation: Operation, inputs: ReferenceMemory, allowed: ReferenceMemory): void {
  const unit = ACTIVATION_ROUNDINGS * UNIT_ROUNDOFF;
  const widen = (errors: Float64Array, byHowMuch: (index: number) => number): void => {
    for (let index = 0; index < errors.length; index++) errors[index]! += byHowMuch(index) * unit;
  };
  if (operation.kind === "activate-gradient" && isExponential(operation.activation)) {
    const input = inputs.tensors[operation.input]!;
    const slopes = inputs.tensors[operation.outputGradient]!;
    widen(allowed.tensors[operation.inputGradient]!, (index) =>
      Math.abs(slopes[index]! * Math.max(1, Math.abs(input[index]!))),
    );
  } else if (operation.kind === "activate" && isExponential(operation.activation)) {
    const input = inputs.tensors[operation.input]!;
    widen(allowed.tensors[operation.output]!, (index) => Math.max(1, Math.abs(input[index]!)));
  } else if ("output" in operation && isExponential(activationOf(operation))) {
    widen(allowed.tensors[operation.output]!, () => 1);
  }
}

function isExponential(activation: Activation | undefined): boolean {
  return activation !== undefined && activation.kind !== "relu" && activation.kind !== "leaky-relu";
}

function copied(memory: ReferenceMemory): ReferenceMemory {
  return {
    ...memory,
    tensors: memory.tensors.map((values) => values.slice()),
    parameters: memory.parameters.slice(),
    gradient: memory.gradient.slice(),
  };
}

type Values = Float64Array<ArrayBuffer>;

function vectorsOf({ tensors, parameters, gradient }: ReferenceMemory): readonly Values[] {
  return [...tensors, parameters, gradient];
}

/** Visits the vectors of two memories side by side; `from` finds the same vector in a third. */
function eachVector(
  first: ReferenceMemory,
  second: ReferenceMemory,
  visit: (a: Values, b: Values, from: (third: ReferenceMemory) => Values) => void,
): void {
  const others = vectorsOf(second);
  for (const [at, values] of vectorsOf(first).entries()) {
    visit(values, others[at]!, (third) => vectorsOf(third)[at]!);
  }
}
