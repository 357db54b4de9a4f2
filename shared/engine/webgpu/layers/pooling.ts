/** The launches of pools and their gradients. */

import type { OperationOf, WindowGeometry } from "../../operation.ts";
import type { DeviceTraits } from "../choice/candidate.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import type { PlanMemory } from "../memory.ts";
import { activationConstants, targetConstants, undoneBinding, vectorsOf, type Surroundings } from "./surroundings.ts";

/** Whether windows tile their input exactly, so that a pool's gradient can be written window by window. */
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

type PoolGradient = OperationOf<"max-pool-gradient" | "average-pool-gradient">;

/**
 * Which kernel writes a pool's gradient. With stride 2 an invocation writes a tile of 2 x 2 inputs; where windows of another
 * size tile the input, a whole window; else each input asks the windows that cover it. CIFAR-quick's pool1 (3x3, stride 2,
 * batch 64) in CPU time: input by input 205 ms, by tiles 54 (SwiftShader, 2-core Xeon 2.5 GHz with neighbours, 2026-11-21).
 */
export function poolGradient(operation: PoolGradient, { memory }: Surroundings): Dispatch {
  const { window, outputGradient } = operation;
  if (operation.kind === "max-pool-gradient" && window.stride !== 2 && isTiled(window)) {
    return tiledGradient(operation, memory);
  }
  const stem = operation.kind === "max-pool-gradient" ? "max_pool_gradient" : "average_pool_gradient";
  const slopes = [memory.tensor(outputGradient), vectorsOf(memory, outputGradient)];
  const choices =
    operation.kind === "max-pool-gradient"
      ? [memory.tensor(operation.choice), vectorsOf(memory, operation.choice)]
      : [];
  const bindings = [...slopes, ...choices, ...targetOf(operation, memory)];
  const { batch, input, padding } = window;
  const blocks = Math.ceil(input.channels / 4);
  if (window.stride !== 2) {
    const pixels = batch * input.height * input.width;
    const constants = { ...poolConstants(window), PIXELS: pixels, ...targetConstants(operation) };
    return elementwise(`${operation.name} gradient`, stem, pixels * blocks, constants, bindings);
  }
  const tilesAlong = (length: number): number => Math.floor((length + padding - 1) / 2) - Math.floor(padding / 2) + 1;
  const tiles = batch * tilesAlong(input.height) * tilesAlong(input.width);
  const { STRIDE: _, ...shape } = poolConstants(window);
  const constants = { ...shape, TILES: tiles, ...targetConstants(operation) };
  return elementwise(`${operation.name} gradient`, `${stem}_halves`, tiles * blocks, constants, bindings);
}

function targetOf({ outputGradient, undo, inputGradient }: PoolGradient, memory: PlanMemory): GPUBufferBinding[] {
  return [undoneBinding(undo, memory, memory.tensor(outputGradient)), memory.tensor(inputGradient)];
}

function tiledGradient(operation: OperationOf<"max-pool-gradient">, memory: PlanMemory): Dispatch {
  const { name, window, outputGradient, choice } = operation;
  const { batch, output, size } = window;
  const { height, width, channels } = output;
  const pixels = batch * height * width;
  const constants = {
    OUT_HEIGHT: height,
    OUT_WIDTH: width,
    CHANNELS: channels,
    SIZE: size,
    PIXELS: pixels,
    ...targetConstants(operation),
  };
  const bindings = [memory.tensor(outputGradient), memory.tensor(choice), ...targetOf(operation, memory)];
  const items = pixels * Math.ceil(channels / 4);
  return elementwise(`${name} gradient`, "max_pool_gradient_tiled", items, constants, bindings);
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
