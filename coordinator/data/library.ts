/**
 * The data sets that a run can name: the well-known ones, each with its own way of being fetched, and those that were
 * imported (`import.ts`), each a folder below one root.
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { didYouMean } from "../closest.ts";
import type { CheckOptions } from "./checked_files.ts";
import { describeCifar10, loadCifar10 } from "./cifar10.ts";
import type { Dataset } from "./dataset.ts";
import { readDescription, type DatasetDescription } from "./description.ts";
import { describeFashionMnist, loadFashionMnist } from "./fashion_mnist.ts";
import type { GetOptions, GetResult } from "./get.ts";
import { DataError } from "./idx.ts";
import { describeMnist, loadMnist, mnistFolder } from "./mnist.ts";
import { loadStored, readStored } from "./stored_dataset.ts";

interface BuiltIn {
  load(): Promise<Dataset>;
  /** Throws a `DataError` where it is not there or not whole. */
  describe(options?: CheckOptions): Promise<DatasetDescription>;
  get(options: GetOptions): Promise<GetResult>;
}

export const BUILT_IN_NAMES = ["mnist", "fashion-mnist", "cifar10"] as const;
export type BuiltInName = (typeof BUILT_IN_NAMES)[number];

const BUILT_IN: Readonly<Record<BuiltInName, BuiltIn>> = {
  mnist: {
    load: () => loadMnist(),
    describe: (options) => describeMnist(options),
    // It came with the installation.
    get: async () => ({ description: await describeMnist({ isFull: true }), folder: mnistFolder(), wasThere: true }),
  },
  "fashion-mnist": {
    load: () => loadFashionMnist(),
    describe: (options) => describeFashionMnist(undefined, options),
    get: async (options) => (await import("./fashion_mnist_get.ts")).getFashionMnist(options),
  },
  cifar10: {
    load: () => loadCifar10(),
    describe: (options) => describeCifar10(undefined, options),
    // Loaded only now: PNG and tar are for this alone.
    get: async (options) => (await import("./cifar10_get.ts")).getCifar10(options),
  },
};

/** Of an imported data set, which is the name of its folder. */
export const DATASET_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

export function isBuiltIn(name: string): name is BuiltInName {
  return BUILT_IN_NAMES.some((known) => known === name);
}

/** The names that a run can use: what is built in (some must be fetched first) and what was imported. */
export async function datasetNames(root: string): Promise<string[]> {
  return [...BUILT_IN_NAMES, ...(await importedNames(root))];
}

async function importedNames(root: string): Promise<string[]> {
  const found = (await readdir(root).catch(() => [])).filter((name) => DATASET_NAME.test(name) && !isBuiltIn(name));
  const imported = await Promise.all(
    // One that is damaged is there too; whoever asks for it is told.
    found.map(async (name) => ((await readDescription(join(root, name), "").catch(() => true)) ? [name] : [])),
  );
  return imported.flat().toSorted();
}

/** Loads a built-in or an imported data set; throws a sentence that lists the known names otherwise. */
export async function loadDataset(root: string, name: string): Promise<Dataset> {
  if (isBuiltIn(name)) return BUILT_IN[name].load();
  await requireKnown(root, name);
  return loadStored(join(root, name), fixOf(root, name));
}

/** What is known of it without its images; with `isFull` every byte of its files is checked first. */
export async function describeDataset(
  root: string,
  name: string,
  options: CheckOptions = {},
): Promise<DatasetDescription> {
  if (isBuiltIn(name)) return BUILT_IN[name].describe(options);
  await requireKnown(root, name);
  return readStored(join(root, name), fixOf(root, name), options);
}

/** Brings a well-known data set into this user's cache, verified, where it is not there yet. */
export async function getDataset(name: BuiltInName, options: GetOptions = {}): Promise<GetResult> {
  return BUILT_IN[name].get(options);
}

async function requireKnown(root: string, name: string): Promise<void> {
  const names = await datasetNames(root);
  if (names.includes(name)) return;
  throw new DataError(
    `There is no data set named "${name}"; known here: ${names.join(", ")}.${didYouMean(name, names)} Import one with \`drove data import\`.`,
  );
}

function fixOf(root: string, name: string): string {
  return `remove ${join(root, name)} and import it again`;
}
