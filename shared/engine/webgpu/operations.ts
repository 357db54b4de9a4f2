/**
 * From a plan's operations to kernel launches. A dense layer is a convolution whose images have one pixel, so the six
 * passes with weights need two kernels: an implicit GEMM over windows, and one over pixels for the filter gradients.
 */

import { elementsOf, type ImageShape } from "../../model/model.ts";
import type { Operation, Plan, TensorId, Weighted, WindowGeometry } from "../plan.ts";
import { elementwise, type Constants, type Dispatch } from "./dispatch.ts";
import { chooseSplit, chooseTile, isLowered, type DeviceTraits, type Tile } from "./kernel_choice.ts";
import type { PlanMemory } from "./memory.ts";

type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

/** The words of scratch memory that `operation` needs. */
export function scratchElementsOf(operation: Operation, traits: DeviceTraits): number {
  switch (operation.kind) {
    case "convolve-filter-gradient":
      return partialElements(operation.window, traits);
    case "dense-filter-gradient":
      return partialElements(denseWindow(operation), traits);
    case "convolve-data-gradient":
      return isLowered(operation.window) ? pixelsOf(operation.window) * depthOf(operation.window) : 0;
    default:
      return 0;
  }
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
      return isLowered(operation.window)
        ? loweredDataGradient(operation, memory, traits)
        : [dataGradient(operation, operation.window, memory, traits)];
    case "dense-data-gradient":
      return [dataGradient(operation, denseWindow(operation), memory, traits)];
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
      return operation satisfies never;
  }
}

function gather({ output, labels }: OperationOf<"gather">, memory: PlanMemory): Dispatch {
  const { batch, datasetExamples, model, normalisation } = memory.plan;
  const imageElements = elementsOf(model.input);
  return elementwise(
    "gather",
    "gather",
    batch * Math.ceil(imageElements / 4),
    {
      IMAGE_ELEMENTS: imageElements,
      BATCH: batch,
      EXAMPLES: datasetExamples,
      MEAN: normalisation.mean,
      DEVIATION: normalisation.deviation,
    },
    [
      { buffer: memory.images },
      { buffer: memory.labels },
      { buffer: memory.examples },
      memory.tensor(output),
      memory.tensor(labels),
    ],
  );
}

/** A dense layer as a window over images of one pixel. */
function denseWindow({ batch, inputs, units }: { batch: number; inputs: number; units: number }): WindowGeometry {
  const pixel = (channels: number): ImageShape => ({ height: 1, width: 1, channels });
  return { batch, input: pixel(inputs), output: pixel(units), size: 1, stride: 1, padding: 0 };
}

function pixelsOf({ batch, output }: WindowGeometry): number {
  return batch * output.height * output.width;
}

/** Products that an output sums: k of the GEMM. */
function depthOf({ size, input }: WindowGeometry): number {
  return size * size * input.channels;
}

/** The constants of a window that convolve and filter_gradient share. */
function windowConstants(window: WindowGeometry): Constants {
  const { input, output, size, stride, padding } = window;
  return {
    PIXELS: pixelsOf(window),
    OUT_HEIGHT: output.height,
    OUT_WIDTH: output.width,
    OUT_CHANNELS: output.channels,
    IN_HEIGHT: input.height,
    IN_WIDTH: input.width,
    IN_CHANNELS: input.channels,
    SIZE: size,
    STRIDE: stride,
    PADDING: padding,
  };
}

function tileConstants({ rows, columns, invocations }: Tile): Constants {
  return { ROWS: rows, COLUMNS: columns, INVOCATIONS: invocations };
}

interface Convolution {
  readonly name: string;
  readonly window: WindowGeometry;
  readonly flags: Constants;
  readonly input: GPUBufferBinding;
  readonly weights: GPUBufferBinding;
  readonly bias?: GPUBufferBinding;
  readonly mask?: GPUBufferBinding | undefined;
  readonly output: GPUBufferBinding;
}

function convolution(
  { name, window, flags, input, weights, bias, mask, output }: Convolution,
  traits: DeviceTraits,
): Dispatch {
  const pixels = pixelsOf(window);
  const tile = chooseTile(traits, window.output.channels, pixels);
  const { rows, columns, invocations } = tile;
  return {
    name,
    shader: tile.variant === "quads" ? "convolve_quads" : "convolve",
    constants: { ...windowConstants(window), ...tileConstants(tile), ...flags, BIAS: bias ? 1 : 0, MASK: mask ? 1 : 0 },
    // A binding that a flag turns off still needs a buffer.
    bindings: [input, wholeVectors(input), weights, bias ?? weights, mask ?? input, output],
    workgroups: [Math.ceil(pixels / (4 * columns * invocations)), Math.ceil(window.output.channels / rows), 1],
  };
}

/** The same range seen as vectors of 4, its last words included: buffers are padded to whole vectors. */
function wholeVectors({ buffer, offset = 0, size = 0 }: GPUBufferBinding): GPUBufferBinding {
  return { buffer, offset, size: Math.ceil(size / 16) * 16 };
}

type Forward = OperationOf<"convolve"> | OperationOf<"dense">;

function forward(operation: Forward, window: WindowGeometry, memory: PlanMemory, traits: DeviceTraits): Dispatch {
  return convolution(
    {
      name: `${operation.name} forward`,
      window,
      flags: { RELU: operation.relu ? 1 : 0 },
      input: memory.tensor(operation.input),
      weights: memory.parameter(operation.weights),
      bias: memory.parameter(operation.bias),
      output: memory.tensor(operation.output),
    },
    traits,
  );
}

type DataGradient = OperationOf<"convolve-data-gradient"> | OperationOf<"dense-data-gradient">;

/** The convolution of the output gradient with the filter turned round: what was stride becomes upsampling. */
function dataGradient(
  operation: DataGradient,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch {
  const { batch, input, output, size, stride, padding } = window;
  return convolution(
    {
      name: `${operation.name} data gradient`,
      window: { batch, input: output, output: input, size, stride: 1, padding: size - 1 - padding },
      flags: { TRANSPOSED: 1, UPSAMPLING: stride },
      input: memory.tensor(operation.outputGradient),
      weights: memory.parameter(operation.weights),
      mask: maskOf(operation.reluOutput, memory),
      output: memory.tensor(operation.inputGradient),
    },
    traits,
  );
}

/** A GEMM gives the gradient at every window's elements; folding adds those that are the same input. */
function loweredDataGradient(
  operation: OperationOf<"convolve-data-gradient">,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch[] {
  const { window, name } = operation;
  const depth = depthOf(window);
  const columns = denseWindow({ batch: pixelsOf(window), inputs: window.output.channels, units: depth });
  const scratch = { buffer: memory.scratch, offset: 0, size: pixelsOf(window) * depth * 4 };
  const inputGradient = memory.tensor(operation.inputGradient);
  const { PIXELS: _pixels, OUT_CHANNELS: _outChannels, ...geometry } = windowConstants(window);
  const inputs = window.batch * elementsOf(window.input);
  const mask = maskOf(operation.reluOutput, memory);
  return [
    convolution(
      {
        name: `${name} data gradient, columns`,
        window: columns,
        flags: { TRANSPOSED: 1 },
        input: memory.tensor(operation.outputGradient),
        weights: memory.parameter(operation.weights),
        output: scratch,
      },
      traits,
    ),
    elementwise(`${name} data gradient, fold`, "fold", inputs, { ...geometry, INPUTS: inputs, MASK: mask ? 1 : 0 }, [
      scratch,
      mask ?? scratch,
      inputGradient,
    ]),
  ];
}

function maskOf(reluOutput: TensorId | undefined, memory: PlanMemory): GPUBufferBinding | undefined {
  return reluOutput === undefined ? undefined : memory.tensor(reluOutput);
}

/** Words of the copies that a split filter gradient writes; none where it writes the gradient itself. */
function partialElements(window: WindowGeometry, traits: DeviceTraits): number {
  const channels = window.output.channels;
  const depth = depthOf(window);
  const { splits } = chooseSplit(traits, channels, depth + 1, pixelsOf(window));
  return splits === 1 ? 0 : splits * (depth + 1) * channels;
}

type FilterGradient = OperationOf<"convolve-filter-gradient"> | OperationOf<"dense-filter-gradient">;

function filterGradient(
  operation: FilterGradient,
  window: WindowGeometry,
  memory: PlanMemory,
  traits: DeviceTraits,
): Dispatch[] {
  const channels = window.output.channels;
  // The bias is one more row of weights.
  const rowsOfWeights = depthOf(window) + 1;
  const { chunk, splits } = chooseSplit(traits, channels, rowsOfWeights, pixelsOf(window));
  const tile = chooseTile(traits, channels, rowsOfWeights, splits);
  const input = memory.tensor(operation.input);
  const elements = rowsOfWeights * channels;
  const target = splits === 1 ? targetOf(operation) : { WEIGHTS_OFFSET: 0, BIAS_OFFSET: depthOf(window) * channels };
  const gradient = { buffer: memory.vectors.gradient };
  const partials = { buffer: memory.scratch, offset: 0, size: splits * elements * 4 };
  const product: Dispatch = {
    name: `${operation.name} filter gradient`,
    shader: tile.variant === "quads" ? "filter_gradient_quads" : "filter_gradient",
    constants: {
      ...windowConstants(window),
      ...tileConstants(tile),
      ...target,
      CHUNK: chunk,
      SPLIT_ELEMENTS: elements,
    },
    bindings: [input, wholeVectors(input), memory.tensor(operation.outputGradient), splits === 1 ? gradient : partials],
    workgroups: [
      Math.ceil(rowsOfWeights / (4 * tile.columns * tile.invocations)),
      Math.ceil(channels / tile.rows),
      splits,
    ],
  };
  if (splits === 1) return [product];
  const sum = elementwise(
    `${operation.name} filter gradient, sum`,
    "sum_partials",
    elements,
    { ...targetOf(operation), SPLITS: splits, WEIGHTS: depthOf(window) * channels, CHANNELS: channels },
    [partials, gradient],
  );
  return [product, sum];
}

function targetOf({ weights, bias }: Weighted): Constants {
  return { WEIGHTS_OFFSET: weights.offset, BIAS_OFFSET: bias.offset };
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

function maxPool(operation: OperationOf<"max-pool">, memory: PlanMemory): Dispatch {
  const { name, window, relu, input, output, choice } = operation;
  const outputs = window.batch * elementsOf(window.output);
  return elementwise(
    `${name} forward`,
    "max_pool",
    outputs,
    { ...poolConstants(window), OUTPUTS: outputs, RELU: relu ? 1 : 0 },
    [memory.tensor(input), memory.tensor(output), memory.tensor(choice)],
  );
}

function maxPoolGradient(operation: OperationOf<"max-pool-gradient">, memory: PlanMemory): Dispatch {
  const { name, window, outputGradient, choice, inputGradient } = operation;
  const inputs = window.batch * elementsOf(window.input);
  const mask = maskOf(operation.reluOutput, memory);
  const gradient = memory.tensor(outputGradient);
  return elementwise(
    `${name} gradient`,
    "max_pool_gradient",
    inputs,
    { ...poolConstants(window), INPUTS: inputs, MASK: mask ? 1 : 0 },
    [gradient, memory.tensor(choice), mask ?? gradient, memory.tensor(inputGradient)],
  );
}

function softmaxCrossEntropy(operation: OperationOf<"softmax-cross-entropy">, memory: PlanMemory): Dispatch {
  const { batch, classes, logits, labels, gradient, losses, correct } = operation;
  const tensors = [logits, labels, gradient, losses, correct].map((id) => memory.tensor(id));
  return elementwise("loss", "softmax_cross_entropy", batch, { BATCH: batch, CLASSES: classes }, tensors);
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
