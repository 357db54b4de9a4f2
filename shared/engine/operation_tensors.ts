/**
 * Which tensors and parameters an operation reads and writes, for everybody who orders, places, examines or times operations
 * without knowing what they calculate.
 */

import type { ParameterTensor } from "../model/layout.ts";
import type { Operation, OperationKind, TensorId } from "./operation.ts";

/** The fields of operations that name tensors, by what is done with them. */
const READ_FIELDS = [
  "input",
  "outputGradient",
  "choice",
  "mean",
  "inverseDeviation",
  "addend",
  "first",
  "second",
  "outputs",
];
const WRITTEN_FIELDS = ["output", "inputGradient", "gradient", "losses", "correct"];
/** Fields that some operations write and others read. */
const WRITTEN_BY: Readonly<Record<string, readonly OperationKind[]>> = {
  labels: ["gather"],
  choice: ["max-pool"],
  mean: ["batch-norm-statistics", "layer-norm"],
  inverseDeviation: ["batch-norm-statistics", "layer-norm"],
};

/** Every tensor that an operation writes; one that it accumulates into is read as well. */
export function writtenBy(operation: Operation): readonly TensorId[] {
  const shared = Object.entries(WRITTEN_BY).flatMap(([field, kinds]) =>
    kinds.includes(operation.kind) ? [field] : [],
  );
  return tensorsIn(operation, [...WRITTEN_FIELDS, ...shared]);
}

/** Every tensor that an operation reads. */
export function readBy(operation: Operation): readonly TensorId[] {
  const fields = [...READ_FIELDS, "labels"].filter((field) => !WRITTEN_BY[field]?.includes(operation.kind));
  const read = [...tensorsIn(operation, fields)];
  if ("undo" in operation && operation.undo) read.push(operation.undo.output);
  if ("accumulate" in operation && operation.accumulate) read.push(operation.inputGradient);
  if (operation.kind === "batch-norm" && operation.statistics.from === "batch") {
    read.push(operation.statistics.mean, operation.statistics.inverseDeviation);
  }
  return read;
}

/** Every tensor that an operation touches. */
export function tensorsOf(operation: Operation): readonly TensorId[] {
  return [...new Set([...readBy(operation), ...writtenBy(operation)])];
}

function tensorsIn(operation: Operation, fields: readonly string[]): TensorId[] {
  const values = operation as unknown as Readonly<Record<string, unknown>>;
  return fields.flatMap((field) => (typeof values[field] === "number" ? [values[field]] : []));
}

/** Parameter tensors whose gradients an operation writes. */
export function gradientsWrittenBy(operation: Operation): readonly ParameterTensor[] {
  switch (operation.kind) {
    case "convolve-filter-gradient":
    case "dense-filter-gradient":
      return operation.bias ? [operation.weights, operation.bias] : [operation.weights];
    case "batch-norm-scale-gradient":
    case "layer-norm-scale-gradient":
      return [operation.scale, operation.shift];
    case "embedding-gradient":
      return [operation.weights];
    default:
      return [];
  }
}
