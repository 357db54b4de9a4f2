/** The models that a run can name. A model is data: a new one is an entry here, nothing else. */

import type { ModelDescription } from "./model.ts";

const MNIST_INPUT = { height: 28, width: 28, channels: 1 } as const;

export const MODELS = {
  /** Caffe's LeNet for MNIST: 431,080 parameters. */
  lenet: {
    name: "lenet",
    input: MNIST_INPUT,
    classes: 10,
    layers: [
      { kind: "conv2d", name: "conv1", kernel: 5, channels: 20 },
      { kind: "max-pool", name: "pool1", size: 2, stride: 2 },
      { kind: "conv2d", name: "conv2", kernel: 5, channels: 50 },
      { kind: "max-pool", name: "pool2", size: 2, stride: 2 },
      { kind: "dense", name: "fc1", units: 500 },
      { kind: "relu", name: "relu1" },
      { kind: "dense", name: "fc2", units: 10 },
    ],
  },
  /** A small multilayer perceptron: 50,890 parameters. */
  mlp: {
    name: "mlp",
    input: MNIST_INPUT,
    classes: 10,
    layers: [
      { kind: "dense", name: "fc1", units: 64 },
      { kind: "relu", name: "relu1" },
      { kind: "dense", name: "fc2", units: 10 },
    ],
  },
} as const satisfies Record<string, ModelDescription>;

export type ModelName = keyof typeof MODELS;

export function isModelName(name: string): name is ModelName {
  return Object.hasOwn(MODELS, name);
}
