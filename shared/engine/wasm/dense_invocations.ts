/** The kernel calls of the dense layer's three passes. */

import type { OperationOf } from "../operation.ts";
import { activated, ADD, addressesOf, call, fusedRelu, undone, WORD_BYTES } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";
import { stripColumns } from "./scratch.ts";

/** Where the rows of a matrix begin. */
function rowOffsets(rows: number, columns: number, map: MemoryView): number {
  return map.addTable(Uint32Array.from({ length: rows }, (_, row) => row * columns * WORD_BYTES));
}

export function dense(operation: OperationOf<"dense">, map: MemoryView): Invocation[] {
  const { batch, inputs, units, activation } = operation;
  const { weights, bias } = addressesOf(operation, map.parameters);
  const output = map.tensor(operation.output);
  return [
    call(
      "dense",
      rowOffsets(batch, inputs, map),
      map.tensor(operation.input),
      rowOffsets(batch, units, map),
      output,
      batch,
      inputs,
      units,
      weights,
      map.scratch.packedBytes,
      stripColumns(inputs, units),
      bias || map.zeros,
      fusedRelu(activation),
    ),
    ...activated(output, batch * units, activation),
  ];
}

export function denseDataGradient(operation: OperationOf<"dense-data-gradient">, map: MemoryView): Invocation[] {
  const { batch, inputs, units, undo, accumulate } = operation;
  const inputGradient = map.tensor(operation.inputGradient);
  const { weights } = addressesOf(operation, map.parameters);
  return [
    call(
      "denseDataGradient",
      rowOffsets(batch, units, map),
      map.tensor(operation.outputGradient),
      rowOffsets(batch, inputs, map),
      inputGradient,
      batch,
      inputs,
      units,
      weights,
      map.scratch.packedBytes,
      stripColumns(units, inputs),
      accumulate ? ADD : map.zeros,
    ),
    ...undone(inputGradient, undo, batch * inputs, map),
  ];
}

export function denseFilterGradient(operation: OperationOf<"dense-filter-gradient">, map: MemoryView): Invocation[] {
  const { batch, inputs, units } = operation;
  const outputGradient = map.tensor(operation.outputGradient);
  const { weights, bias } = addressesOf(operation, map.gradient);
  return [
    call(
      "denseFilterGradient",
      map.tensor(operation.input),
      outputGradient,
      batch,
      inputs,
      units,
      map.scratch.packedBytes,
      weights,
      bias,
    ),
  ];
}
