/**
 * Data sets of one's own (`drove data import`): four IDX files, a folder in CIFAR's binary layout, or a folder of pictures per
 * class are checked as a whole and kept in `<root>/<name>/` (`stored_dataset.ts`); from then on a run can name them as it
 * names `mnist`.
 */

import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { CLASS_NAME_CHARACTERS } from "../../shared/run_settings.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { assembleDataset, type Dataset, type DatasetFiles, type NamedIdx } from "./dataset.ts";
import { defaultTitle, type DatasetDescription } from "./description.ts";
import { DataError } from "./idx.ts";
import type { ImageImport, ImageOptions } from "./image_import.ts";
import { CIFAR_FILES_IN_WORDS, layoutOf, readFour, readLayout, type FourFiles } from "./import_files.ts";
import { DATASET_NAME, isBuiltIn } from "./library.ts";
import { storeDataset } from "./stored_dataset.ts";
import { fillFolder, isThere } from "./whole_folder.ts";

export interface ImportRequest {
  /** The folder that holds all imported data sets. */
  readonly root: string;
  readonly name: string;
  /**
   * A folder with four files under the usual names (`train-images-idx3-ubyte`, `t10k-…`, plain or `.gz`), with CIFAR's six
   * (`data_batch_1.bin`, …) or with a folder of pictures per class; or the four IDX files.
   */
  readonly source: string | FourFiles;
  /** One sentence for volunteers; by default name and size. */
  readonly title?: string;
  /** What the labels mean, in their order; folders of pictures say it themselves. */
  readonly classNames?: readonly string[];
  /** Of the order of the examples, and of a split into training and test images. */
  readonly seed?: number;
  /** How pictures are read; only for folders of them. */
  readonly images?: ImageOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ImportResult {
  readonly description: DatasetDescription;
  readonly folder: string;
  /** What happened to pictures; undefined where the source had none. */
  readonly images?: ImageImport;
}

const DEFAULT_SEED = 1;

/** Throws a `DataError`, and leaves nothing, where something does not fit. */
export async function importDataset(request: ImportRequest): Promise<ImportResult> {
  const { root, name, source, title } = request;
  refuseName(root, name);
  if (title !== undefined && (title.trim() === "" || title.length > LIMITS.textCharacters)) {
    throw new DataError(`The title has ${title.length} characters; accepted are 1 to ${LIMITS.textCharacters}.`);
  }
  const folder = join(root, name);
  if (isBuiltIn(name) || (await isThere(folder))) {
    throw new DataError(
      `There is already a data set named "${name}"; choose another name${isBuiltIn(name) ? "" : ` or remove ${folder}`}.`,
    );
  }
  const fill = await readSource(source, request);
  const result = await fillFolder(folder, fill, "name another --runs-folder");
  return { ...result, folder };
}

type Fill = (made: string) => Promise<Omit<ImportResult, "folder">>;

/** Checks what is there; what comes back writes it into an empty folder. */
async function readSource(source: string | FourFiles, request: ImportRequest): Promise<Fill> {
  const { name, seed = DEFAULT_SEED } = request;
  const names = typeof source === "string" ? await namesIn(source) : [];
  const layout = layoutOf(names);
  if (typeof source === "string" && layout === undefined) {
    if (request.classNames) throw new DataError(`${source} names its classes by its folders; leave --classes out.`);
    // Loaded only now: the image library is for this alone.
    const { prepareImages } = await import("./image_import.ts");
    return prepareImages(source, { ...request, seed });
  }
  const read = typeof source === "string" ? await readLayout(source, names, layout ?? "idx") : await readFour(source);
  const { files, isShifted } = labelsFromZero(read);
  const title = request.title ?? defaultTitle(name, files.trainImages.dimensions[0] ?? 0);
  const { classNames } = request;
  const dataset = assembleDataset({ name, title, ...(classNames ? { classNames } : {}) }, files);
  requireNames(dataset);
  const from = typeof source === "string" ? basename(source) : basename(source.trainImages);
  const kind = layout === "cifar" ? "files in CIFAR's binary layout" : "IDX files";
  const shift = isShifted ? " whose labels began at 1 and now begin at 0" : "";
  return async (made) => {
    const words = `Imported from ${kind} (${from})${shift}; each part in the random order of seed ${seed}.`;
    return { description: await storeDataset(made, dataset, { source: words, seed }) };
  };
}

/** EMNIST's letters, for one, are numbered from 1. */
function labelsFromZero(files: DatasetFiles): { readonly files: DatasetFiles; readonly isShifted: boolean } {
  const { trainLabels, testLabels } = files;
  const isShifted =
    trainLabels.values.length > 0 && [trainLabels, testLabels].every(({ values }) => !values.includes(0));
  if (!isShifted) return { files, isShifted };
  return { files: { ...files, trainLabels: lowered(trainLabels), testLabels: lowered(testLabels) }, isShifted };
}

function lowered(labels: NamedIdx): NamedIdx {
  return { ...labels, values: labels.values.map((label) => label - 1) };
}

function requireNames({ name, classes, classNames }: Dataset): void {
  if (!classNames) return;
  if (classNames.length !== classes) {
    throw new DataError(
      `--classes has ${classNames.length} names, but ${name} has ${classes} classes; name each of them.`,
    );
  }
  const wrong = classNames.find(
    (one) => one.trim() === "" || one.length > CLASS_NAME_CHARACTERS || /\p{Cc}/u.test(one),
  );
  if (wrong === undefined) return;
  throw new DataError(
    `--classes has the name ${JSON.stringify(wrong)}; accepted are 1 to ${CLASS_NAME_CHARACTERS} printable characters.`,
  );
}

function refuseName(root: string, name: string): void {
  if (DATASET_NAME.test(name)) return;
  throw new DataError(
    `"${name}" cannot name a data set in ${root}; use lower-case letters, digits, dots, dashes and underscores, at most 64.`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => {
    throw new DataError(
      `${folder} is not a folder that can be read; name one with the four IDX files, with ${CIFAR_FILES_IN_WORDS}, or with a folder of pictures per class.`,
    );
  });
}
