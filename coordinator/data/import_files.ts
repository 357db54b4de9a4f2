/**
 * The files that `drove data import` finds in a folder: four of IDX under the names that MNIST and its successors use, or six
 * in CIFAR's binary layout. Folders of images are `image_folder.ts`' matter.
 */

import { join } from "node:path";
import { CIFAR_TEST_FILE, CIFAR_TRAIN_FILES, looksLikeCifar, readCifarFolder } from "./cifar_binary.ts";
import type { DatasetFiles, NamedIdx } from "./dataset.ts";
import { DataError, readIdxFile } from "./idx.ts";

/** Paths. */
export interface FourFiles {
  readonly trainImages: string;
  readonly trainLabels: string;
  readonly testImages: string;
  readonly testLabels: string;
}

const PARTS = ["trainImages", "trainLabels", "testImages", "testLabels"] as const;

/** Matches MNIST's, Fashion-MNIST's, KMNIST's and EMNIST's file names. */
const PATTERNS: Readonly<Record<keyof FourFiles, RegExp>> = {
  trainImages: /(^|-)train-images[-.]idx[34]-ubyte(\.gz)?$/,
  trainLabels: /(^|-)train-labels[-.]idx1-ubyte(\.gz)?$/,
  testImages: /(^|-)(t10k|test)-images[-.]idx[34]-ubyte(\.gz)?$/,
  testLabels: /(^|-)(t10k|test)-labels[-.]idx1-ubyte(\.gz)?$/,
};

export const CIFAR_FILES_IN_WORDS = `${CIFAR_TRAIN_FILES[0]} to ${CIFAR_TEST_FILE}`;

/** What files of these names in one folder are meant to be. */
export function layoutOf(names: readonly string[]): "cifar" | "idx" | undefined {
  if (looksLikeCifar(names)) return "cifar";
  return names.some((name) => PARTS.some((part) => PATTERNS[part].test(name))) ? "idx" : undefined;
}

export async function readLayout(
  folder: string,
  names: readonly string[],
  layout: "cifar" | "idx",
): Promise<DatasetFiles> {
  return layout === "cifar" ? readCifarFolder(folder) : readFour(findFour(folder, names));
}

export async function readFour(paths: FourFiles): Promise<DatasetFiles> {
  const [trainImages, trainLabels, testImages, testLabels] = await Promise.all([
    readNamed(paths.trainImages),
    readNamed(paths.trainLabels),
    readNamed(paths.testImages),
    readNamed(paths.testLabels),
  ]);
  return { trainImages, trainLabels, testImages, testLabels };
}

async function readNamed(file: string): Promise<NamedIdx> {
  return { file, ...(await readIdxFile(file)) };
}

function findFour(folder: string, names: readonly string[]): FourFiles {
  const find = (part: keyof FourFiles): string => {
    const matching = names.filter((name) => PATTERNS[part].test(name));
    if (matching.length !== 1) {
      const found = matching.length === 0 ? "none" : matching.join(" and ");
      throw new DataError(`${folder} must hold exactly one file like ${example(part)} (or .gz); found ${found}.`);
    }
    return join(folder, matching[0]!);
  };
  return {
    trainImages: find("trainImages"),
    trainLabels: find("trainLabels"),
    testImages: find("testImages"),
    testLabels: find("testLabels"),
  };
}

function example(part: keyof FourFiles): string {
  const [set, kind] = [
    part.startsWith("train") ? "train" : "t10k",
    part.endsWith("Images") ? "images-idx3" : "labels-idx1",
  ];
  return `${set}-${kind}-ubyte`;
}
