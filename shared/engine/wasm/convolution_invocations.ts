/**
 * The kernel calls of the convolution's three passes, with their padding: a padded copy of the input goes before, a cropped copy
 * of the padded gradient after, and without padding neither.
 */

import { elementsOf } from "../../model/model.ts";
import type { OperationOf, WindowGeometry } from "../operation.ts";
import { addressesOf, call, mask } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";
import { imageRows, rowTables, windowRows } from "./row_tables.ts";
import { chunkImages, paddedImageBytes, paddedLineBytes, stripColumns } from "./scratch.ts";

const WORD_BYTES = 4;

/** Where the windows of a convolution read their input: the tensor itself, or a padded copy that is made first. */
function paddedInput(input: number, window: WindowGeometry, map: MemoryMap): { source: number; first: Invocation[] } {
  if (window.padding === 0) return { source: input, first: [] };
  const source = map.scratch.paddedBytes;
  const lineBytes = window.input.width * window.input.channels * WORD_BYTES;
  const first = [
    call("fillZero", source, window.batch * paddedImageBytes(window)),
    call(
      "pad",
      input,
      lineBytes,
      window.input.height,
      window.batch,
      source + borderBytes(window),
      paddedLineBytes(window),
      paddedImageBytes(window),
    ),
  ];
  return { source, first };
}

/** From the corner of a padded image to the first pixel inside. */
function borderBytes(window: WindowGeometry): number {
  return window.padding * (paddedLineBytes(window) + window.input.channels * WORD_BYTES);
}

export function convolve(operation: OperationOf<"convolve">, map: MemoryMap): Invocation[] {
  const { window, activation } = operation;
  const { size, input, output } = window;
  const { source, first } = paddedInput(map.tensor(operation.input), window, map);
  const { weights, bias } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map,
    windowRows(window, source),
    imageRows(window, map.tensor(operation.output)),
  );
  const runBytes = size * input.channels * WORD_BYTES;
  return [
    ...first,
    call(
      "convolve",
      rowsA,
      rowsC,
      tiles,
      size,
      input.channels,
      paddedLineBytes(window) - runBytes,
      weights,
      output.channels,
      map.scratch.packedBytes,
      stripColumns(size * size * input.channels, output.channels),
      bias,
      Number(activation?.kind === "relu"),
    ),
  ];
}

export function convolveDataGradient(operation: OperationOf<"convolve-data-gradient">, map: MemoryMap): Invocation[] {
  const { window, undo } = operation;
  const { size, input, output, batch, padding } = window;
  const inputGradient = map.tensor(operation.inputGradient);
  const target = padding === 0 ? inputGradient : map.scratch.paddedBytes;
  const { weights } = addressesOf(operation, map.parameters);
  const { rowsA, rowsC, tiles } = rowTables(
    map,
    imageRows(window, map.tensor(operation.outputGradient)),
    windowRows(window, target),
  );
  const lineBytes = input.width * input.channels * WORD_BYTES;
  const crop = call(
    "crop",
    target + borderBytes(window),
    paddedLineBytes(window),
    paddedImageBytes(window),
    batch,
    inputGradient,
    lineBytes,
    input.height,
  );
  return [
    call(
      "convolveDataGradient",
      rowsA,
      rowsC,
      tiles,
      size,
      input.channels,
      paddedLineBytes(window),
      weights,
      output.channels,
      map.scratch.packedBytes,
      target,
      batch * paddedImageBytes(window),
    ),
    ...(padding === 0 ? [] : [crop]),
    ...mask(inputGradient, undo, batch * elementsOf(input), map),
  ];
}

export function convolveFilterGradient(
  operation: OperationOf<"convolve-filter-gradient">,
  map: MemoryMap,
): Invocation[] {
  const { window } = operation;
  const { size, stride, input, output, batch } = window;
  const { source, first } = paddedInput(map.tensor(operation.input), window, map);
  const outputGradient = map.tensor(operation.outputGradient);
  const { weights, bias } = addressesOf(operation, map.gradient);
  return [
    ...first,
    call(
      "convolveFilterGradient",
      source,
      paddedImageBytes(window),
      paddedLineBytes(window),
      outputGradient,
      output.height,
      output.width,
      batch,
      chunkImages(window),
      size,
      input.channels,
      stride,
      output.channels,
      map.scratch.packedBytes,
      weights,
      bias,
    ),
  ];
}
