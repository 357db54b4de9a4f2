/** The launches of local response norm. */

import type { LocalResponse, OperationOf } from "../../operation.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import { targetConstants, undoneBinding, vectorsOf, type Surroundings } from "./surroundings.ts";

interface Rows {
  readonly rows: number;
  readonly channels: number;
}

function responseConstants({ rows, channels, size, alpha, beta, k }: Rows & LocalResponse): Constants {
  return { ROWS: rows, CHANNELS: channels, SIZE: size, ALPHA: alpha, BETA: beta, K: k };
}

function items({ rows, channels }: Rows): number {
  return rows * Math.ceil(channels / 4);
}

export function localResponseNorm(operation: OperationOf<"local-response-norm">, { memory }: Surroundings): Dispatch {
  const { name, input, output } = operation;
  const constants = responseConstants(operation);
  return elementwise(`${name} forward`, "local_response_norm", items(operation), constants, [
    memory.tensor(input),
    vectorsOf(memory, input),
    memory.tensor(output),
  ]);
}

/** Words of the terms and powers between the two halves. */
export function termsElements({ rows, channels }: Rows): number {
  return 2 * rows * channels;
}

export function localResponseNormGradient(
  operation: OperationOf<"local-response-norm-gradient">,
  { memory }: Surroundings,
): Dispatch[] {
  const { name, input, outputGradient, inputGradient, undo } = operation;
  const { K, ...constants } = responseConstants(operation);
  const slopes = memory.tensor(outputGradient);
  const terms = { buffer: memory.scratch, offset: 0, size: termsElements(operation) * 4 };
  const whole = { ...terms, size: Math.floor(terms.size / 16) * 16 };
  const inputs = [memory.tensor(input), vectorsOf(memory, input), slopes];
  return [
    elementwise(`${name} gradient, terms`, "local_response_norm_terms", items(operation), { ...constants, K: K! }, [
      ...inputs,
      terms,
    ]),
    elementwise(
      `${name} gradient`,
      "local_response_norm_gradient",
      items(operation),
      { ...constants, ...targetConstants(operation) },
      [memory.tensor(input), slopes, terms, whole, undoneBinding(undo, memory, slopes), memory.tensor(inputGradient)],
    ),
  ];
}
