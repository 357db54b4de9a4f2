/** The kernel calls of pools and their gradients. */

import { elementsOf } from "../../model/model.ts";
import type { OperationOf, WindowGeometry } from "../operation.ts";
import { activated, call, chunksOf, fusedRelu, undone, WORD_BYTES, type Chunk } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";

export function maxPool(operation: OperationOf<"max-pool">, map: MemoryView): Invocation[] {
  const { window, input, activation } = operation;
  const { size, stride, padding, batch, output } = window;
  const target = map.tensor(operation.output);
  return [
    call(
      "maxPool",
      map.tensor(input),
      ...sidesOf(window),
      target,
      map.tensor(operation.choice),
      output.height,
      output.width,
      batch,
      size,
      stride,
      padding,
      fusedRelu(activation),
    ),
    ...activated(target, batch * elementsOf(output), activation),
  ];
}

function sidesOf({ input }: WindowGeometry): readonly number[] {
  return [input.height, input.width, input.channels];
}

export function averagePool(operation: OperationOf<"average-pool">, map: MemoryView): Invocation[] {
  const { window, activation } = operation;
  const { size, stride, padding, batch, output } = window;
  const target = map.tensor(operation.output);
  const places = [output.height, output.width, batch, size, stride, padding];
  return [
    call("averagePool", map.tensor(operation.input), ...sidesOf(window), target, ...places, fusedRelu(activation)),
    ...activated(target, batch * elementsOf(output), activation),
  ];
}

/**
 * Each output's gradient is added where its choice points, into zeros. Windows side by side, of four channels or more, write every
 * element that they cover instead.
 */
export function maxPoolGradient(operation: OperationOf<"max-pool-gradient">, map: MemoryView): Invocation[] {
  const { window, undo, accumulate } = operation;
  const { input, output, size, stride, padding } = window;
  const gradient = map.tensor(operation.inputGradient);
  const isApart = stride >= size && padding === 0 && input.channels >= 4 && !accumulate;
  const covers =
    isApart && stride === size && output.height * size === input.height && output.width * size === input.width;
  return imageChunks(window, undo !== undefined).flatMap((chunk) => {
    const target = gradient + chunk.first * elementsOf(input) * WORD_BYTES;
    const from = chunk.first * elementsOf(output) * WORD_BYTES;
    const slopes = map.tensor(operation.outputGradient) + from;
    const choice = map.tensor(operation.choice) + from;
    return [
      accumulate || covers ? [] : [zeroed(target, window, chunk)],
      isApart
        ? call(
            "maxPoolGradient",
            slopes,
            choice,
            output.height,
            output.width,
            chunk.count,
            target,
            ...sidesOf(window),
            size,
            stride,
          )
        : call(
            "scatterPoolGradient",
            slopes,
            choice,
            elementsOf(output),
            chunk.count,
            target,
            elementsOf(input) * WORD_BYTES,
          ),
      undone(gradient, undo, chunk.count * elementsOf(input), map, chunk.first * elementsOf(input)),
    ].flat();
  });
}

export function averagePoolGradient(operation: OperationOf<"average-pool-gradient">, map: MemoryView): Invocation[] {
  const { window, undo, accumulate } = operation;
  const { input, output, size, stride, padding } = window;
  const gradient = map.tensor(operation.inputGradient);
  return imageChunks(window, true).flatMap((chunk) => {
    const target = gradient + chunk.first * elementsOf(input) * WORD_BYTES;
    const slopes = map.tensor(operation.outputGradient) + chunk.first * elementsOf(output) * WORD_BYTES;
    const places = [output.height, output.width, chunk.count];
    return [
      accumulate ? [] : [zeroed(target, window, chunk)],
      call("averagePoolGradient", slopes, ...places, target, ...sidesOf(window), size, stride, padding),
      undone(gradient, undo, chunk.count * elementsOf(input), map, chunk.first * elementsOf(input)),
    ].flat();
  });
}

function imageChunks({ batch, input }: WindowGeometry, passesTwice: boolean): readonly Chunk[] {
  return chunksOf(batch, elementsOf(input) * WORD_BYTES, passesTwice);
}

function zeroed(target: number, { input }: WindowGeometry, { count }: Chunk): Invocation {
  return call("fillZero", target, count * elementsOf(input) * WORD_BYTES);
}

export function globalAveragePool(operation: OperationOf<"global-average-pool">, map: MemoryView): Invocation[] {
  const { batch, pixels, channels, input, output } = operation;
  return [call("globalAveragePool", map.tensor(input), batch, pixels, channels, map.tensor(output))];
}

export function globalAveragePoolGradient(
  operation: OperationOf<"global-average-pool-gradient">,
  map: MemoryView,
): Invocation[] {
  const { batch, pixels, channels, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  const imageElements = pixels * channels;
  return chunksOf(batch, imageElements * WORD_BYTES, undo !== undefined).flatMap(({ first, count }) => {
    const slopes = map.tensor(operation.outputGradient) + first * channels * WORD_BYTES;
    const target = gradient + first * imageElements * WORD_BYTES;
    return [
      call("globalAveragePoolGradient", slopes, count, pixels, channels, target, Number(accumulate)),
      undone(gradient, undo, count * imageElements, map, first * imageElements),
    ].flat();
  });
}
