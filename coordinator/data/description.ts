/**
 * `dataset.json`: what is known of a data set and was computed once, kept beside its files. Shape, classes and how often each
 * occurs, mean and deviation of each channel, where it came from, and the files' lengths and sha256.
 */

import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { CLASS_NAME_CHARACTERS } from "../../shared/run_settings.ts";
import { fileSumSchema, findDamage, sumsOf, type CheckOptions } from "./checked_files.ts";
import { classCounts, type Dataset } from "./dataset.ts";
import { DataError } from "./idx.ts";

const DESCRIPTION_FILE = "dataset.json";
/** Of the file's fields. */
const VERSION = 1;

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const counts = v.pipe(v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(0))), v.maxLength(256), v.readonly());
const perChannel = v.pipe(v.array(v.pipe(v.number(), v.finite())), v.minLength(1), v.readonly());

const schema = v.strictObject({
  version: v.literal(VERSION),
  name: v.string(),
  title: v.string(),
  /** A sentence: where it came from, and what was done to it. */
  source: v.string(),
  shape: v.strictObject({ height: whole, width: whole, channels: whole }),
  classes: whole,
  classNames: v.exactOptional(
    v.pipe(v.array(v.pipe(v.string(), v.maxLength(CLASS_NAME_CHARACTERS))), v.maxLength(256), v.readonly()),
  ),
  /** How often each class occurs, in the order of the labels. */
  counts: v.strictObject({ train: counts, test: counts }),
  normalisation: v.strictObject({ mean: perChannel, deviation: perChannel }),
  files: v.pipe(v.array(fileSumSchema), v.readonly()),
});

export type DatasetDescription = v.InferOutput<typeof schema>;
type Facts = Omit<DatasetDescription, "version" | "files">;

export function factsOf(dataset: Dataset, source: string): Facts {
  const { name, title, shape, classes, classNames, normalisation, train, test } = dataset;
  const words = { name, title, source, shape, classes, ...(classNames ? { classNames } : {}) };
  return { ...words, counts: { train: classCounts(train.labels), test: classCounts(test.labels) }, normalisation };
}

/** Of a set whose owner gave none. */
export function defaultTitle(name: string, trainImages: number): string {
  return `Classifying images (${name}, ${trainImages.toLocaleString("en")} images).`;
}

/** Sums up the named files of `folder` and writes the description beside them. */
export async function describeFiles(
  folder: string,
  facts: Facts,
  fileNames: readonly string[],
): Promise<DatasetDescription> {
  const description = { version: VERSION, ...facts, files: await sumsOf(folder, fileNames) } as const;
  await writeFile(join(folder, DESCRIPTION_FILE), `${JSON.stringify(description, null, 2)}\n`, { flush: true });
  return description;
}

/** undefined where there is none. `fix` ends the sentences. */
export async function readDescription(folder: string, fix: string): Promise<DatasetDescription | undefined> {
  const path = join(folder, DESCRIPTION_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new DataError(`${path} cannot be read (${code}); check that it may be read.`);
  }
  try {
    return v.parse(schema, JSON.parse(text));
  } catch {
    throw new DataError(`${path} is damaged, or of another version of Drove; ${fix}.`);
  }
}

/** Throws a `DataError` with the fix if a file is not what it was. */
export async function requireWhole(
  folder: string,
  { name, files }: DatasetDescription,
  fix: string,
  options?: CheckOptions,
): Promise<void> {
  const damage = await findDamage(folder, files, options);
  if (damage) throw new DataError(`The data set "${name}" is damaged: in ${folder}, ${damage}; ${fix}.`);
}

/** The same without a look into the files. */
export async function requireLengths(folder: string, { name, files }: DatasetDescription, fix: string): Promise<void> {
  for (const file of files) {
    const bytes = await stat(join(folder, file.name)).then(
      ({ size }) => size,
      () => undefined,
    );
    if (bytes === file.bytes) continue;
    const damage = bytes === undefined ? "is missing" : `holds ${bytes} bytes instead of ${file.bytes}`;
    throw new DataError(`The data set "${name}" is damaged: in ${folder}, ${file.name} ${damage}; ${fix}.`);
  }
}
