import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseIdx } from "../../coordinator/data/idx.ts";
import { importDataset } from "../../coordinator/data/import.ts";
import { datasetNames, describeDataset, loadDataset } from "../../coordinator/data/library.ts";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { cutShards } from "../../coordinator/data/shards.ts";
import { classCounts, type Dataset } from "../../coordinator/data/dataset.ts";

let folder: string;
let mnist: Dataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-data-"));
  mnist = await loadMnist();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function idx(dimensions: readonly number[], values: readonly number[], type = 0x08): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header[2] = type;
  header[3] = dimensions.length;
  dimensions.forEach((length, index) => header.writeUInt32BE(length, 4 + 4 * index));
  return Uint8Array.from([...header, ...values]);
}

/** Writes a small data set under MNIST's names: `classes` grey levels of 2x3 images. */
async function writeSet(name: string, labels: { train: number[]; test: number[] }, suffix = ""): Promise<string> {
  const source = join(folder, name);
  await mkdir(source);
  for (const [set, part] of [
    ["train", labels.train],
    ["t10k", labels.test],
  ] as const) {
    const pack = (bytes: Uint8Array): Uint8Array => (suffix === ".gz" ? gzipSync(bytes) : bytes);
    const pixels = part.flatMap((label) => Array.from({ length: 6 }, () => label * 50));
    await writeFile(join(source, `${set}-images-idx3-ubyte${suffix}`), pack(idx([part.length, 2, 3], pixels)));
    await writeFile(join(source, `${set}-labels-idx1-ubyte${suffix}`), pack(idx([part.length], part)));
  }
  return source;
}

test("A whole IDX file gives its dimensions and a view of its values", () => {
  const { dimensions, values } = parseIdx(idx([2, 3], [1, 2, 3, 4, 5, 6]), "a");
  expect(dimensions).toEqual([2, 3]);
  expect([...values]).toEqual([1, 2, 3, 4, 5, 6]);
});

/** The sentence with which a file is refused. */
function refused(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    parseIdx(bytes, "x-ubyte");
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

test("A damaged IDX file is refused with its name and what is wrong", () => {
  expect(refused(Uint8Array.of(0, 0))).toMatch(/x-ubyte holds 2 bytes, too few/);
  expect(refused(Uint8Array.of(0x1f, 0x8b, 8, 1))).toMatch(/begins with 1f 8b 08 01/);
  expect(refused(idx([1], [0, 0, 0, 0], 0x0d))).toMatch(/holds 32-bit floats/);
  expect(refused(idx([1], [0], 0x55))).toMatch(/unknown type 0x55/);
  expect(refused(Uint8Array.of(0, 0, 8, 3, 0, 0))).toMatch(/ends inside its header/);
  expect(refused(idx([2, 3], [1, 2, 3]))).toMatch(/truncated: it announces 2x3 = 6 bytes and holds 3/);
  expect(refused(idx([2], [1, 2, 3]))).toMatch(/1 bytes more/);
  expect(refused(idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []))).toMatch(/truncated/);
});

test("MNIST is whole: counts, labels, class balance and the published mean and deviation", () => {
  expect([mnist.train.count, mnist.test.count, mnist.classes]).toEqual([60_000, 10_000, 10]);
  expect(mnist.shape).toEqual({ height: 28, width: 28, channels: 1 });
  expect(mnist.train.images).toHaveLength(60_000 * 784);
  // The first training image is the five that every tutorial shows.
  expect([...mnist.train.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
  expect(mnist.normalisation.mean).toBeCloseTo(0.1306604762738429, 12);
  expect(mnist.normalisation.deviation).toBeCloseTo(0.3081078, 6);
});

test("A file that fits but is not MNIST's is noticed", async () => {
  const source = await writeSet("not-mnist", { train: [0, 1, 2], test: [1, 2] });
  await expect(loadMnist(source)).rejects.toThrow(/is not MNIST's: its classes occur 1, 1, 1 times/);
});

test("Shards hold every example once, are views, and are named by what they hold", () => {
  const shards = cutShards(mnist);
  expect(shards.map(({ examples }) => examples)).toEqual(Array.from({ length: 12 }, () => 5000));
  const third = shards[2]!;
  expect(third.parts[0].buffer).toBe(mnist.train.images.buffer);
  expect(
    third.bytes.equals(
      Buffer.concat([
        mnist.train.images.subarray(10_000 * 784, 15_000 * 784),
        mnist.train.labels.subarray(10_000, 15_000),
      ]),
    ),
  ).toBe(true);
  const hash = createHash("sha256").update(third.bytes).digest("hex").slice(0, 16);
  expect(third.path).toBe(`data/mnist/${hash}.bin`);
  expect(third.byteLength).toBe(5000 * 785);
  expect(new Set(shards.map(({ path }) => path)).size).toBe(12);
  expect(cutShards(mnist, 7000).map(({ examples }) => examples)).toEqual([
    ...Array.from({ length: 8 }, () => 7000),
    4000,
  ]);
});

test.each(["", ".gz"])("A folder of IDX files%s becomes a named data set that loads again, equal", async (suffix) => {
  const root = join(folder, `root${suffix}`);
  const source = await writeSet(`plain${suffix}`, { train: [0, 1, 2, 1], test: [2, 0] }, suffix);
  const { description } = await importDataset({ root, name: "greys", source, title: "Telling greys apart." });
  const loaded = await loadDataset(root, "greys");
  expect(loaded).toMatchObject({
    name: "greys",
    title: "Telling greys apart.",
    classes: 3,
    shape: { height: 2, width: 3, channels: 1 },
  });
  // In an order of its own, each image with its label.
  for (const { images, labels } of [loaded.train, loaded.test]) {
    expect([...images]).toEqual([...labels].flatMap((label) => Array.from({ length: 6 }, () => label * 50)));
  }
  expect(loaded.train.labels.toSorted()).toEqual(Uint8Array.of(0, 1, 1, 2));
  expect(loaded.test.labels.toSorted()).toEqual(Uint8Array.of(0, 2));
  expect(loaded.normalisation.mean).toEqual([expect.closeTo((0 + 50 + 100 + 50) / 4 / 255, 12)]);
  expect(await describeDataset(root, "greys")).toEqual(description);
  expect(description).toMatchObject({
    counts: { train: [1, 2, 1], test: [1, 0, 1] },
    normalisation: loaded.normalisation,
    source: expect.stringMatching(/^Imported from IDX files \(plain.*seed 1\.$/) as string,
  });
  expect(await datasetNames(root)).toEqual(["mnist", "fashion-mnist", "cifar10", "greys"]);
  await expect(importDataset({ root, name: "greys", source })).rejects.toThrow(/already a data set named "greys"/);
});

test("Examples are mixed by the seed alone, so that any stretch of them is a fair sample", async () => {
  const root = join(folder, "mixed");
  const labels = Array.from({ length: 300 }, (_, index) => Math.floor(index / 100));
  const source = await writeSet("by-class", { train: labels, test: labels });
  for (const [name, seed] of [
    ["one", 1],
    ["again", 1],
    ["two", 2],
  ] as const)
    await importDataset({ root, name, source, seed });
  const [one, again, two] = await Promise.all(["one", "again", "two"].map((name) => loadDataset(root, name)));
  expect(one!.train).toEqual(again!.train);
  expect([...one!.train.labels]).not.toEqual([...two!.train.labels]);
  for (const first of [0, 100, 200]) {
    const inStretch = classCounts(one!.train.labels.subarray(first, first + 100));
    // 33 of each on average, with a deviation of 4.
    expect(Math.min(...inStretch)).toBeGreaterThan(13);
  }
});

test("Labels that begin at 1 are brought to 0, and classes may be named", async () => {
  const root = join(folder, "named");
  const source = await writeSet("from-one", { train: [1, 2, 3, 2], test: [3, 1] });
  const { description } = await importDataset({ root, name: "greys", source, classNames: ["dark", "grey", "light"] });
  expect(description).toMatchObject({ classNames: ["dark", "grey", "light"], counts: { train: [1, 2, 1] } });
  expect(description.source).toContain("whose labels began at 1 and now begin at 0");
  const { train, classNames } = await loadDataset(root, "greys");
  expect(classNames).toEqual(["dark", "grey", "light"]);
  expect([...train.images]).toEqual(
    [...train.labels].flatMap((label) => Array.from({ length: 6 }, () => (label + 1) * 50)),
  );
  await expect(importDataset({ root, name: "two", source, classNames: ["a", "b"] })).rejects.toThrow(
    /^--classes has 2 names, but two has 3 classes; name each of them\.$/,
  );
  await expect(importDataset({ root, name: "three", source, classNames: ["a", "b", "c\n"] })).rejects.toThrow(
    /^--classes has the name "c\\n"; accepted are 1 to 40 printable characters\.$/,
  );
});

test("A file that is not what it was is found: by its length always, by its bytes when it looks touched or when asked", async () => {
  const root = join(folder, "damaged");
  const source = await writeSet("whole", { train: [0, 1, 2, 1], test: [2, 0] });
  await importDataset({ root, name: "greys", source });
  const path = join(root, "greys", "trainImages.idx");
  const whole = await readFile(path);
  await loadDataset(root, "greys");
  const { atime, mtime } = await stat(path);
  const spoilt = Buffer.from(whole);
  spoilt[20]! ^= 1;
  await writeFile(path, spoilt);
  const sentence =
    /^The data set "greys" is damaged: in .*greys, trainImages\.idx has other bytes than .*; remove .*greys and import it again\.$/;
  await expect(loadDataset(root, "greys")).rejects.toThrow(sentence);
  // Whoever forges its time is found by those who read everything.
  await utimes(path, atime, mtime);
  await expect(describeDataset(root, "greys", { isFull: true })).rejects.toThrow(sentence);
  await writeFile(path, whole.subarray(0, -1));
  await expect(loadDataset(root, "greys")).rejects.toThrow(/trainImages\.idx holds 43 bytes instead of 44; remove/);
  await rm(path);
  await expect(loadDataset(root, "greys")).rejects.toThrow(/trainImages\.idx is missing; remove/);
  await writeFile(join(root, "greys", "dataset.json"), "{}");
  await expect(loadDataset(root, "greys")).rejects.toThrow(/dataset\.json is damaged, or of another version/);
  expect(await datasetNames(root)).toContain("greys");
});

test("An import that does not fit together is refused and leaves nothing behind", async () => {
  const root = join(folder, "refused");
  const gap = await writeSet("gap", { train: [0, 2], test: [0] });
  const empty = join(folder, "empty");
  await mkdir(empty);
  const foreign = await writeSet("foreign", { train: [0, 1], test: [2] });
  await expect(importDataset({ root, name: "gap", source: gap })).rejects.toThrow(/none is 1; number the classes/);
  await expect(importDataset({ root, name: "foreign", source: foreign })).rejects.toThrow(/has the label 2, which/);
  await expect(importDataset({ root, name: "none", source: empty })).rejects.toThrow(
    /empty holds neither IDX files nor CIFAR's nor a folder of pictures per class/,
  );
  await rm(join(gap, "t10k-labels-idx1-ubyte"));
  await expect(importDataset({ root, name: "three", source: gap })).rejects.toThrow(
    /must hold exactly one file like t10k-labels-idx1-ubyte \(or \.gz\); found none\./,
  );
  await expect(importDataset({ root, name: "../up", source: gap })).rejects.toThrow(/cannot name a data set/);
  const [trainImages, trainLabels] = [join(gap, "train-images-idx3-ubyte"), join(foreign, "train-labels-idx1-ubyte")];
  const testImages = join(foreign, "t10k-images-idx3-ubyte");
  await expect(
    importDataset({ root, name: "mixed", source: { trainImages, trainLabels, testImages, testLabels: testImages } }),
  ).rejects.toThrow(/has 3 dimensions; a file of labels has one/);
  await expect(loadDataset(root, "gap")).rejects.toThrow(
    /no data set named "gap"; known here: mnist, fashion-mnist, cifar10\./,
  );
  expect(await readdir(root).catch(() => [])).toEqual([]);
});
