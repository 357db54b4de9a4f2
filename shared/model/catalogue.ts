/**
 * The models that a run can name. A model is data: the small ones are written out here, the deep ones are put together by
 * `networks.ts`. Parameter counts are those of the literature (test/null/catalogue.test.ts).
 */

import type { ModelDescription } from "./model.ts";
import { caffenet, denseNet, resNet20, resNet50 } from "./networks.ts";

const MNIST_INPUT = { height: 28, width: 28, channels: 1 } as const;
const CIFAR_INPUT = { height: 32, width: 32, channels: 3 } as const;

export const MODELS = {
  /** Multinomial logistic regression: 7,850 parameters. Convex. */
  logistic: {
    name: "logistic",
    input: MNIST_INPUT,
    classes: 10,
    layers: [{ kind: "dense", name: "fc", units: 10 }],
  },
  /** A multilayer perceptron, 784-256-128-10: 235,146 parameters. */
  mlp: {
    name: "mlp",
    input: MNIST_INPUT,
    classes: 10,
    layers: [
      { kind: "dense", name: "fc1", units: 256 },
      { kind: "relu", name: "relu1" },
      { kind: "dense", name: "fc2", units: 128 },
      { kind: "relu", name: "relu2" },
      { kind: "dense", name: "fc3", units: 10 },
    ],
  },
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
  /** Caffe's quick net for CIFAR-10: 145,578 parameters. */
  "cifar-quick": {
    name: "cifar-quick",
    input: CIFAR_INPUT,
    classes: 10,
    layers: [
      { kind: "conv2d", name: "conv1", kernel: 5, padding: 2, channels: 32 },
      { kind: "max-pool", name: "pool1", size: 3, stride: 2, ceil: true },
      { kind: "relu", name: "relu1" },
      { kind: "conv2d", name: "conv2", kernel: 5, padding: 2, channels: 32 },
      { kind: "relu", name: "relu2" },
      { kind: "average-pool", name: "pool2", size: 3, stride: 2, ceil: true },
      { kind: "conv2d", name: "conv3", kernel: 5, padding: 2, channels: 64 },
      { kind: "relu", name: "relu3" },
      { kind: "average-pool", name: "pool3", size: 3, stride: 2, ceil: true },
      { kind: "dense", name: "ip1", units: 64 },
      { kind: "dense", name: "ip2", units: 10 },
    ],
  },
  /** He et al. 2015 for CIFAR-10, with projections where a block shrinks the image: 272,474 parameters. */
  "resnet-20": resNet20(CIFAR_INPUT),
  /** AlexNet as Caffe has it, 227x227, local response norm and groups: 60,965,224 parameters. */
  caffenet: caffenet(),
  /** Huang et al. 2016 for CIFAR-10, depth 40, growth 12, no bottleneck: 1,019,722 parameters. */
  "densenet-40-12": denseNet(CIFAR_INPUT),
  /** He et al. 2015 for ImageNet, 224x224, the stride in the 3x3 convolution: 25,557,032 parameters. */
  "resnet-50": resNet50(),
} as const satisfies Record<string, ModelDescription>;

export type ModelName = keyof typeof MODELS;

export function isModelName(name: string): name is ModelName {
  return Object.hasOwn(MODELS, name);
}
