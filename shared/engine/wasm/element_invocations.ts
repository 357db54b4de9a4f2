/** The kernel calls of what works element by element or row by row: gathering, activations, dropout, sums, copies, embeddings. */

import { activationCode } from "../activation.ts";
import { elementsOf } from "../../model/model.ts";
import type { OperationOf } from "../operation.ts";
import { channelValue } from "../plan.ts";
import { activated, call, chunksOf, fusedRelu, undone, within, WORD_BYTES } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryView } from "./memory_view.ts";

export function gather({ output, labels, augment, tokens }: OperationOf<"gather">, map: MemoryView): Invocation[] {
  const { model, normalisation, augmentation, seed } = map.plan;
  const { height, width, channels } = model.input;
  const isMoved = augment && (augmentation.cropPadding > 0 || augmentation.flip);
  // Without augmentation an image is one long line.
  const sides = isMoved ? [height, width, channels] : [1, height * width, channels];
  const lineElements = isMoved ? width * channels : elementsOf(model.input);
  const line = (valueOf: (channel: number) => number): number => {
    const values = Float32Array.from({ length: lineElements }, (_, index) => valueOf(index % channels));
    return map.addTable(new Uint32Array(values.buffer));
  };
  const { mean, deviation } = normalisation;
  const scales = line((channel) => (tokens ? 1 : 1 / (255 * channelValue(deviation, channel))));
  const shifts = line((channel) => (tokens ? 0 : -channelValue(mean, channel) / channelValue(deviation, channel)));
  return [
    call(
      "gather",
      map.images,
      map.labels,
      map.examples,
      map.part.count,
      map.part.first,
      ...sides,
      scales,
      shifts,
      isMoved ? augmentation.cropPadding : 0,
      Number(isMoved && augmentation.flip),
      seed,
      map.draw,
      map.tensor(output),
      map.tensor(labels),
    ),
  ];
}

export function activate(operation: OperationOf<"activate">, map: MemoryView): Invocation[] {
  const { elements, activation, input, output } = operation;
  const code = activationCode(activation);
  return [call("activate", map.tensor(input), map.tensor(output), elements, code, activation.slope)];
}

export function activateGradient(operation: OperationOf<"activate-gradient">, map: MemoryView): Invocation[] {
  const { elements, activation, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  const how = [activationCode(activation), activation.slope, Number(accumulate)];
  return chunksOf(elements, WORD_BYTES, undo !== undefined).flatMap(({ first, count }) => {
    const at = first * WORD_BYTES;
    const sources = [map.tensor(operation.input) + at, map.tensor(operation.outputGradient) + at];
    return [
      call("activateGradient", ...sources, gradient + at, count, ...how),
      undone(gradient, undo, count, map, first),
    ].flat();
  });
}

interface Dropping {
  readonly elements: number;
  readonly rate: number;
  readonly salt: number;
}

function dropped(
  input: number,
  output: number,
  { elements, rate, salt }: Dropping,
  accumulates: boolean,
  map: MemoryView,
): Invocation {
  const first = (elements / map.part.count) * map.part.first;
  const dice = [first, map.plan.seed, map.draw, salt];
  return call("dropout", input, output, elements, ...dice, rate * 2 ** 24, 1 / (1 - rate), Number(accumulates));
}

export function dropout(operation: OperationOf<"dropout">, map: MemoryView): Invocation[] {
  return [dropped(map.tensor(operation.input), map.tensor(operation.output), operation, false, map)];
}

export function dropoutGradient(operation: OperationOf<"dropout-gradient">, map: MemoryView): Invocation[] {
  const { elements, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  return [
    dropped(map.tensor(operation.outputGradient), gradient, operation, accumulate, map),
    ...undone(gradient, undo, elements, map),
  ];
}

export function add(operation: OperationOf<"add">, map: MemoryView): Invocation[] {
  const { elements, first, second, activation } = operation;
  const output = map.tensor(operation.output);
  return [
    call("addTensors", map.tensor(first), map.tensor(second), output, elements, fusedRelu(activation)),
    ...activated(output, elements, activation),
  ];
}

export function passGradient(operation: OperationOf<"pass-gradient">, map: MemoryView): Invocation[] {
  const { elements, outputGradient, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  const target = [gradient, 0, Number(accumulate)];
  return [
    call("copyChannels", map.tensor(outputGradient), 0, 1, elements, ...target),
    ...undone(gradient, undo, elements, map),
  ];
}

export function placeChannels(operation: OperationOf<"place-channels">, map: MemoryView): Invocation[] {
  const { rows, channels, input, output, outputChannels, offset } = operation;
  const target = map.tensor(output) + offset * WORD_BYTES;
  const from = [map.tensor(input), channels * WORD_BYTES];
  return [call("copyChannels", ...from, rows, channels, target, outputChannels * WORD_BYTES, 0)];
}

export function takeChannels(operation: OperationOf<"take-channels">, map: MemoryView): Invocation[] {
  const { rows, channels, outputGradient, outputChannels, offset, undo, accumulate } = operation;
  const gradient = map.tensor(operation.inputGradient);
  const from = [map.tensor(outputGradient) + offset * WORD_BYTES, outputChannels * WORD_BYTES];
  return [
    call("copyChannels", ...from, rows, channels, gradient, channels * WORD_BYTES, Number(accumulate)),
    ...undone(gradient, undo, rows * channels, map),
  ];
}

export function embedding(operation: OperationOf<"embedding">, map: MemoryView): Invocation[] {
  const { tokens, vocabulary, width, input, output, weights } = operation;
  const target = map.tensor(output);
  return [call("embed", map.tensor(input), tokens, vocabulary, width, within(weights, map.parameters), target)];
}

export function embeddingGradient(operation: OperationOf<"embedding-gradient">, map: MemoryView): Invocation[] {
  const { tokens, vocabulary, width, input, outputGradient, weights } = operation;
  const gradient = within(weights, map.gradient);
  const slopes = map.tensor(outputGradient);
  return [
    call("fillZero", gradient, vocabulary * width * WORD_BYTES),
    call("embedGradient", map.tensor(input), tokens, vocabulary, width, slopes, gradient),
  ];
}

export function loss(
  operation: OperationOf<"softmax-cross-entropy" | "mean-squared-error">,
  map: MemoryView,
): Invocation[] {
  const { batch, classes, outputs, labels, gradient, losses, correct } = operation;
  const written = [map.tensor(gradient), map.tensor(losses), map.tensor(correct)];
  const kernel = operation.kind === "mean-squared-error" ? "meanSquaredError" : "softmaxCrossEntropy";
  return [call(kernel, map.tensor(outputs), map.tensor(labels), batch, classes, map.stepExamples, ...written)];
}
