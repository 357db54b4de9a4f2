/** Folders of pictures as data sets: real files in every format that is read, as people have them lying about. */

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_IMAGES, type ImageOptions } from "../../coordinator/data/image_import.ts";
import { importDataset, type ImportResult } from "../../coordinator/data/import.ts";
import { loadDataset } from "../../coordinator/data/library.ts";
import { inProcess } from "../support/command_line.ts";

type Colour = readonly [red: number, green: number, blue: number];
const RED: Colour = [200, 30, 40];
const GREEN: Colour = [20, 180, 60];
const BLUE: Colour = [10, 40, 220];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-images-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One colour all over; its ending says the format. */
async function picture(path: string, [r, g, b]: Colour, width = 12, height = 12): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: { r, g, b } } }).toFile(path);
}

/** `count` PNGs of each of three colours in folders of their names. */
async function threeClasses(name: string, count: number): Promise<string> {
  const source = join(folder, name);
  for (const [kind, colour] of Object.entries({ red: RED, green: GREEN, blue: BLUE })) {
    for (let index = 0; index < count; index++) await picture(join(source, kind, `${index}.png`), colour);
  }
  return source;
}

function all(value: number): number[] {
  return Array.from({ length: 8 }, () => value);
}

function importFrom(source: string, name: string, images: Partial<ImageOptions> = {}, seed = 1): Promise<ImportResult> {
  return importDataset({ root: join(folder, "root"), name, source, seed, images: { ...DEFAULT_IMAGES, ...images } });
}

/** How far the first pixel of each training image is from the colour of its class, at most. */
async function distanceFrom(name: string, colours: readonly Colour[]): Promise<number> {
  const { train, shape } = await loadDataset(join(folder, "root"), name);
  const bytes = shape.height * shape.width * shape.channels;
  const distances = [...train.labels].flatMap((label, index) =>
    colours[label]!.map((value, channel) => Math.abs(value - train.images[index * bytes + channel]!)),
  );
  return Math.max(...distances);
}

test("A folder per class becomes a data set: classes by name, a fifth of each held out, in one mixed order", async () => {
  const source = await threeClasses("plain", 10);
  const { description, images } = await importFrom(source, "plain", { height: 8, width: 6 });
  expect(description).toMatchObject({
    name: "plain",
    title: "Classifying images (plain, 24 images).",
    shape: { height: 8, width: 6, channels: 3 },
    classes: 3,
    classNames: ["blue", "green", "red"],
    counts: { train: [8, 8, 8], test: [2, 2, 2] },
  });
  expect(description.source).toMatch(
    /^Imported from 30 pictures .* resized to 8x6 \(cover\) in colour; 20 % of each class/,
  );
  expect(images).toMatchObject({ bad: [], leftOut: new Map() });
  const loaded = await loadDataset(join(folder, "root"), "plain");
  expect(loaded.classNames).toEqual(["blue", "green", "red"]);
  expect(await distanceFrom("plain", [BLUE, GREEN, RED])).toBe(0);
  const mean = [0, 1, 2].map((channel) => (RED[channel]! + GREEN[channel]! + BLUE[channel]!) / 3 / 255);
  for (const channel of [0, 1, 2]) expect(loaded.normalisation.mean[channel]).toBeCloseTo(mean[channel]!, 12);
  expect(loaded.train.labels).not.toEqual(loaded.train.labels.toSorted());

  await importFrom(source, "again", { height: 8, width: 6 });
  await importFrom(source, "other", { height: 8, width: 6 }, 2);
  const bytesOf = (name: string): Promise<Buffer> => readFile(join(folder, "root", name, "trainLabels.idx"));
  expect((await bytesOf("again")).equals(await bytesOf("plain"))).toBe(true);
  expect((await bytesOf("other")).equals(await bytesOf("plain"))).toBe(false);
});

test("Every common format is read, in folders below a class too, and what is no picture is counted", async () => {
  const source = join(folder, "formats");
  const endings = ["png", "jpg", "JPEG", "webp", "gif", "tif", "tiff", "avif"];
  for (const [kind, colour] of Object.entries({ one: RED, two: BLUE })) {
    for (const ending of endings) {
      const path = join(source, kind, ending === "gif" ? "deeper/still" : "", `a picture ü.${ending.toLowerCase()}`);
      await picture(path, colour);
    }
  }
  await writeFile(join(source, "one", "Thumbs.db"), "");
  await writeFile(join(source, "one", "notes.txt"), "");
  await writeFile(join(source, "two", "README"), "");
  await writeFile(join(source, "two", ".DS_Store"), "");
  await symlink(join(source, "one"), join(source, "two", "loop"));
  const { description, images } = await importFrom(source, "formats", { testShare: 0.25 });
  expect(description.counts).toEqual({ train: [6, 6], test: [2, 2] });
  expect(images?.bad).toEqual([]);
  expect(Object.fromEntries(images!.leftOut)).toEqual({
    ".db": 1,
    ".txt": 1,
    "without an ending": 1,
    hidden: 1,
    links: 1,
  });
  // Some of the formats lose a little.
  expect(await distanceFrom("formats", [RED, BLUE])).toBeLessThan(6);
});

test("Pictures are turned as their EXIF says, cut, given margins or stretched, grey where asked, transparent on the background", async () => {
  const source = join(folder, "shapes");
  // Left half black, right half white, 20 wide and 10 high; its EXIF says: turn by a quarter to the right.
  const half = await sharp({ create: { width: 10, height: 10, channels: 3, background: "black" } })
    .extend({ right: 10, background: "white" })
    .withMetadata({ orientation: 6 })
    .png()
    .toBuffer();
  const clear = await sharp({
    create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
  })
    .png()
    .toBuffer();
  for (const [name, bytes] of Object.entries({ half, clear })) {
    await mkdir(join(source, name), { recursive: true });
    for (const index of [1, 2]) await writeFile(join(source, name, `${index}.png`), bytes);
  }
  const rowsOf = async (fit: ImageOptions["fit"], background = "white"): Promise<Record<string, number[][]>> => {
    const name = `shapes-${fit}-${background}`;
    await importFrom(source, name, { height: 8, width: 8, fit, channels: 1, background, testShare: 0.5 });
    const { train, classNames } = await loadDataset(join(folder, "root"), name);
    return Object.fromEntries(
      [...train.labels].map((label, index) => [
        classNames![label],
        Array.from({ length: 8 }, (_, row) => [
          ...train.images.subarray(index * 64 + row * 8, index * 64 + row * 8 + 8),
        ]),
      ]),
    );
  };
  const stretched = await rowsOf("fill");
  // Upright, black lies above white.
  expect([stretched["half"]![0], stretched["half"]![7]]).toEqual([all(0), all(255)]);
  expect(stretched["clear"]).toEqual(Array.from({ length: 8 }, () => all(255)));
  const cut = await rowsOf("cover");
  expect([cut["half"]![0], cut["half"]![7]]).toEqual([all(0), all(255)]);
  const inside = await rowsOf("contain", "black");
  // 10x20 becomes 4x8, with two columns of margin at each side.
  expect(inside["half"]![7]).toEqual([0, 0, 255, 255, 255, 255, 0, 0]);
  expect(inside["clear"]![3]).toEqual(all(0));
});

test("train and test folders are kept as they are", async () => {
  const source = join(folder, "parted");
  for (const [kind, colour] of Object.entries({ "10": RED, "9": BLUE })) {
    for (const index of [1, 2, 3]) await picture(join(source, "train", kind, `${index}.png`), colour);
    await picture(join(source, "test", kind, "1.png"), colour);
  }
  const { description } = await importFrom(source, "parted");
  // Numbers in their own order.
  expect(description.classNames).toEqual(["9", "10"]);
  expect(description.counts).toEqual({ train: [3, 3], test: [1, 1] });
  expect(description.source).toContain("test images as the folder has them");
  expect(await distanceFrom("parted", [BLUE, RED])).toBe(0);
  await picture(join(source, "test", "11", "1.png"), GREEN);
  await expect(importFrom(source, "stranger")).rejects.toThrow(
    /test.11 holds pictures of a class that train has none of; accepted are 9, 10\.$/,
  );
});

test("Unreadable pictures are named and left out, and too many of them end the import with nothing kept", async () => {
  const source = await threeClasses("bad", 4);
  await writeFile(join(source, "red", "torn.png"), (await readFile(join(source, "red", "1.png"))).subarray(0, 60));
  await writeFile(join(source, "red", "empty.jpg"), "");
  await writeFile(join(source, "blue", "a\u001b[31m.webp"), "no picture");
  const { description, images } = await importFrom(source, "bad", { mostBad: 3 });
  expect(description.counts.train.map((count, label) => count + description.counts.test[label]!)).toEqual([4, 4, 4]);
  expect(images!.bad.map(({ file }) => file).toSorted()).toEqual(["blue/a?[31m.webp", "red/empty.jpg", "red/torn.png"]);
  expect(images!.bad.every(({ reason }) => reason.length > 5)).toBe(true);
  await expect(importFrom(source, "too-bad", { mostBad: 2 })).rejects.toThrow(
    /^More than 2 pictures cannot be read: .*\.(png|jpg|webp) \(.*\); repair or remove them, or allow more with --max-bad\.$/,
  );
  const stopped = new AbortController();
  await expect(
    importDataset({
      root: join(folder, "root"),
      name: "stopped",
      source,
      signal: stopped.signal,
      onProgress: () => stopped.abort(new Error("stopped")),
    }),
  ).rejects.toThrow("stopped");
  const kept = await readdir(join(folder, "root"));
  expect(kept.filter((name) => name.includes("too-bad") || name.includes("stopped"))).toEqual([]);
});

test.for<[what: string, files: readonly string[], sentence: RegExp]>([
  ["no folders", ["a.png"], /holds neither IDX files nor CIFAR's nor a folder of pictures per class; lay them out as /],
  ["one class", ["only/a.png"], /has only one class, "only"; there is nothing to tell it apart from\.$/],
  [
    "a class without pictures",
    ["a/1.png", "b/1.txt"],
    /b holds no picture of "b"; remove the folder, or put some there/,
  ],
  ["an empty test folder", ["train/a/1.png", "train/b/1.png", "test/a/x.txt"], /test holds no picture of "test"/],
  ["a name too long", ["a/1.png", `${"b".repeat(41)}/1.png`], /names of at most 40 printable characters, so rename it/],
  [
    "a name with an escape",
    ["a/1.png", "b\u001b/1.png"],
    /the class folder "b\\u001b"; accepted are names of at most 40/,
  ],
  ["folders too deep", ["a/1.png", "b/1/2/3/4/5/6/7/8/9/1.png"], /lies more than 8 folders deep in its class/],
  [
    "too many classes",
    Array.from({ length: 257 }, (_, index) => `${index}/1.png`),
    /has 257 class folders; accepted are 2 to 256\.$/,
  ],
])("A folder with %s is refused in a sentence that names it", async ([what, files, sentence]) => {
  const source = join(folder, `refused ${what}`);
  for (const file of files) {
    await mkdir(dirname(join(source, file)), { recursive: true });
    await writeFile(join(source, file), "");
  }
  await expect(importFrom(source, "refused")).rejects.toThrow(sentence);
});

test("A set that would not fit into memory is refused before a picture is read", async () => {
  const source = join(folder, "large");
  for (const kind of ["a", "b"]) {
    await mkdir(join(source, kind), { recursive: true });
    for (let index = 0; index < 450; index++) await writeFile(join(source, kind, `${index}.png`), "");
  }
  await expect(importFrom(source, "large", { height: 1024, width: 1024 })).rejects.toThrow(
    /^720 training images of 1024x1024x3 are more than the 2 GB .* choose a smaller --size, or at most 682 pictures\.$/,
  );
});

test("The command imports, shows the balance and the bad ones, and finds what was damaged later", async () => {
  const source = await threeClasses("pets", 5);
  await writeFile(join(source, "red", "torn.png"), "no picture");
  const runsFolder = join(folder, "runs");
  const run = (...args: string[]) => inProcess(...args, "--runs-folder", runsFolder);
  const imported = await run("data", "import", "pets", source, "--size", "8", "--channels", "1", "--json");
  expect(imported.exitCode).toBe(0);
  expect(imported.stderr).toContain("Unreadable, and left out: 1.\n  red/torn.png: ");
  const result = JSON.parse(imported.stdout) as { readonly bad: readonly object[] };
  expect(result).toMatchObject({ name: "pets", trainImages: 12, testImages: 3, shape: { height: 8, channels: 1 } });
  expect(result.bad).toHaveLength(1);
  const shown = await run("data", "show", "pets");
  expect(shown.stdout).toContain("12 training and 3 test images of 8x8x1, 3 classes\n  blue   ██");
  await writeFile(join(runsFolder, ".data", "pets", "testLabels.idx"), "");
  const damaged = await run("data", "verify", "pets", "mnist");
  expect([damaged.exitCode, damaged.stdout]).toEqual([
    1,
    expect.stringMatching(
      /^pets {3}The data set "pets" is damaged: .*testLabels\.idx holds 0 bytes instead of 11; .*\nmnist {2}every/,
    ),
  ]);
});

test("Ctrl-C ends an import with its own exit code and a sentence, and nothing is kept", async () => {
  const source = await threeClasses("long", 60);
  const root = join(folder, "interrupted");
  const before = process.listenerCount("SIGINT");
  const pressed = setInterval(() => {
    // As soon as the command listens: before that it would have ended by itself.
    if (process.listenerCount("SIGINT") > before) process.emit("SIGINT");
  }, 1);
  const ended = await inProcess("data", "import", "long", source, "--runs-folder", root, "--size", "512", "--json");
  clearInterval(pressed);
  expect([ended.exitCode, ended.stderr]).toEqual([130, "drove: Interrupted; nothing was kept.\n"]);
  expect(JSON.parse(ended.stdout)).toEqual({ error: "Interrupted; nothing was kept.", exitCode: 130 });
  expect(await readdir(join(root, ".data")).catch(() => [])).toEqual([]);
  expect(process.listenerCount("SIGINT")).toBe(before);
});
