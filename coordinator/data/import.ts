/**
 * Data sets of one's own (`drove data import`): four IDX files, or a folder in CIFAR's binary layout, are checked as a
 * whole and copied as IDX into `<root>/<name>/` with a description beside them; from then on a run can name them as it
 * names `mnist`.
 */

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { loadCifar10 } from "./cifar10.ts";
import { CIFAR_TRAIN_FILES, CIFAR_TEST_FILE, looksLikeCifar, readCifarFolder } from "./cifar_binary.ts";
import { assembleDataset, type Dataset, type DatasetFiles, type NamedIdx } from "./dataset.ts";
import { DataError, readIdxFile, type Idx } from "./idx.ts";
import { loadMnist } from "./mnist.ts";

interface FourFiles {
  readonly trainImages: string;
  readonly trainLabels: string;
  readonly testImages: string;
  readonly testLabels: string;
}

export interface ImportRequest {
  /** The folder that holds all imported data sets. */
  readonly root: string;
  readonly name: string;
  /**
   * A folder with four files under the usual names (`train-images-idx3-ubyte`, `t10k-…`, plain or `.gz`) or with CIFAR's
   * six (`data_batch_1.bin`, …), or the four IDX files.
   */
  readonly source: string | FourFiles;
  /** One sentence for volunteers; by default name and size. */
  readonly title?: string;
}

/** What runs can name without any import. */
const BUILT_IN: ReadonlyMap<string, () => Promise<Dataset>> = new Map([
  ["mnist", () => loadMnist()],
  ["cifar10", () => loadCifar10()],
]);
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const DESCRIPTION_FILE = "dataset.json";
const PARTS = ["trainImages", "trainLabels", "testImages", "testLabels"] as const;

/** Matches MNIST's, Fashion-MNIST's, KMNIST's and EMNIST's file names. */
const PATTERNS: Readonly<Record<keyof FourFiles, RegExp>> = {
  trainImages: /(^|-)train-images[-.]idx[34]-ubyte(\.gz)?$/,
  trainLabels: /(^|-)train-labels[-.]idx1-ubyte(\.gz)?$/,
  testImages: /(^|-)(t10k|test)-images[-.]idx[34]-ubyte(\.gz)?$/,
  testLabels: /(^|-)(t10k|test)-labels[-.]idx1-ubyte(\.gz)?$/,
};

const descriptionSchema = v.object({ name: v.string(), title: v.string() });

/** Checks and copies; the data set appears whole or not at all. */
export async function importDataset(request: ImportRequest): Promise<Dataset> {
  const { root, name, source } = request;
  if (!NAME.test(name)) {
    throw new DataError(
      `"${name}" cannot name a data set; use lower-case letters, digits, dots and dashes, at most 64.`,
    );
  }
  const folder = join(root, name);
  if (BUILT_IN.has(name) || (await exists(folder))) {
    throw new DataError(
      `There is already a data set named "${name}"; choose another name${BUILT_IN.has(name) ? "" : ` or remove ${folder}`}.`,
    );
  }
  const files = typeof source === "string" ? await readFolder(source) : await readFour(source);
  const title =
    request.title ?? `Classifying images (${name}, ${files.trainImages.dimensions[0]?.toLocaleString("en")} images).`;
  const dataset = assembleDataset(name, title, files);
  const aside = join(root, `.${name}.${process.pid}.tmp`);
  try {
    await mkdir(aside, { recursive: true });
    for (const part of PARTS) await writeFile(join(aside, `${part}.idx`), encodeIdx(files[part]), { flush: true });
    await writeFile(join(aside, DESCRIPTION_FILE), `${JSON.stringify({ name, title }, null, 2)}\n`, { flush: true });
    await rename(aside, folder);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    throw new DataError(`The data set "${name}" cannot be written to ${folder}: ${(error as Error).message}`);
  }
  return dataset;
}

/** The names that a run can use: what is built in (`cifar10` must be fetched first) and what was imported. */
export async function datasetNames(root: string): Promise<string[]> {
  const found = (await exists(root)) ? await readdir(root) : [];
  const imported = await Promise.all(
    found.map(async (name) => (NAME.test(name) && (await exists(join(root, name, DESCRIPTION_FILE))) ? [name] : [])),
  );
  return [...BUILT_IN.keys(), ...imported.flat().toSorted()];
}

/** Loads a built-in or an imported data set; throws a sentence that lists the known names otherwise. */
export async function loadDataset(root: string, name: string): Promise<Dataset> {
  const builtIn = BUILT_IN.get(name);
  if (builtIn) return builtIn();
  const names = await datasetNames(root);
  if (!names.includes(name)) {
    throw new DataError(
      `There is no data set named "${name}"; known here: ${names.join(", ")}. Import one with: drove data import`,
    );
  }
  const folder = join(root, name);
  const { title } = await readDescription(join(folder, DESCRIPTION_FILE));
  const [trainImages, trainLabels, testImages, testLabels] = PARTS.map((part) => join(folder, `${part}.idx`)) as [
    string,
    string,
    string,
    string,
  ];
  return assembleDataset(name, title, await readFour({ trainImages, trainLabels, testImages, testLabels }));
}

async function readDescription(path: string): Promise<v.InferOutput<typeof descriptionSchema>> {
  try {
    return v.parse(descriptionSchema, JSON.parse(await readFile(path, "utf8")));
  } catch {
    throw new DataError(`${path} is damaged; remove its folder and import the data set again.`);
  }
}

/** Recognised by the names of its files. */
async function readFolder(folder: string): Promise<DatasetFiles> {
  const names = await readdir(folder).catch(() => {
    throw new DataError(
      `${folder} is not a folder that can be read; name the folder with the four IDX files, or with ${CIFAR_TRAIN_FILES[0]} to ${CIFAR_TEST_FILE}.`,
    );
  });
  return looksLikeCifar(names) ? readCifarFolder(folder) : readFour(findFour(folder, names));
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

async function readFour(paths: FourFiles): Promise<DatasetFiles> {
  const files = PARTS.map(async (part): Promise<[string, NamedIdx]> => {
    const file = paths[part];
    return [part, { file, ...(await readIdxFile(file)) }];
  });
  // PARTS are the keys of DatasetFiles.
  return Object.fromEntries(await Promise.all(files)) as unknown as DatasetFiles;
}

/** What `parseIdx` takes apart; written anew because the source may have been compressed. */
function encodeIdx({ dimensions, values }: Idx): Uint8Array {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header[2] = 0x08;
  header[3] = dimensions.length;
  dimensions.forEach((length, index) => header.writeUInt32BE(length, 4 + 4 * index));
  return Buffer.concat([header, values]);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
