/** The launch that fetches a batch from the data set on the device. */

import { elementsOf } from "../../../model/model.ts";
import type { OperationOf } from "../../operation.ts";
import { elementwise, type Dispatch } from "../dispatch.ts";
import type { Surroundings } from "./surroundings.ts";

export function gather(operation: OperationOf<"gather">, { memory }: Surroundings): Dispatch {
  const { output, labels, augment, tokens } = operation;
  const { microBatch, datasetExamples, model, augmentation, seed } = memory.plan;
  const { height, width, channels } = model.input;
  const sources = [
    { buffer: memory.images },
    { buffer: memory.labels },
    memory.examples,
    { buffer: memory.normalisation },
  ];
  const targets = [memory.tensor(output), memory.tensor(labels)];
  const common = { CHANNELS: channels, BATCH: microBatch, EXAMPLES: datasetExamples };
  if (augment && (augmentation.cropPadding > 0 || augmentation.flip)) {
    const drawn = { CROP_PADDING: augmentation.cropPadding, FLIP: augmentation.flip ? 1 : 0, SEED: seed >>> 0 };
    const constants = { ...common, HEIGHT: height, WIDTH: width, ...drawn };
    const bindings = [...sources, memory.clock, ...targets];
    return elementwise("gather", "gather_augmented", microBatch * height * width, constants, bindings);
  }
  const imageElements = elementsOf(model.input);
  const constants = { ...common, IMAGE_ELEMENTS: imageElements, TOKENS: tokens ? 1 : 0 };
  const words = microBatch * Math.ceil(imageElements / 4);
  return elementwise("gather", "gather", words, constants, [...sources, ...targets]);
}
