/**
 * How much a plan has to compute: multiplications and additions of its products (convolutions and dense layers, forward and
 * backward), which are nearly all of a step. What a kernel saves or wastes does not change it, so that devices can be compared.
 */

import type { Operation } from "./operation.ts";
import type { Plan } from "./plan.ts";

/** 0 where it is not made of products. The taps of a window that lie in its padding count too. */
export function flopsOf(operation: Operation): number {
  switch (operation.kind) {
    case "convolve":
    case "convolve-data-gradient":
    case "convolve-filter-gradient": {
      const { batch, input, output, size, groups } = operation.window;
      const taps = size * size * (input.channels / groups);
      return 2 * batch * output.height * output.width * output.channels * taps;
    }
    case "dense":
    case "dense-data-gradient":
    case "dense-filter-gradient":
      return 2 * operation.batch * operation.inputs * operation.units;
    default:
      return 0;
  }
}

/** Of one training step, forward and backward, for each of its samples. */
export function flopsPerSample({ forward, backward, microBatch }: Plan): number {
  const flops = [...forward, ...backward].reduce((sum, operation) => sum + flopsOf(operation), 0);
  return flops / microBatch;
}
