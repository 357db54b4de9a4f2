/** How much an operation has to move at least: bytes once in and once out. Its multiplications: shared/engine/work.ts. */

import type { Operation } from "../../../../shared/engine/operation.ts";
import { gradientsWrittenBy, readBy, writtenBy } from "../../../../shared/engine/operation_tensors.ts";
import type { Plan } from "../../../../shared/engine/plan.ts";

/** Tensors, weights and gradients, each once. The bytes of images that are gathered count as one word an element. */
export function bytesOf(plan: Plan, operation: Operation): number {
  const tensors = [...readBy(operation), ...writtenBy(operation)];
  const words = tensors.reduce((sum, id) => sum + plan.tensors[id]!.elements, 0);
  const isFilterGradient = gradientsWrittenBy(operation).length > 0;
  const written = gradientsWrittenBy(operation).reduce((sum, { elements }) => sum + elements, 0);
  const read = !isFilterGradient && "weights" in operation ? operation.weights.elements : 0;
  return 4 * (words + written + read);
}
