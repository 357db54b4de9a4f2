/**
 * CIFAR-10's binary layout: files of records, each one label byte and then 32x32 pixels as a red, a green and a blue
 * plane. Five files to train on and one to test on. Everything else here keeps the three colours of a pixel together
 * (NHWC), so both directions of that change are in this file. `import.ts` takes any folder that has this layout.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DatasetFiles, NamedIdx } from "./dataset.ts";
import { DataError } from "./idx.ts";

export const CIFAR_SIDE = 32;
export const CIFAR_CLASSES = 10;
const CHANNELS = 3;
const PLANE_BYTES = CIFAR_SIDE * CIFAR_SIDE;
export const CIFAR_IMAGE_BYTES = CHANNELS * PLANE_BYTES;
export const CIFAR_RECORD_BYTES = 1 + CIFAR_IMAGE_BYTES;

export const CIFAR_TRAIN_FILES = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);
export const CIFAR_TEST_FILE = "test_batch.bin";

/** Whether a folder with files of these names is meant to hold CIFAR's layout; some may be missing. */
export function looksLikeCifar(fileNames: readonly string[]): boolean {
  return fileNames.some((name) => name === CIFAR_TEST_FILE || CIFAR_TRAIN_FILES.includes(name));
}

/** Reads the six files, or throws a `DataError` that names the one which is missing or wrong. */
export async function readCifarFolder(folder: string): Promise<DatasetFiles> {
  const read = async (name: string): Promise<[string, Uint8Array]> => {
    const path = join(folder, name);
    return [path, await readFile(path).catch((error: NodeJS.ErrnoException) => refuseUnread(folder, name, error))];
  };
  const train = await Promise.all(CIFAR_TRAIN_FILES.map(read));
  const test = await Promise.all([CIFAR_TEST_FILE].map(read));
  const [trainImages, trainLabels] = decodeCifar(train, join(folder, "data_batch_1.bin … data_batch_5.bin"));
  const [testImages, testLabels] = decodeCifar(test, join(folder, CIFAR_TEST_FILE));
  return { trainImages, trainLabels, testImages, testLabels };
}

/** Records of several files, in order, as images [count, 32, 32, 3] and labels [count]. `file` is for later sentences. */
function decodeCifar(
  files: readonly (readonly [path: string, bytes: Uint8Array])[],
  file: string,
): readonly [images: NamedIdx, labels: NamedIdx] {
  const counts = files.map(([path, bytes]) => checkedCount(bytes, path));
  const count = counts.reduce((sum, own) => sum + own, 0);
  const images = new Uint8Array(count * CIFAR_IMAGE_BYTES);
  const labels = new Uint8Array(count);
  let at = 0;
  for (const [path, bytes] of files) {
    for (let record = 0; record < bytes.length; record += CIFAR_RECORD_BYTES, at++) {
      const label = bytes[record]!;
      if (label >= CIFAR_CLASSES) {
        throw new DataError(
          `${path} has the label ${label} in record ${record / CIFAR_RECORD_BYTES}; CIFAR-10's labels are 0 to 9, so copy it again from its source.`,
        );
      }
      labels[at] = label;
      interleave(bytes, record + 1, images, at * CIFAR_IMAGE_BYTES);
    }
  }
  return [
    { file, dimensions: [count, CIFAR_SIDE, CIFAR_SIDE, CHANNELS], values: images },
    { file, dimensions: [count], values: labels },
  ];
}

/** The other direction: images [count, 32, 32, 3] and labels [count] as one file's bytes. */
export function encodeCifar(images: Uint8Array, labels: ArrayLike<number>): Uint8Array {
  if (images.length !== labels.length * CIFAR_IMAGE_BYTES) {
    throw new Error(`invariant violation: ${images.length} bytes of images for ${labels.length} labels`);
  }
  const bytes = new Uint8Array(labels.length * CIFAR_RECORD_BYTES);
  for (let index = 0; index < labels.length; index++) {
    const record = index * CIFAR_RECORD_BYTES;
    bytes[record] = labels[index]!;
    for (let pixel = 0, from = index * CIFAR_IMAGE_BYTES; pixel < PLANE_BYTES; pixel++, from += CHANNELS) {
      for (let channel = 0; channel < CHANNELS; channel++) {
        bytes[record + 1 + channel * PLANE_BYTES + pixel] = images[from + channel]!;
      }
    }
  }
  return bytes;
}

function interleave(planes: Uint8Array, from: number, images: Uint8Array, to: number): void {
  for (let pixel = from, target = to; pixel < from + PLANE_BYTES; pixel++, target += CHANNELS) {
    images[target] = planes[pixel]!;
    images[target + 1] = planes[pixel + PLANE_BYTES]!;
    images[target + 2] = planes[pixel + 2 * PLANE_BYTES]!;
  }
}

function checkedCount({ length }: Uint8Array, path: string): number {
  if (length > 0 && length % CIFAR_RECORD_BYTES === 0) return length / CIFAR_RECORD_BYTES;
  throw new DataError(
    `${path} holds ${length} bytes, which are no whole number of records of ${CIFAR_RECORD_BYTES} bytes; copy it again from its source.`,
  );
}

function refuseUnread(folder: string, name: string, { code }: NodeJS.ErrnoException): never {
  throw new DataError(
    code === "ENOENT"
      ? `${folder} has no ${name}; CIFAR-10's layout is ${CIFAR_TRAIN_FILES.join(", ")} and ${CIFAR_TEST_FILE}.`
      : `${join(folder, name)} cannot be read (${code ?? "unknown error"}); check that it may be read.`,
  );
}
