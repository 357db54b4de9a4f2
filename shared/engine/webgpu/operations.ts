/** From a plan's operations to kernel launches; those with weights are in `products.ts`. */

import { elementsOf } from "../../model/model.ts";
import type { Operation, OperationOf, WindowGeometry } from "../operation.ts";
import type { Plan } from "../plan.ts";
import { elementwise, type Constants, type Dispatch } from "./dispatch.ts";
import { isTiled, type DeviceTraits } from "./kernel_choice.ts";
import type { PlanMemory } from "./memory.ts";
import {
  dataGradient,
  denseWindow,
  filterGradient,
  forward,
  loweredElements,
  maskOf,
  partialElements,
} from "./products.ts";

/** The words of scratch memory that `operation` needs. */
export function scratchElementsOf(operation: Operation, traits: DeviceTraits): number {
  if (operation.kind === "convolve-filter-gradient") return partialElements(operation.window, traits);
  if (operation.kind === "dense-filter-gradient") return partialElements(denseWindow(operation), traits);
  if (operation.kind === "convolve-data-gradient") return loweredElements(operation.window);
  return 0;
}

export function dispatchesOf(operation: Operation, memory: PlanMemory, traits: DeviceTraits): Dispatch[] {
  switch (operation.kind) {
    case "gather":
      return [gather(operation, memory)];
    case "convolve":
      return [forward(operation, operation.window, memory, traits)];
    case "dense":
      return [forward(operation, denseWindow(operation), memory, traits)];
    case "convolve-data-gradient":
      return dataGradient(operation, operation.window, memory, traits);
    case "dense-data-gradient":
      return dataGradient(operation, denseWindow(operation), memory, traits);
    case "convolve-filter-gradient":
      return filterGradient(operation, operation.window, memory, traits);
    case "dense-filter-gradient":
      return filterGradient(operation, denseWindow(operation), memory, traits);
    case "max-pool":
      return [maxPool(operation, memory)];
    case "max-pool-gradient":
      return [maxPoolGradient(operation, memory)];
    case "softmax-cross-entropy":
      return [softmaxCrossEntropy(operation, memory)];
    default:
      throw new Error(`No WGSL kernel does ${operation.kind}.`);
  }
}

function gather({ output, labels }: OperationOf<"gather">, memory: PlanMemory): Dispatch {
  const { batch, datasetExamples, model, normalisation } = memory.plan;
  const imageElements = elementsOf(model.input);
  const constants = {
    IMAGE_ELEMENTS: imageElements,
    BATCH: batch,
    EXAMPLES: datasetExamples,
    MEAN: normalisation.mean[0]!,
    DEVIATION: normalisation.deviation[0]!,
  };
  const sources = [memory.images, memory.labels, memory.examples].map((buffer) => ({ buffer }));
  const bindings = [...sources, memory.tensor(output), memory.tensor(labels)];
  return elementwise("gather", "gather", batch * Math.ceil(imageElements / 4), constants, bindings);
}

function poolConstants({ input, output, size, stride }: WindowGeometry): Constants {
  return {
    OUT_HEIGHT: output.height,
    OUT_WIDTH: output.width,
    IN_HEIGHT: input.height,
    IN_WIDTH: input.width,
    CHANNELS: input.channels,
    SIZE: size,
    STRIDE: stride,
  };
}

function maxPool(
  { name, window, activation, input, output, choice }: OperationOf<"max-pool">,
  memory: PlanMemory,
): Dispatch {
  const pixels = window.batch * window.output.height * window.output.width;
  const constants = { ...poolConstants(window), PIXELS: pixels, RELU: activation?.kind === "relu" ? 1 : 0 };
  const bindings = [input, output, choice].map((id) => memory.tensor(id));
  return elementwise(`${name} forward`, "max_pool", pixels * Math.ceil(window.input.channels / 4), constants, bindings);
}

function maxPoolGradient(operation: OperationOf<"max-pool-gradient">, memory: PlanMemory): Dispatch {
  const { name, window, outputGradient, choice, inputGradient } = operation;
  const { batch, input, output, size } = window;
  const tiled = isTiled(window);
  const { height, width, channels } = tiled ? output : input;
  const mask = maskOf(operation.undo, memory);
  const gradient = memory.tensor(outputGradient);
  const bindings = [gradient, memory.tensor(choice), mask ?? gradient, memory.tensor(inputGradient)];
  const flags = { PIXELS: batch * height * width, MASK: mask ? 1 : 0 };
  const items = batch * height * width * Math.ceil(channels / 4);
  if (!tiled) {
    const constants = { ...poolConstants(window), ...flags };
    return elementwise(`${name} gradient`, "max_pool_gradient", items, constants, bindings);
  }
  const constants = { OUT_HEIGHT: height, OUT_WIDTH: width, CHANNELS: channels, SIZE: size, ...flags };
  return elementwise(`${name} gradient`, "max_pool_gradient_tiled", items, constants, bindings);
}

function softmaxCrossEntropy(operation: OperationOf<"softmax-cross-entropy">, memory: PlanMemory): Dispatch {
  const { batch, classes, outputs, labels, gradient, losses, correct } = operation;
  const bindings = [outputs, labels, gradient, losses, correct].map((id) => memory.tensor(id));
  return elementwise("loss", "softmax_cross_entropy", batch, { BATCH: batch, CLASSES: classes }, bindings);
}

/** Adds a batch's mean loss to the running total. */
export function lossTotal(plan: Plan, memory: PlanMemory): Dispatch {
  return {
    name: "loss total",
    shader: "accumulate_loss",
    constants: { BATCH: plan.batch },
    bindings: [memory.tensor(plan.losses), { buffer: memory.total }],
    workgroups: [1, 1, 1],
  };
}
