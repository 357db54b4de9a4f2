/** A center taken apart into its named tensors, as whoever takes it home sees them. */

import type { ParameterLayout, ParameterTensor } from "../../shared/model/layout.ts";

export interface CenterTensor {
  readonly tensor: ParameterTensor;
  /** A view of the center, but for variances. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** By name, in the layout's order. A variance that pulls have brought below zero is zero, as evaluation has it (SPEC E9). */
export function centerTensors(
  layout: ParameterLayout,
  parameters: Float32Array<ArrayBuffer>,
): ReadonlyMap<string, CenterTensor> {
  if (parameters.length !== layout.elements) {
    throw new Error(`invariant violation: ${parameters.length} parameters for a layout of ${layout.elements}`);
  }
  return new Map(
    layout.tensors.map((tensor) => {
      const { name, offset, elements } = tensor;
      const values = parameters.subarray(offset, offset + elements);
      return [
        name,
        { tensor, values: name.endsWith(".variance") ? values.map((value) => Math.max(0, value)) : values },
      ];
    }),
  );
}
