/**
 * A data set as Drove keeps it: four IDX files and `dataset.json` in one folder. Imported sets lie so beside the runs, and
 * fetched ones in the user's cache.
 */

import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Random } from "../../shared/random.ts";
import type { CheckOptions } from "./checked_files.ts";
import { assembleDataset, type Dataset, type Examples } from "./dataset.ts";
import { describeFiles, factsOf, readDescription, requireWhole, type DatasetDescription } from "./description.ts";
import { DataError, idxHeader } from "./idx.ts";
import { readFour } from "./import_files.ts";

export const STORED_FILES = ["trainImages.idx", "trainLabels.idx", "testImages.idx", "testLabels.idx"] as const;

/**
 * Into an empty folder; the examples of each part in the one random order that `seed` gives, so that any stretch of them is
 * a fair sample. `source` says where the data came from.
 */
export async function storeDataset(
  folder: string,
  dataset: Dataset,
  { source, seed }: { readonly source: string; readonly seed: number },
): Promise<DatasetDescription> {
  const { height, width, channels } = dataset.shape;
  const [train, test] = [dataset.train, dataset.test].map((part) => inOrder(part, randomOrder(part.count, seed))) as [
    Examples,
    Examples,
  ];
  const parts: readonly (readonly [dimensions: readonly number[], values: Uint8Array])[] = [
    [[train.count, height, width, channels], train.images],
    [[train.count], train.labels],
    [[test.count, height, width, channels], test.images],
    [[test.count], test.labels],
  ];
  for (const [index, [dimensions, values]] of parts.entries()) {
    const file = await open(join(folder, STORED_FILES[index]!), "wx");
    try {
      await writeAll(file, idxHeader(dimensions));
      await writeAll(file, values);
      await file.sync();
    } finally {
      await file.close();
    }
  }
  return describeFiles(folder, factsOf(dataset, source), STORED_FILES);
}

/** The description, or a `DataError`; `fix` ends the sentences. */
export async function readStored(folder: string, fix: string, options?: CheckOptions): Promise<DatasetDescription> {
  const description = await readDescription(folder, fix);
  if (!description) throw new DataError(`${folder} holds no data set of Drove's; ${fix}.`);
  await requireWhole(folder, description, fix, options);
  return description;
}

export async function loadStored(folder: string, fix: string): Promise<Dataset> {
  const description = await readStored(folder, fix);
  const [trainImages, trainLabels, testImages, testLabels] = STORED_FILES.map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  return assembleDataset(description, await readFour({ trainImages, trainLabels, testImages, testLabels }));
}

export function randomOrder(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  new Random(seed).shuffle(order);
  return order;
}

function inOrder({ images, labels, count }: Examples, order: Uint32Array): Examples {
  const imageBytes = images.length / count;
  const sorted = { images: new Uint8Array(images.length), labels: new Uint8Array(count), count };
  for (const [to, from] of order.entries()) {
    sorted.images.set(images.subarray(from * imageBytes, (from + 1) * imageBytes), to * imageBytes);
    sorted.labels[to] = labels[from]!;
  }
  return sorted;
}

export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
}
