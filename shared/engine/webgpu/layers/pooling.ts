/** The launches of pools and their gradients. */

import type { OperationOf, WindowGeometry } from "../../operation.ts";
import type { DeviceTraits } from "../choice/candidate.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import { activationConstants, targetConstants, undoneBinding, vectorsOf, type Surroundings } from "./surroundings.ts";

/**
 * Whether windows tile their input exactly, so that a pool's gradient can be written window by window: 9 ms instead of
 * 36 for LeNet's pool1 at batch 64 (SwiftShader, 2-core Xeon 2.5 GHz, Chromium 156, 2026-11-21).
 */
function isTiled({ input, output, size, stride, padding }: WindowGeometry): boolean {
  const covers = input.height === output.height * size && input.width === output.width * size;
  return size === stride && padding === 0 && covers;
}

function poolConstants({ input, output, size, stride, padding }: WindowGeometry): Constants {
  return {
    OUT_HEIGHT: output.height,
    OUT_WIDTH: output.width,
    IN_HEIGHT: input.height,
    IN_WIDTH: input.width,
    CHANNELS: input.channels,
    SIZE: size,
    STRIDE: stride,
    PADDING: padding,
  };
}

export function pool(operation: OperationOf<"max-pool" | "average-pool">, { memory }: Surroundings): Dispatch {
  const { name, window, activation, input, output } = operation;
  const pixels = window.batch * window.output.height * window.output.width;
  const constants = { ...poolConstants(window), PIXELS: pixels, ...activationConstants(activation) };
  const bindings = [memory.tensor(input), vectorsOf(memory, input), memory.tensor(output)];
  const items = pixels * Math.ceil(window.input.channels / 4);
  return operation.kind === "average-pool"
    ? elementwise(`${name} forward`, "average_pool", items, constants, bindings)
    : elementwise(`${name} forward`, "max_pool", items, constants, [...bindings, memory.tensor(operation.choice)]);
}

export function maxPoolGradient(operation: OperationOf<"max-pool-gradient">, { memory }: Surroundings): Dispatch {
  const { name, window, outputGradient, choice, inputGradient, undo } = operation;
  const { batch, input, output, size } = window;
  const tiled = isTiled(window);
  const { height, width, channels } = tiled ? output : input;
  const slopes = memory.tensor(outputGradient);
  const target = [undoneBinding(undo, memory, slopes), memory.tensor(inputGradient)];
  const pixels = batch * height * width;
  const items = pixels * Math.ceil(channels / 4);
  const given = { PIXELS: pixels, ...targetConstants(operation) };
  if (tiled) {
    const constants = { OUT_HEIGHT: height, OUT_WIDTH: width, CHANNELS: channels, SIZE: size, ...given };
    const bindings = [slopes, memory.tensor(choice), ...target];
    return elementwise(`${name} gradient`, "max_pool_gradient_tiled", items, constants, bindings);
  }
  const asked = [slopes, vectorsOf(memory, outputGradient), memory.tensor(choice), vectorsOf(memory, choice)];
  const constants = { ...poolConstants(window), ...given };
  return elementwise(`${name} gradient`, "max_pool_gradient", items, constants, [...asked, ...target]);
}

export function averagePoolGradient(
  operation: OperationOf<"average-pool-gradient">,
  { memory }: Surroundings,
): Dispatch {
  const { name, window, outputGradient, inputGradient, undo } = operation;
  const { batch, input } = window;
  const pixels = batch * input.height * input.width;
  const slopes = memory.tensor(outputGradient);
  return elementwise(
    `${name} gradient`,
    "average_pool_gradient",
    pixels * Math.ceil(input.channels / 4),
    { ...poolConstants(window), PIXELS: pixels, ...targetConstants(operation) },
    [slopes, vectorsOf(memory, outputGradient), undoneBinding(undo, memory, slopes), memory.tensor(inputGradient)],
  );
}

export function globalAveragePool(operation: OperationOf<"global-average-pool">, { memory }: Surroundings): Dispatch {
  const { name, batch, pixels, channels, input, output } = operation;
  const constants = { BATCH: batch, PIXELS: pixels, CHANNELS: channels };
  return elementwise(`${name} forward`, "global_average_pool", batch * Math.ceil(channels / 4), constants, [
    memory.tensor(input),
    vectorsOf(memory, input),
    memory.tensor(output),
  ]);
}

/** Pixels that an invocation writes: in software each of them is dear. */
function pixelsEach({ isFallback }: DeviceTraits): number {
  return isFallback ? 8 : 1;
}

export function globalAveragePoolGradient(
  operation: OperationOf<"global-average-pool-gradient">,
  { memory, traits }: Surroundings,
): Dispatch {
  const { name, batch, pixels, channels, outputGradient, inputGradient, undo } = operation;
  const lanes = Math.ceil(pixels / pixelsEach(traits));
  const slopes = memory.tensor(outputGradient);
  return elementwise(
    `${name} gradient`,
    "global_average_pool_gradient",
    batch * lanes * Math.ceil(channels / 4),
    { BATCH: batch, PIXELS: pixels, CHANNELS: channels, LANES: lanes, ...targetConstants(operation) },
    [slopes, undoneBinding(undo, memory, slopes), memory.tensor(inputGradient)],
  );
}
