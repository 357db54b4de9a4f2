/** Compares the ranges of a parameter-sized vector that an operation may write, and finds what it should have left alone. */

import type { ParameterTensor } from "../../shared/model/layout.ts";
import { firstOutside } from "./tolerance.ts";

/** The first element of `tensors` outside its allowed error, as a sentence. */
export function wrongRange(
  actual: Float32Array,
  expected: Float64Array,
  allowed: Float64Array,
  tensors: readonly ParameterTensor[],
): string | undefined {
  for (const { name, offset, elements } of tensors) {
    const end = offset + elements;
    const found = firstOutside(
      actual.subarray(offset, end),
      expected.subarray(offset, end),
      allowed.subarray(offset, end),
    );
    if (found) return `${name}: ${found}`;
  }
  return undefined;
}

/** An element outside `tensors` that is not as it was. */
export function touched(
  vector: Float32Array,
  tensors: readonly ParameterTensor[],
  isUntouched: (value: number, index: number) => boolean,
): string | undefined {
  const at = vector.findIndex(
    (value, index) =>
      !isUntouched(value, index) &&
      tensors.every(({ offset, elements }) => index < offset || index >= offset + elements),
  );
  return at < 0
    ? undefined
    : `${tensors.map(({ name }) => name).join(", ")}: element ${at} of the vector was written too`;
}
