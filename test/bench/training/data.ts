/** Real training images for the benchmark, as bytes. */

import { cifar10Examples } from "../../support/cifar_examples.ts";
import { mnistExamples } from "../../support/mnist_examples.ts";
import type { DatasetName } from "./workloads.ts";

export interface Examples {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** The first `count` training examples. */
export function trainingExamples(dataset: DatasetName, count: number): Promise<Examples> {
  switch (dataset) {
    case "mnist":
      return Promise.resolve(mnistExamples(count));
    case "cifar10":
      return cifar10Examples(count);
    default:
      return dataset satisfies never;
  }
}
