/** The launches of embeddings. */

import type { OperationOf } from "../../operation.ts";
import { elementwise, type Dispatch } from "../dispatch.ts";
import type { Surroundings } from "./surroundings.ts";

export function embedding(operation: OperationOf<"embedding">, { memory }: Surroundings): Dispatch {
  const { name, tokens, vocabulary, width, input, output, weights } = operation;
  const constants = { TOKENS: tokens, VOCABULARY: vocabulary, WIDTH: width };
  const bindings = [memory.tensor(input), memory.parameter(weights), memory.tensor(output)];
  return elementwise(`${name} forward`, "embedding", tokens * Math.ceil(width / 4), constants, bindings);
}

export function embeddingGradient(operation: OperationOf<"embedding-gradient">, { memory }: Surroundings): Dispatch {
  const { name, tokens, vocabulary, width, input, outputGradient, weights } = operation;
  const constants = { TOKENS: tokens, VOCABULARY: vocabulary, WIDTH: width, WEIGHTS_OFFSET: weights.offset };
  const bindings = [memory.tensor(input), memory.tensor(outputGradient), { buffer: memory.vectors.gradient }];
  const items = vocabulary * Math.ceil(width / 4);
  return elementwise(`${name} gradient`, "embedding_gradient", items, constants, bindings);
}
